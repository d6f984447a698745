"""Our own folders: videos/LABEL/SUBJECT_TAKE_VIEW.mp4, a calibration for each camera, and a manifest."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from handstream.synthetic.takes import (
    Options,
    Take,
    TakePlan,
    labelled_parts,
    make_take,
    plan_takes,
    session,
    subject_name,
)

MANIFEST = "manifest.csv"
COLUMNS = ("path", "label", "subject", "take", "view", "start", "end", "calibration")
PATTERN = "{label}/{subject}_{take}_{view}.mp4"
"""A `--layout` that reads videos/."""


def take_word(plan: TakePlan) -> str:
    """A take's name within its subject and label."""
    if plan.label:
        return str(plan.number)
    return f"{'pair' if plan.people == 2 else 'solo'}{plan.number}"


def take_name(plan: TakePlan) -> str:
    """A take's name among all."""
    return "-".join(word for word in (subject_name(plan.subject), plan.label, take_word(plan)) if word)


def video_path(plan: TakePlan, camera: str) -> str:
    """Below OUT."""
    name = f"{subject_name(plan.subject)}_{take_word(plan)}_{camera}.mp4"
    return f"videos/{plan.label}/{name}" if plan.label else f"videos/{name}"


def truth_path(plan: TakePlan) -> str:
    """Below OUT."""
    words = [subject_name(plan.subject), plan.label, take_word(plan)]
    return f"truth/{'_'.join(word for word in words if word)}.parquet"


def calibration_path(subject: int, camera: str) -> str:
    """Below OUT."""
    return f"calibration/{subject_name(subject)}_{camera}.yaml"


def calibrations(options: Options) -> dict[str, bytes]:
    """OpenCV's YAML by path."""
    files = {}
    for subject in options.subject_numbers:
        for camera in session(options, subject)[1]:
            files[calibration_path(subject, camera.name)] = camera.to_yaml().encode()
    return files


def manifest(options: Options) -> bytes:
    """A row for each clip; of continuous videos, for each of their parts."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for plan in plan_takes(options):
        writer.writerows(_rows(make_take(options, plan)))
    return text.getvalue().encode()


def _rows(take: Take) -> Iterator[dict[str, str]]:
    plan = take.plan
    # Before the last camera has started a take has not all its views.
    first = max(view.offset for view in take.views)
    parts = labelled_parts(take) if not plan.label else [(plan.label, 0.0, take.performance.seconds)]
    for number, (label, start, end) in enumerate(parts, 1):
        start = max(start, first)
        if end <= start:
            continue
        for view in take.views:
            row = {
                "path": video_path(plan, view.camera.name),
                "label": label,
                "subject": subject_name(plan.subject),
                "take": take_name(plan) if plan.label else f"{take_name(plan)}-{number}",
                "view": view.camera.name,
                "calibration": calibration_path(plan.subject, view.camera.name),
            }
            if first or not plan.label:
                row["start"] = f"{start - view.offset:.6f}"
            if not plan.label:
                row["end"] = f"{end - view.offset:.6f}"
            yield row
