"""Small data sets without a video: hands of points that move as their label says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handstream.records.example import encode_window
from handstream.records.tfrecord import frame_record
from handstream.records.window import SCHEMA, Side, State, Window

SHAPE = np.random.default_rng(5).normal(0, 0.02, (21, 3))
SHAPE[[0, 5, 9, 13, 17], :2] = [[0, 0.05], [-0.03, -0.04], [-0.01, -0.05], [0.01, -0.05], [0.03, -0.04]]
WAYS = {
    "left": lambda t: (0.7 - 0.4 * t, 0.5 + 0 * t),
    "right": lambda t: (0.3 + 0.4 * t, 0.5 + 0 * t),
    "round": lambda t: (0.5 + 0.15 * np.sin(6.3 * t), 0.5 + 0.15 * np.cos(6.3 * t)),
    "still": lambda t: (0.5 + 0 * t, 0.5 + 0 * t),
}
SPLIT_OF = ("train", "train", "train", "validation", "test")


def moving_window(label: str, subject: int, take: int, seed: int, fps: float = 15, seconds: float = 1.5) -> Window:
    """A right hand in slot 1 of two, in one view."""
    rng = np.random.default_rng([seed, subject, take, sum(map(ord, label))])
    frames = max(round(fps * seconds), 1)
    t = np.linspace(0, 1, frames)
    x, y = WAYS[label](t)
    points = np.full((frames, 1, 2, 21, 3), np.nan, np.float32)
    hand = SHAPE * rng.uniform(0.8, 1.2) + rng.normal(0, 0.002, (frames, 21, 3))
    points[:, 0, 1] = hand
    points[:, 0, 1, :, 0] += (x + rng.normal(0, 0.03))[:, None]
    points[:, 0, 1, :, 1] += (y + rng.normal(0, 0.03))[:, None]
    state = np.zeros((frames, 1, 2), np.int64)
    state[:, :, 1] = State.SEEN
    handedness = np.where(state == State.SEEN, 0.98, np.nan).astype(np.float32)
    return Window(
        take=str(take),
        views=("",),
        subject=f"p{subject}",
        label=label,
        label_id=sorted(WAYS).index(label),
        start_us=0,
        end_us=int(seconds * 1e6),
        time=(np.arange(frames) / fps).astype(np.float32),
        hand_landmarks=points,
        hand_world_landmarks=points - 0.5,
        handedness=handedness,
        state=state,
        side=np.array([[Side.UNKNOWN, Side.RIGHT]]),
        image_size=np.array([[640, 480]]),
    )


def write_data_set(
    folder: Path,
    takes: int = 4,
    subjects: int = 5,
    seed: int = 0,
    labels: Sequence[str] = tuple(sorted(WAYS)),
    name: str = "p{}",
) -> Path:
    """A data set as extraction leaves it: a subject is in one split."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    windows: dict[str, list[Window]] = {"train": [], "validation": [], "test": []}
    for subject in range(subjects):
        for label in labels:
            for take in range(takes):
                window = moving_window(label, subject, take, seed, fps=float(rng.uniform(10, 30)))
                window = replace(window, subject=name.format(subject))
                windows[SPLIT_OF[subject % 5]].append(window)
    splits = {}
    for split, mine in windows.items():
        data = b"".join(frame_record(encode_window(window)) for window in mine)
        name = f"{split}-00000-of-00001.tfrecord"
        (folder / name).write_bytes(data)
        counts = {label: sum(w.label == label for w in mine) for label in labels}
        shard = {"name": name, "windows": len(mine), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        splits[split] = {
            "takes": len(mine),
            "subjects": sorted({w.subject for w in mine}),
            "takes_by_label": counts,
            "windows_by_label": counts,
            "shards": [shard] if mine else [],
            "statistics": {},
        }
    description = {"schema": SCHEMA, "labels": sorted(WAYS), "views": 1, "hands": 2, "splits": splits, "sha256": "0"}
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


@pytest.fixture(scope="session")
def make_data_set() -> Callable[..., Path]:
    return write_data_set


@pytest.fixture(scope="session")
def make_moving_window() -> Callable[..., Window]:
    return moving_window


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labels, five people, four takes of each."""
    return write_data_set(tmp_path_factory.mktemp("model") / "out")
