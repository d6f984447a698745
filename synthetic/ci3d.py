"""CI3D's folders and JSON (also called CHI3D), as the makers' own tools read them.

    chi3d/info.json, template.json
    chi3d/train/SUBJECT/videos/CAMERA/ACTION.mp4
                        camera_parameters/CAMERA/ACTION.json
                        joints3d_25/ACTION.json
                        interaction_contact_signature.json
    chi3d/test/SUBJECT/videos/ACTION.mp4, camera_parameters/ACTION.json       one camera

https://github.com/sminchisescu-research/imar_vision_datasets_tools. Metres; z goes up. A subject is a pair of people.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from handstream.synthetic.anatomy import Array
from handstream.synthetic.camera import Camera
from handstream.synthetic.figure import standing_joints
from handstream.synthetic.performance import ArmPose
from handstream.synthetic.takes import Options, Take, TakePlan, make_take, plan_takes, subject_name

CAMERAS = ("50591643", "58860488", "60457274", "65906101")
FIRST_SUBJECT = 2
"""CI3D's first pair of its training part is s02."""
PATTERN = "{subject}/videos/{view}/{label} {take:[0-9]+}.mp4"
"""A `--layout` that reads train/."""
SHORTER = 2
"""Frames by which joints end before the video: in CI3D the video may be longer."""
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From our world, whose y goes up."""
JOINTS = (
    *("pelvis", "left hip", "left knee", "left ankle", "right hip", "right knee", "right ankle"),
    *("spine", "neck", "head", "head top", "left shoulder", "left elbow", "left wrist"),
    *("right shoulder", "right elbow", "right wrist", "left foot", "left toe", "right foot", "right toe"),
    *("left thumb", "left fingers", "right thumb", "right fingers"),
)
"""Of `joints3d_25`, as users of the data set have found out; its makers publish edges without names."""
THUMB_TIP, MIDDLE_TIP = 4, 12


def part_of(options: Options, subject: int) -> str:
    """The last of several pairs is the test part."""
    numbers = options.subject_numbers
    return "test" if len(numbers) > 1 and subject == numbers[-1] else "train"


def folder(options: Options, subject: int) -> str:
    return f"chi3d/{part_of(options, subject)}/{subject_name(subject)}"


def action(plan: TakePlan) -> str:
    return f"{plan.label.capitalize()} {plan.number}"


def views_of(options: Options, take: Take) -> list[int]:
    """Which cameras' views are written: in the test part the first alone."""
    return [0] if part_of(options, take.plan.subject) == "test" else list(range(len(take.views)))


def paths(options: Options, plan: TakePlan, camera: str) -> tuple[str, str]:
    """(video, camera parameters) of a take, below OUT."""
    base = folder(options, plan.subject)
    middle = "" if part_of(options, plan.subject) == "test" else f"{camera}/"
    name = f"{middle}{action(plan)}"
    return f"{base}/videos/{name}.mp4", f"{base}/camera_parameters/{name}.json"


def camera_json(camera: Camera) -> bytes:
    """T is the camera's centre: X_camera = R (X_world - T)."""
    focal, middle = camera.matrix[[0, 1], [0, 1]].tolist(), camera.matrix[:2, 2].tolist()
    k1, k2, p1, p2, k3 = camera.distortion
    return _json(
        {
            "extrinsics": {"R": (camera.rotation @ Z_UP.T).tolist(), "T": [(Z_UP @ camera.centre).tolist()]},
            "intrinsics_w_distortion": {"f": [focal], "c": [middle], "k": [[k1, k2, k3]], "p": [[p1, p2]]},
            "intrinsics_wo_distortion": {"f": focal, "c": middle},
        }
    )


def joints_json(take: Take) -> bytes:
    """{"joints3d_25": [people, frames, 25, 3]} on the frames of the first view, but for the last few."""
    view, performance = take.views[0], take.performance
    frames = performance.arms(view.times(performance.seconds))
    frames = frames[: max(len(frames) - SHORTER, 1)]
    joints = [[_joints(take, p, arms) for arms in frames] for p in range(len(performance.people))]
    return _json({"joints3d_25": (np.array(joints) @ Z_UP.T).round(6).tolist()})


def _joints(take: Take, p: int, arms: Sequence[ArmPose]) -> Array:
    """[25, 3] of a person in our world."""
    person, stance = take.performance.people[p], take.performance.stances[p]
    found = standing_joints(person, stance)
    for arm in arms:
        if arm.person == p:
            side = "right" if arm.right else "left"
            found |= {f"{side} shoulder": arm.shoulder, f"{side} elbow": arm.elbow, f"{side} wrist": arm.wrist}
            found |= {f"{side} thumb": arm.landmarks[THUMB_TIP], f"{side} fingers": arm.landmarks[MIDDLE_TIP]}
    return np.array([found[name] for name in JOINTS])


def contact_frame(take: Take) -> int | None:
    """The frame of the first view in which two people first touch; None where they never do."""
    view = take.views[0]
    for act in take.performance.acts:
        if act.gesture.people == 2:
            return round(take.performance.first_touch(act) * view.frames_per_second)
    return None


def files_of_take(options: Options, take: Take) -> dict[str, bytes]:
    """What stands beside a take's videos, by path below OUT."""
    files = {}
    for v in views_of(options, take):
        camera = take.views[v].camera
        files[paths(options, take.plan, camera.name)[1]] = camera_json(camera)
    if part_of(options, take.plan.subject) == "train":
        base = folder(options, take.plan.subject)
        files[f"{base}/joints3d_25/{action(take.plan)}.json"] = joints_json(take)
    return files


def files_of_all(options: Options) -> dict[str, bytes]:
    """What describes all takes, by path below OUT."""
    plans = plan_takes(options)
    actions: dict[str, list[str]] = {}
    contacts: dict[str, dict[str, dict[str, int]]] = {}
    template: dict[str, dict[str, Any]] = {}
    for plan in plans:
        base = folder(options, plan.subject)
        name = base.rpartition("/")[2]
        if part_of(options, plan.subject) == "test":
            frames = len(make_take(options, plan).views[0].times(options.seconds))
            other = {"video_fr_ids": list(range(frames)), "contact_fr_id": None}
            template.setdefault(name, {})[action(plan)] = {"persons": [{}, {}], "other": other}
            continue
        actions.setdefault(name, []).append(action(plan))
        signatures = contacts.setdefault(base, {})
        if plan.people == 2:
            frame = contact_frame(make_take(options, plan))
            if frame is not None:
                signatures[action(plan)] = {"fr_id": frame}
    info = {"all_camera_names": list(options.cameras), "train_subj_names": list(actions), "subj_to_act": actions}
    files = {f"{base}/interaction_contact_signature.json": _json(found) for base, found in contacts.items()}
    return {"chi3d/info.json": _json(info), "chi3d/template.json": _json(template), **files}


def _json(values: Any) -> bytes:
    return json.dumps(values).encode()
