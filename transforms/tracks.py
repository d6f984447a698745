"""Hands followed through a clip: the detector's list order is no identity, and its left and right flicker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from handstream.records.window import Side
from handstream.transforms.landmarks import Hand
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

WRIST, MIDDLE_MCP, INDEX_MCP, PINKY_MCP = 0, 9, 5, 17
PALM = [0, 5, 9, 13, 17]
"""Wrist and the knuckles of the four fingers: what moves least with the fingers."""

GAP_SECONDS, GAP_INTERVALS = 0.2, 2.5
"""How long a hand may be unseen and still be the same: the greater of seconds and median frame intervals."""

REACH, SPEED, FARTHEST = 0.3, 30.0, 4.0
"""How far a hand may be from where it was, in palm sizes: jitter, a second's movement, and the most. 30 palms a second
is some 3 m/s for a palm of 0.1 m, which the hands of a gesture hardly exceed."""


@dataclass(frozen=True, eq=False)
class Track:
    """One physical hand through a clip."""

    frames: NDArray[np.int64]
    """[n] indices of the frames in which it was seen, increasing."""
    handedness: NDArray[np.float32]
    """[n]"""
    landmarks: NDArray[np.float32]
    """[n, 21, 3]"""
    world: NDArray[np.float32]
    """[n, 21, 3]"""
    log_odds: float
    """Mean evidence of a frame of the whole track that it is a right hand."""

    @property
    def side(self) -> Side:
        return vote(self.log_odds)

    def part(self, which: Sequence[int]) -> Track:
        """Some of its frames, with the evidence of the whole."""
        chosen = np.array(which, np.int64)
        return replace(
            self,
            frames=self.frames[chosen],
            handedness=self.handedness[chosen],
            landmarks=self.landmarks[chosen],
            world=self.world[chosen],
        )


def mean_log_odds(handedness: NDArray[np.float32]) -> float:
    """Mean over frames of log(p / (1 - p)), p being the score of a right hand; a certain score counts as 0.999."""
    p = np.clip(handedness.astype(np.float64), 1e-3, 1 - 1e-3)
    return float(np.log(p / (1 - p)).mean())


def vote(log_odds: float) -> Side:
    """The side that the evidence speaks for."""
    if log_odds == 0:
        return Side.UNKNOWN
    return Side.RIGHT if log_odds > 0 else Side.LEFT


def longest_gap_us(times_us: NDArray[np.int64]) -> float:
    """How far apart two detections of one hand may be, in microseconds.

    Args:
        times_us: [frames] of the clip.
    """
    median = float(np.median(np.diff(times_us))) if len(times_us) > 1 else 0.0
    return max(GAP_SECONDS * 1e6, GAP_INTERVALS * median)


def palm_size(points: NDArray[np.float64]) -> float:
    """Size of a palm in the units of its points [21, 2]: its longest side, since a hand may be seen edge-on."""
    pairs = [(WRIST, MIDDLE_MCP), (INDEX_MCP, PINKY_MCP), (INDEX_MCP, WRIST), (PINKY_MCP, WRIST)]
    return max(float(np.hypot(*(points[a] - points[b]))) for a, b in pairs)


@dataclass(eq=False)
class _Open:
    """A track that grows."""

    frames: list[int]
    hands: list[Hand]
    centre: NDArray[np.float64]
    palm: float
    time_us: int


def follow_hands(times_us: NDArray[np.int64], hands: Sequence[Sequence[Hand]], size: tuple[int, int]) -> list[Track]:
    """Join the detections of a clip into tracks.

    From frame to frame the pairs of tracks and detections are chosen that cost least in sum (Kuhn-Munkres, by SciPy's
    linear_sum_assignment). A pair costs the distance of their palms' centres in palm sizes, and the difference of the
    handedness scores, so that the side decides only between hands that are close together.

    Args:
        times_us: [frames], not decreasing.
        hands: [frames] the detections of each.
        size: width and height of the picture, so that distances are true.

    Returns:
        tracks in the order of their first frames; every detection is in exactly one.
    """
    scale = np.array(size, np.float64)
    gap_us = longest_gap_us(times_us)
    tracks: list[_Open] = []
    alive: list[_Open] = []
    for frame, (time_us, seen) in enumerate(zip(times_us.tolist(), hands, strict=True)):
        alive = [track for track in alive if time_us - track.time_us <= gap_us]
        points = [hand.landmarks[:, :2].astype(np.float64) * scale for hand in seen]
        centres = [p[PALM].mean(axis=0) for p in points]
        palms = [palm_size(p) for p in points]
        taken: dict[int, _Open] = {}
        if alive and seen:
            cost = np.full((len(alive), len(seen)), np.inf)
            for i, track in enumerate(alive):
                reach = min(REACH + SPEED * (time_us - track.time_us) / 1e6, FARTHEST)
                for j, hand in enumerate(seen):
                    unit = max(track.palm, palms[j], 1e-6)
                    distance = float(np.hypot(*(track.centre - centres[j]))) / unit
                    if distance <= reach:
                        cost[i, j] = distance + abs(track.hands[-1].handedness - hand.handedness)
            # A forbidden pair costs more than all others together, and is dropped afterwards.
            far = 1e6
            rows, columns = linear_sum_assignment(np.where(np.isinf(cost), far, cost))
            taken = {int(j): alive[i] for i, j in zip(rows, columns, strict=True) if cost[i, j] < far}
        for j, hand in enumerate(seen):
            if j in taken:
                track = taken[j]
                track.frames.append(frame)
                track.hands.append(hand)
                track.centre, track.palm, track.time_us = centres[j], palms[j], time_us
            else:
                track = _Open([frame], [hand], centres[j], palms[j], time_us)
                tracks.append(track)
                alive.append(track)
    return [_closed(track) for track in tracks]


def _closed(track: _Open) -> Track:
    handedness = np.array([hand.handedness for hand in track.hands], np.float32)
    return Track(
        np.array(track.frames, np.int64),
        handedness,
        np.stack([hand.landmarks for hand in track.hands]),
        np.stack([hand.world for hand in track.hands]),
        mean_log_odds(handedness),
    )


def assign_slots(tracks: Sequence[Track], slots: int, by_side: bool) -> tuple[list[Track], list[int | None]]:
    """A slot for each track; no slot holds two hands in one frame.

    The tracks seen most choose first. By side, a left hand wants slot 0 and a right one slot 1, and what finds its
    slot taken goes to a free one; otherwise the tracks seen most have a slot each, in the order in which they appear.
    A track that no slot has room for as a whole is cut, and its parts go where there is room.

    Returns:
        the tracks, some cut in parts, and the slot of each: None only for frames in which more hands than slots were.
    """
    order = sorted(range(len(tracks)), key=lambda i: (-len(tracks[i].frames), i))
    taken: list[set[int]] = [set() for _ in range(slots)]
    if by_side:
        wanted = {i: _wanted_by_side(tracks[i], slots) for i in order}
    else:
        first = {i: slot for slot, i in enumerate(sorted(order[:slots]))}
        wanted = {i: [first[i]] if i in first else list(range(slots)) for i in order}
    placed: list[tuple[int, Track, int | None]] = []
    for i in order:
        for part, slot in _place(tracks[i], wanted[i], taken):
            placed.append((i, part, slot))
            if slot is not None:
                taken[slot].update(part.frames.tolist())
    placed.sort(key=lambda entry: entry[0])
    return [track for _, track, _ in placed], [slot for _, _, slot in placed]


def _wanted_by_side(track: Track, slots: int) -> list[int]:
    own = [int(track.side)] if track.side != Side.UNKNOWN and track.side < slots else []
    return own + [slot for slot in range(slots) if slot not in own]


def _place(track: Track, wanted: Sequence[int], taken: Sequence[set[int]]) -> Iterator[tuple[Track, int | None]]:
    """The track in the first slot with room for all of it, else in parts, each as long as can be."""
    frames = track.frames.tolist()
    for slot in wanted:
        if taken[slot].isdisjoint(frames):
            yield track, slot
            return
    start = 0
    while start < len(frames):
        lengths = {slot: _free_run(frames[start:], taken[slot]) for slot in wanted}
        best = max(wanted, key=lambda slot: lengths[slot])
        length = lengths[best]
        free = length > 0
        if not free:
            length = min(_free_run(frames[start:], taken[slot], free=False) for slot in wanted)
        yield track.part(range(start, start + length)), best if free else None
        start += length


def _free_run(frames: Sequence[int], taken: set[int], free: bool = True) -> int:
    """How many frames from the first on a slot is free (or taken)."""
    return next((n for n, frame in enumerate(frames) if (frame not in taken) != free), len(frames))
