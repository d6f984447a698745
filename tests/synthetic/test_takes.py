"""Which takes there are, how they lie on disk, and what is written about them."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise

import numpy as np
import pytest
from handstream.synthetic import ci3d, folders, truth
from handstream.synthetic.layouts import Layout
from handstream.synthetic.stage import film
from handstream.synthetic.takes import Options, labelled_parts, make_take, plan_takes, session

SMALL = Options(gestures=("wave", "handshake"), subjects=2, seconds=1.0, size=(160, 120), palm=14)
CI3D = Options(
    gestures=("push", "handshake"), subjects=2, first_subject=2, cameras=ci3d.CAMERAS, size=(180, 180), palm=15,
    frames_per_second=(10.0,), seconds=2.0, always_two=True, distortion=-0.1,
)  # fmt: skip


def arms_of(take):
    return np.array([arm.landmarks for arms in take.performance.arms([0.3, 0.6]) for arm in arms])


def test_a_take_is_the_same_whatever_else_is_rendered():
    alone = Options(gestures=("handshake",), subjects=1, seconds=1.0, size=(160, 120), palm=14)
    (only,) = (make_take(alone, plan) for plan in plan_takes(alone))
    among = next(make_take(SMALL, plan) for plan in plan_takes(SMALL) if plan.label == "handshake")
    assert (arms_of(only) == arms_of(among)).all()


def test_takes_and_people_and_seeds_differ():
    first, second = (make_take(SMALL, plan) for plan in plan_takes(SMALL) if plan.label == "wave")
    assert (arms_of(first)[:, 0] != arms_of(second)[:, 0]).any()
    other = make_take(Options(**{**SMALL.__dict__, "seed": 7}), first.plan)
    assert (arms_of(first) != arms_of(other)).any()
    again = make_take(SMALL, first.plan.__class__(first.plan.subject, 2, "wave"))
    assert (arms_of(first) != arms_of(again)).any()
    assert session(SMALL, 1)[0][0] == first.performance.people[0]


def test_views_start_and_sample_as_asked():
    options = Options(gestures=("wave",), subjects=1, frames_per_second=(30.0, 20.0), offsets=(0.0, 0.25), seconds=2.0)
    take = make_take(options, plan_takes(options)[0])
    first, second = (view.times(2.0) for view in take.views)
    assert (len(first), len(second)) == (60, 35)
    assert second[0] == 0.25
    assert np.diff(second) == pytest.approx(0.05)


def test_parts_of_a_continuous_take_cover_it_and_name_each_gesture():
    options = Options(subjects=1, continuous=40.0)
    solo, pair = (make_take(options, plan) for plan in plan_takes(options))
    for take, expected in ((solo, {"wave", "clap", "none"}), (pair, {"handshake", "high five", "none"})):
        parts = labelled_parts(take)
        assert parts[0][1] == 0
        assert parts[-1][2] == 40
        assert all(a[2] == b[1] for a, b in pairwise(parts))
        assert expected <= {label for label, _, _ in parts}
        for label, start, end in parts:
            assert take.performance.label_at((start + end) / 2) == label
    assert len(pair.performance.people) == 2


def rows(data):
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_the_manifest_names_each_video_and_calibration_once():
    found = rows(folders.manifest(SMALL))
    assert len(found) == 2 * 2 * 2
    assert {row["path"] for row in found} == {
        folders.video_path(plan, camera) for plan in plan_takes(SMALL) for camera in SMALL.cameras
    }
    assert {row["calibration"] for row in found} == set(folders.calibrations(SMALL))


def test_parts_in_a_later_view_are_earlier_in_its_video():
    options = Options(gestures=("wave", "push"), subjects=1, continuous=12.0, offsets=(0.0, 0.5))
    found = rows(folders.manifest(options))
    by_take = {}
    for row in found:
        by_take.setdefault(row["take"], []).append(row)
    whole = list(by_take.values())
    assert len(whole) >= 3
    assert all(len(pair) == 2 for pair in whole)
    for first, second in whole:
        assert float(first["start"]) - float(second["start"]) == pytest.approx(0.5)
        assert float(first["end"]) - float(second["end"]) == pytest.approx(0.5)
        assert first["label"] == second["label"]


def test_views_that_start_later_are_brought_together_by_the_manifest():
    options = Options(gestures=("wave",), subjects=1, offsets=(0.0, 0.25))
    first, second = rows(folders.manifest(options))
    assert (first["start"], second["start"]) == ("0.250000", "0.000000")
    assert not rows(folders.manifest(Options(gestures=("wave",), subjects=1)))[0]["start"]


@pytest.fixture(scope="module")
def wave():
    take = make_take(SMALL, plan_takes(SMALL)[0])
    view = take.views[0]
    frames = list(film(take.performance, view, take.seed, take.exposure, take.light, take.room(0)))
    return take, view, frames


def test_truth_projects_to_its_own_pixels_and_is_read_back(wave):
    take, view, frames = wave
    table = [row for i, (_, hands) in enumerate(frames) for row in truth.rows_of(take, view, i, hands)]
    found = truth.read_true_hands(truth.encode(table))[view.camera.name]
    assert sorted(found) == [round(i / 30 * 1e6) for i in range(30)]
    for hands in found.values():
        assert len(hands) == 2
        for hand in hands:
            assert np.allclose(view.camera.project(hand.world)[0], hand.pixels, atol=1e-2)
    main = take.performance.people[0].right_handed
    seen = [hand for hands in found.values() for hand in hands if hand.right == main]
    assert np.mean([hand.is_visible for hand in seen]) > 0.9
    assert {hand.facing for hand in seen} <= {"palm", "side"}


def test_pictures_show_skin_where_the_truth_says_a_hand_is(wave):
    take, view, frames = wave
    main = take.performance.people[0].right_handed
    # Where a hand is the picture differs from the mean of all, in which it is nowhere long.
    mean = np.mean([picture for picture, _ in frames], axis=0)
    on, off = [], []
    for picture, hands in frames[::5]:
        differs = np.abs(picture - mean).sum(-1)
        (hand,) = (hand for hand in hands if hand.arm.right == main)
        for x, y in hand.pixels[hand.visible].astype(int):
            on.append(differs[y, x])
            off.append(differs[y, (x + 60) % view.camera.width])
    assert np.median(on) > 4 * np.median(off)


def imar_project(points, camera):
    """As the makers' own tool does: X_camera = R (X - T), radial distortion, then focal length and centre."""
    rotation, centre = (np.array(camera["extrinsics"][k]) for k in ("R", "T"))
    p = (points - centre) @ rotation.T
    x = p[:, :2] / p[:, 2:]
    lens = camera["intrinsics_w_distortion"]
    r2 = (x**2).sum(1, keepdims=True)
    k = np.array(lens["k"])[0]
    x = x * (1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3)
    return x * np.array(lens["f"]) + np.array(lens["c"])


def test_ci3d_joints_fall_on_their_pixels_by_the_makers_formula():
    plan = next(plan for plan in plan_takes(CI3D) if plan.label == "handshake")
    take = make_take(CI3D, plan)
    files = Layout("ci3d", CI3D).files_of_take(take)
    joints = np.array(json.loads(files["chi3d/train/s02/joints3d_25/Handshake 1.json"])["joints3d_25"])
    assert joints.shape == (2, 20 - ci3d.SHORTER, 25, 3)
    # z goes up: heads above feet.
    assert (joints[..., ci3d.JOINTS.index("head top"), 2] > 1.4).all()
    frame = 10
    arms = take.performance.arms([frame / 10])[0]
    for view in take.views:
        camera = json.loads(files[f"chi3d/train/s02/camera_parameters/{view.camera.name}/Handshake 1.json"])
        for arm in arms:
            side = "right" if arm.right else "left"
            wrist = joints[arm.person, frame, ci3d.JOINTS.index(f"{side} wrist")]
            expected, _ = view.camera.project(arm.wrist[None])
            assert np.allclose(imar_project(wrist[None], camera), expected, atol=0.05)


def test_ci3d_lies_on_disk_as_the_makers_say():
    layout = Layout("ci3d", CI3D)
    takes = [make_take(CI3D, plan) for plan in plan_takes(CI3D)]
    videos = [layout.video_path(take.plan, take.views[v].camera.name) for take in takes for v in layout.views(take)]
    assert "chi3d/train/s02/videos/50591643/Handshake 1.mp4" in videos
    assert "chi3d/test/s03/videos/Push 1.mp4" in videos
    assert len(videos) == 2 * 4 + 2
    files = layout.files_of_all()
    contact = json.loads(files["chi3d/train/s02/interaction_contact_signature.json"])
    assert set(contact) == {"Handshake 1"}
    shaking = next(take for take in takes if take.plan.label == "handshake")
    arms = shaking.performance.arms([contact["Handshake 1"]["fr_id"] / 10])[0]
    a, b = (arm.wrist for arm in arms if arm.right)
    assert np.linalg.norm(a - b) < 0.3
    assert json.loads(files["chi3d/info.json"])["subj_to_act"] == {"s02": ["Push 1", "Handshake 1"]}
    assert all(len(take.performance.people) == 2 for take in takes)
