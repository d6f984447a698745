"""Windows as the network reads them: one view, an even number of steps. NumPy alone, so that serving does the same.

T frames as they were sampled, N steps, H hand slots, 21 landmarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from handstream.records.window import Side, State
from numpy.typing import NDArray

Floats = NDArray[np.float32]

INPUTS = ("image", "world", "3d")
"""What the network sees of a hand: landmarks of the picture; these and MediaPipe's metric shape; triangulated ones."""
STILL_SECONDS = 1.0
"""How long an image is held when it is recognized."""
GAP_SECONDS, GAP_INTERVALS = 0.2, 2.5
"""Between detections further apart than the greater of these a hand is missing; as in extraction."""


@dataclass(frozen=True, eq=False)
class Example:
    """What one view, or the triangulation of all, shows of a window."""

    points: Floats
    """[T, H, 21, C]: x, y, z; for `world` then three more. NaN where no hand was seen."""
    time: Floats
    """[T] seconds from the window's start, not decreasing."""
    side: NDArray[np.int64]
    """[H]: 0 left, 1 right, -1 unknown."""
    aspect: float
    """Height of the picture in widths, which makes x and y comparable; 1 where points are metric."""
    label: int = -1
    view: str = ""
    """Empty: the only one, or all of them."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """[T, H]"""
        return np.isfinite(self.points[:, :, 0, 0])


def channels(kind: str) -> int:
    """How many numbers a landmark has in an input."""
    return 6 if kind == "world" else 3


def examples_of(window: dict[str, Any], kind: str) -> Iterator[Example]:
    """An example for each view that saw a hand; for `3d` one of all views.

    Args:
        window: arrays in the shapes of the contract, as `records.dataset.shape_window` gives them.
        kind: of `INPUTS`.
    """
    if kind == "3d":
        side = window["side"].max(axis=0)  # known where any view knows it
        points = np.asarray(window["hand_landmarks_3d"], np.float32)
        if np.isfinite(points).any():
            yield Example(points, window["time"], side, 1.0, window["label_id"])
        return
    for v in range(window["state"].shape[1]):
        seen = np.isin(window["state"][:, v], (State.SEEN, State.INTERPOLATED))
        if not seen.any():
            continue
        points = window["hand_landmarks"][:, v]
        if kind == "world":
            points = np.concatenate([points, window["hand_world_landmarks"][:, v]], axis=-1)
        points = np.where(seen[..., None, None], points, np.nan).astype(np.float32)
        width, height = window["image_size"][v]
        view = window["views"][v]
        yield Example(points, window["time"], window["side"][v], height / width, window["label_id"], view)


@dataclass(frozen=True, eq=False)
class Steps:
    """An example on an even clock: the network's input."""

    points: Floats
    """[N, H, 21, C]"""
    seconds: float
    """From the first step to the last."""
    side: Floats
    """[H]: -1 left, 1 right, 0 unknown."""
    aspect: float


def longest_gap(time: Floats) -> float:
    """Seconds that a hand may be unseen and be interpolated."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    return max(GAP_SECONDS, GAP_INTERVALS * float(np.median(steps)) if len(steps) else 0.0)


def resample(example: Example, steps: int, still_seconds: float = STILL_SECONDS) -> Steps:
    """Read an example at evenly spaced times, between detections that are not too far apart by interpolation.

    One frame is held for `still_seconds`.
    """
    time = example.time.astype(np.float64)
    hands = example.points.shape[1]
    points = np.full((steps, *example.points.shape[1:]), np.nan, np.float32)
    intervals = np.diff(time)
    interval = float(np.median(intervals[intervals > 0])) if (intervals > 0).any() else 0.0
    length = time[-1] - time[0]
    clock = time[0] + np.arange(steps) * (length / max(steps - 1, 1))
    gap = longest_gap(example.time)
    for h in range(hands):
        frames = np.flatnonzero(example.present[:, h])
        if not len(frames):
            continue
        at = time[frames]
        right = np.clip(np.searchsorted(at, clock), 0, len(at) - 1)
        left = np.clip(right - 1, 0, len(at) - 1)
        left = np.where(at[right] <= clock, right, left)
        span = at[right] - at[left]
        weight = np.where(span > 0, (clock - at[left]) / np.where(span > 0, span, 1), 0.0)
        # At the ends, and about a single detection: no further than half a frame.
        step = length / max(steps - 1, 1)
        near = np.minimum(np.abs(clock - at[left]), np.abs(at[right] - clock)) <= max(interval, step) / 2 + 1e-9
        within = (at[left] <= clock) & (clock <= at[right]) & (span <= gap)
        weight = np.where(within, weight, np.abs(clock - at[left]) > np.abs(at[right] - clock))
        w = weight.astype(np.float32)[:, None, None]
        values = (1 - w) * example.points[frames[left], h] + w * example.points[frames[right], h]
        points[:, h] = np.where((within | near)[:, None, None], values, np.nan)
    seconds = float(length) if length > 0 else still_seconds
    side = np.select([example.side == Side.LEFT, example.side == Side.RIGHT], [-1.0, 1.0], 0.0)
    return Steps(points, seconds, side.astype(np.float32), example.aspect)


@dataclass(frozen=True)
class Augmentation:
    """How examples are varied in training; shares are probabilities."""

    tempo: tuple[float, float] = (0.5, 1.5)
    crop: float = 0.15
    """Most of the time that is cut off at either end."""
    degrees: float = 15.0
    scale: float = 0.2
    shear: float = 0.1
    jitter: float = 0.002
    """Of a picture's width."""
    hand: float = 0.05
    finger: float = 0.1
    span: float = 0.2
    """That a span of up to a fifth of the time is lost."""
    mirror: bool = False
    still_seconds: tuple[float, float] = (0.3, 3.0)
    still_jitter: float = 0.004


def augment(example: Example, rng: np.random.Generator, how: Augmentation) -> Example:
    """A variation of an example that has the same label."""
    points, time = example.points.copy(), example.time.astype(np.float64)
    side = example.side
    if time[-1] == time[0]:
        # An image is held for a while, by a hand that is not quite still.
        held = rng.uniform(*how.still_seconds)
        frames = max(int(held * 15), 2)
        time = np.linspace(0, held, frames)
        wander = np.cumsum(rng.normal(0, how.still_jitter, (frames, 1, 1, points.shape[-1])), axis=0)
        points = np.repeat(points[:1], frames, axis=0) + wander.astype(np.float32)
    else:
        time = time / rng.uniform(*how.tempo)
        keep = _cropped(time, rng, how.crop)
        if np.isfinite(points[keep][:, :, 0, 0]).any():
            points, time = points[keep], time[keep]
    if how.mirror and rng.random() < 0.5:
        points[..., 0] = (1.0 if example.aspect != 1.0 else 0.0) - points[..., 0]
        if points.shape[-1] == 6:
            points[..., 3] = -points[..., 3]
        side = np.where(side >= 0, 1 - side, side)
    matrix = _affine(rng, how)
    middle = np.array((0.5, 0.5 * example.aspect), np.float32)
    xy = points[..., :2] * np.array((1, example.aspect), np.float32) - middle
    points[..., :2] = (xy @ matrix + middle) / np.array((1, example.aspect), np.float32)
    if points.shape[-1] == 6:
        points[..., 3:5] = points[..., 3:5] @ matrix
    points[..., :2] += rng.normal(0, how.jitter, points[..., :2].shape).astype(np.float32)
    _drop(points, rng, how)
    return replace(example, points=points.astype(np.float32), time=time.astype(np.float32), side=side)


def _cropped(time: NDArray[np.float64], rng: np.random.Generator, most: float) -> slice:
    """All but a little at the beginning and the end; two frames at least."""
    first, last = (time[-1] - time[0]) * rng.uniform(0, most, 2)
    start, stop = np.searchsorted(time, [time[0] + first, time[-1] - last + 1e-9])
    start = min(int(start), len(time) - 2)
    return slice(start, max(int(stop), start + 2))


def _affine(rng: np.random.Generator, how: Augmentation) -> Floats:
    """[2, 2]: turned, scaled and sheared a little."""
    a = np.radians(rng.uniform(-how.degrees, how.degrees))
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    scale = np.exp(rng.uniform(-how.scale, how.scale))
    stretch = np.exp(rng.uniform(-how.scale, how.scale) / 2)
    shear = np.array([[1, rng.uniform(-how.shear, how.shear)], [0, 1]])
    return (turn @ shear @ np.diag([scale * stretch, scale / stretch])).astype(np.float32)


def _drop(points: Floats, rng: np.random.Generator, how: Augmentation) -> None:
    """Lose a hand where there are two, a finger, a span of time; in place, and never all."""
    frames, hands = points.shape[:2]
    seen = [h for h in range(hands) if np.isfinite(points[:, h, 0, 0]).any()]
    if len(seen) > 1 and rng.random() < how.hand:
        points[:, rng.choice(seen)] = np.nan
    if rng.random() < how.finger:
        # A finger that cannot be seen is guessed at where it starts.
        first = 1 + 4 * int(rng.integers(5))
        points[:, :, first + 1 : first + 4] = points[:, :, first : first + 1]
    if frames > 8 and rng.random() < how.span:
        length = int(rng.integers(1, frames // 5 + 1))
        start = int(rng.integers(0, frames - length))
        rest = np.concatenate([points[:start], points[start + length :]])
        if np.isfinite(rest[:, :, 0, 0]).any():
            points[start : start + length] = np.nan


INPUT_NAMES = ("points", "seconds", "aspect", "side")


def inputs_of(steps: Steps) -> dict[str, np.ndarray]:
    """What the network takes, of one example."""
    return {
        "points": steps.points,
        "seconds": np.array([steps.seconds], np.float32),
        "aspect": np.array([steps.aspect], np.float32),
        "side": steps.side,
    }


def stacked(examples: Iterable[Example], steps: int) -> dict[str, np.ndarray]:
    """What the network takes, of many examples as they are."""
    every = [inputs_of(resample(example, steps)) for example in examples]
    return {name: np.stack([inputs[name] for inputs in every]) for name in INPUT_NAMES}
