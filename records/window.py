"""A window: a take, or a stretch of it, over all its views, as arrays.

T frames, V views, H hand slots, 21 landmarks a hand. V and H are the data set's, T is the window's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = 1
"""Version of this contract. A reader refuses a data set of another one."""

LANDMARKS = 21


class State(IntEnum):
    """What stands at one frame, view and slot."""

    NONE = 0
    """No hand was seen."""
    SEEN = 1
    """Detected in a frame at this very time."""
    INTERPOLATED = 2
    """Between two detections of the same hand, where an even clock or another view's frames ask for it."""
    NO_VIEW = 3
    """The take has no such view, or the view could not be read here."""


class Side(IntEnum):
    """Which hand of a person it is, by the vote of the whole track."""

    UNKNOWN = -1
    LEFT = 0
    RIGHT = 1


@dataclass(frozen=True)
class Window:
    """One example. Floats are float32, NaN where nothing was seen."""

    take: str
    views: tuple[str, ...]
    """V names, empty where the take has no such view."""
    subject: str
    label: str
    label_id: int
    """Index in the labels of dataset.json, -1 where there is no label."""
    start_us: int
    end_us: int
    """Where the window lies in its take, in microseconds."""
    time: NDArray[np.float32]
    """[T] seconds from the start of the window."""
    hand_landmarks: NDArray[np.float32]
    """[T, V, H, 21, 3]: x, y in [0, 1] of the upright picture, z in picture widths."""
    hand_world_landmarks: NDArray[np.float32]
    """[T, V, H, 21, 3]: metres about the hand's own centre."""
    handedness: NDArray[np.float32]
    """[T, V, H]: score that it is a right hand."""
    state: NDArray[np.int64]
    """[T, V, H]: a `State`."""
    side: NDArray[np.int64]
    """[V, H]: a `Side`."""
    image_size: NDArray[np.int64]
    """[V, 2]: width and height in pixels of the upright picture, 0 where there is no view."""


@dataclass(frozen=True)
class Feature:
    """How one field of a window stands in a `tf.train.Example`."""

    kind: str
    """float, int or bytes"""
    shape: tuple[int | str, ...] = ()
    """Letters are the data set's dimensions; a leading "T" is the window's own."""

    def dimensions(self, views: int, hands: int) -> tuple[int, ...]:
        """The shape with -1 for T."""
        sizes = {"T": -1, "V": views, "H": hands}
        return tuple(sizes[d] if isinstance(d, str) else d for d in self.shape)


FEATURES: dict[str, Feature] = {
    "take": Feature("bytes"),
    "views": Feature("bytes", ("V",)),
    "subject": Feature("bytes"),
    "label": Feature("bytes"),
    "label_id": Feature("int"),
    "start_us": Feature("int"),
    "end_us": Feature("int"),
    "time": Feature("float", ("T",)),
    "hand_landmarks": Feature("float", ("T", "V", "H", LANDMARKS, 3)),
    "hand_world_landmarks": Feature("float", ("T", "V", "H", LANDMARKS, 3)),
    "handedness": Feature("float", ("T", "V", "H")),
    "state": Feature("int", ("T", "V", "H")),
    "side": Feature("int", ("V", "H")),
    "image_size": Feature("int", ("V", 2)),
}
"""Every feature of a record, in the order in which they are documented."""


@dataclass
class Statistics:
    """Counts over windows that come out the same in whatever order they are merged."""

    windows: int = 0
    frames: int = 0
    hands_seen: int = 0
    hands_interpolated: int = 0
    windows_without_hands: int = 0
    steps_us: dict[int, int] = field(default_factory=dict)
    """Median time step of a window in microseconds -> number of windows."""
    lengths: dict[int, int] = field(default_factory=dict)
    """Number of frames of a window -> number of windows."""

    def add(self, window: Window) -> None:
        frames = len(window.time)
        seen = int((window.state == State.SEEN).sum())
        between = int((window.state == State.INTERPOLATED).sum())
        self.windows += 1
        self.frames += frames
        self.hands_seen += seen
        self.hands_interpolated += between
        self.windows_without_hands += seen + between == 0
        self.lengths[frames] = self.lengths.get(frames, 0) + 1
        if frames > 1:
            step = round(float(np.median(np.diff(window.time.astype(np.float64)))) * 1e6)
            self.steps_us[step] = self.steps_us.get(step, 0) + 1

    def merge(self, other: Statistics) -> None:
        self.windows += other.windows
        self.frames += other.frames
        self.hands_seen += other.hands_seen
        self.hands_interpolated += other.hands_interpolated
        self.windows_without_hands += other.windows_without_hands
        for mine, theirs in ((self.steps_us, other.steps_us), (self.lengths, other.lengths)):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count

    def summary(self) -> dict[str, Any]:
        """As it stands in dataset.json."""
        return {
            "windows": self.windows,
            "frames": self.frames,
            "hands_seen": self.hands_seen,
            "hands_interpolated": self.hands_interpolated,
            "windows_without_hands": self.windows_without_hands,
            "frames_a_window": quantiles(self.lengths),
            "step_us": quantiles(self.steps_us),
        }


def quantiles(counts: dict[int, int]) -> dict[str, int] | None:
    """Minimum, median (the lower of two) and maximum of a histogram; None where it is empty.

    >>> quantiles({10: 1, 20: 5, 40: 1})
    {'min': 10, 'median': 20, 'max': 40}
    """
    if not counts:
        return None
    half = (sum(counts.values()) + 1) // 2
    below = 0
    for value in sorted(counts):
        below += counts[value]
        if below >= half:
            break
    return {"min": min(counts), "median": value, "max": max(counts)}
