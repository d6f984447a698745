"""What a detector found, held against what is true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from handstream.records.window import Side, State
from handstream.synthetic.anatomy import Array, unit
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

SEEN_LANDMARKS = 18
"""Of 21: a hand that shows so many is visible, and should be found."""
FACING = 50.0
"""Degrees between the palm's axis and the line of sight, up to which palm or back is seen; beyond it the edge."""
WRIST, INDEX_MCP, MIDDLE_MCP, LITTLE_MCP = 0, 5, 9, 17


@dataclass(frozen=True, eq=False)
class TrueHand:
    """A hand in a frame of a view."""

    world: Array
    """[21, 3] metres"""
    pixels: Array
    """[21, 2]"""
    visible: NDArray[np.bool_]
    """[21]"""
    person: int
    right: bool
    facing: str
    """palm, back or side: what of it the camera sees."""

    @property
    def is_visible(self) -> bool:
        return int(self.visible.sum()) >= SEEN_LANDMARKS


@dataclass(frozen=True, eq=False)
class FoundHand:
    """What a detector says of a hand."""

    pixels: Array
    """[21, 2]"""
    right: bool
    """By the vote of its track, where there is one."""


@dataclass
class Score:
    """Sums over frames; shares of them are the properties."""

    visible: int = 0
    found: int = 0
    """Visible hands that were found."""
    side_right: int = 0
    """Of these."""
    detections: int = 0
    false: int = 0
    """Detections where no hand is."""
    errors: list[float] = field(default_factory=list)
    """Pixels, of each landmark of the found hands."""

    def __add__(self, other: Score) -> Score:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Score(**sums)

    @property
    def found_share(self) -> float:
        return self.found / self.visible if self.visible else float("nan")

    @property
    def side_share(self) -> float:
        return self.side_right / self.found if self.found else float("nan")

    @property
    def false_share(self) -> float:
        return self.false / self.detections if self.detections else 0.0

    @property
    def median_error(self) -> float:
        return float(np.median(self.errors)) if self.errors else float("nan")


def facing(landmarks: Array, right: bool, camera_centre: Array) -> str:
    """What of a hand a camera sees.

    Args:
        landmarks: [21, 3] of the world.
        camera_centre: [3]
    """
    wrist, index, little = landmarks[[WRIST, INDEX_MCP, LITTLE_MCP]]
    palm = unit(np.cross(index - wrist, little - wrist)) * (1 if right else -1)
    cosine = float(palm @ unit(camera_centre - landmarks[[INDEX_MCP, LITTLE_MCP]].mean(0)))
    if abs(cosine) < np.cos(np.radians(FACING)):
        return "side"
    return "palm" if cosine > 0 else "back"


def palm_width(pixels: Array) -> float:
    """How large a hand is in the picture: the longer of the palm's two extents, which seldom are both foreshortened."""
    across = np.linalg.norm(pixels[INDEX_MCP] - pixels[LITTLE_MCP])
    return float(max(across, 0.75 * np.linalg.norm(pixels[MIDDLE_MCP] - pixels[WRIST])))


def match_hands(true: Sequence[TrueHand], found: Sequence[FoundHand]) -> list[tuple[int, int]]:
    """Pairs (true, found) that are the same hand: their landmarks are a palm's width apart at most, in the mean.

    Of a hand that is partly hidden or out of the picture those count that can be seen.
    """
    if not true or not found:
        return []
    cost = np.array([[_apart(t, f) for f in found] for t in true])
    rows, columns = linear_sum_assignment(np.minimum(cost, 10))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < 1]


def _apart(true: TrueHand, found: FoundHand) -> float:
    """Palm widths between two hands' landmarks, in the mean."""
    shown = true.visible if true.visible.any() else slice(None)
    return float(np.linalg.norm((true.pixels - found.pixels)[shown], axis=1).mean() / palm_width(true.pixels))


Frame = tuple[Sequence[TrueHand], Sequence[FoundHand]]


def frames_of_window(
    window: dict[str, Any], view: str, true: dict[int, list[TrueHand]], tolerance_us: int = 1000
) -> Iterator[Frame]:
    """What is true and what was detected in each frame of a view, as long as the window lasts.

    Args:
        window: as `records.dataset.read_windows` gives it.
        true: hands by time in the view's video, in microseconds.
        tolerance_us: between a frame's time in the truth and in the window.
    """
    v = window["views"].index(view)
    size = window["image_size"][v]
    clock = np.round(window["time"].astype(np.float64) * 1e6).astype(np.int64) + window["start_us"]
    for time_us, hands in sorted(true.items()):
        if not clock[0] - tolerance_us <= time_us <= clock[-1] + tolerance_us:
            continue
        t = int(np.abs(clock - time_us).argmin())
        if abs(int(clock[t]) - time_us) > tolerance_us:
            yield hands, []  # a frame that was lost: what was to be seen in it was missed
            continue
        seen = np.flatnonzero(window["state"][t, v] == State.SEEN)
        landmarks = window["hand_landmarks"][t, v, :, :, :2] * size
        yield hands, [FoundHand(landmarks[h], window["side"][v, h] == Side.RIGHT) for h in seen]


def measure(frames: Iterable[Frame]) -> dict[str, Score]:
    """Scores by what of the hand is seen: palm, back, side; and of all."""
    scores: dict[str, Score] = defaultdict(Score)
    for true, found in frames:
        pairs = dict(match_hands(true, found))
        matched = set(pairs.values())
        scores["all"].detections += len(found)
        scores["all"].false += len(found) - len(matched)
        for t, hand in enumerate(true):
            if not hand.is_visible:
                continue
            for score in (scores[hand.facing], scores["all"]):
                score.visible += 1
                if t in pairs:
                    other = found[pairs[t]]
                    score.found += 1
                    score.side_right += other.right == hand.right
                    score.errors += np.linalg.norm(hand.pixels - other.pixels, axis=1).tolist()
    return dict(scores)
