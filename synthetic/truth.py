"""Truth on disk: OUT/truth/, a Parquet file a take, a row for each hand in each frame of each view."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from handstream.synthetic.anatomy import JOINTS
from handstream.synthetic.folders import take_name
from handstream.synthetic.measure import TrueHand, facing
from handstream.synthetic.stage import SeenHand, View
from handstream.synthetic.takes import Take, subject_name

SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("take", pa.string()),
        ("view", pa.string()),
        ("frame", pa.int32()),
        ("time_us", pa.int64()),  # in the video
        ("take_time_us", pa.int64()),  # from the take's start: the clock of all views
        ("label", pa.string()),  # what is being done at that time
        ("person", pa.int8()),
        ("right", pa.bool_()),
        ("world", pa.list_(pa.float32(), 3 * JOINTS)),  # metres
        ("pixels", pa.list_(pa.float32(), 2 * JOINTS)),
        ("visible", pa.list_(pa.bool_(), JOINTS)),  # in the picture, and behind nothing but its own hand
        ("facing", pa.string()),  # palm, back or side
    ]
)


def rows_of(take: Take, view: View, frame: int, hands: list[SeenHand]) -> Iterator[dict[str, Any]]:
    """The truth about a frame."""
    at = frame / view.frames_per_second
    for hand in hands:
        landmarks = hand.arm.landmarks
        yield {
            "subject": subject_name(take.plan.subject),
            "take": take_name(take.plan),
            "view": view.camera.name,
            "frame": frame,
            "time_us": round(at * 1e6),
            "take_time_us": round((at + view.offset) * 1e6),
            "label": take.performance.label_at(at + view.offset),
            "person": hand.arm.person,
            "right": hand.arm.right,
            "world": landmarks.ravel().astype(np.float32),
            "pixels": hand.pixels.ravel().astype(np.float32),
            "visible": hand.visible,
            "facing": facing(landmarks, hand.arm.right, view.camera.centre),
        }


def encode(rows: list[dict[str, Any]]) -> bytes:
    """A take's file."""
    file = io.BytesIO()
    columns = [pa.array([row[name] for row in rows], SCHEMA.field(name).type) for name in SCHEMA.names]
    pq.write_table(pa.table(columns, schema=SCHEMA), file, compression="zstd")
    return file.getvalue()


def read_true_hands(data: bytes) -> dict[str, dict[int, list[TrueHand]]]:
    """View -> time in the video (microseconds) -> the hands of that frame."""
    found: dict[str, dict[int, list[TrueHand]]] = {}
    for row in pq.read_table(io.BytesIO(data)).to_pylist():
        hand = TrueHand(
            world=np.array(row["world"]).reshape(JOINTS, 3),
            pixels=np.array(row["pixels"]).reshape(JOINTS, 2),
            visible=np.array(row["visible"]),
            person=row["person"],
            right=row["right"],
            facing=row["facing"],
        )
        found.setdefault(row["view"], {}).setdefault(row["time_us"], []).append(hand)
    return found
