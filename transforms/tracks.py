"""Hands followed through a clip: the detector's list order is no identity, and its left and right flicker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from handstream.records.window import LANDMARKS, Side
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
FORBIDDEN = 1e6
LEAST_ALONE = 5
"""Frames in which a hand is not joined with another, from which on they alone tell its side: single labels flicker."""
JOINED = 1.2
"""Palm sizes between the centres of two palms, below which the hands cover one another: of clasped hands the detector
takes one for the other's side (rendered handshakes, whose truth is known)."""


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
    """Mean evidence of a frame that it is a right hand: of those of the whole track in which it is not joined with
    another, where there are some."""

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


def palm_size(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """[...] size of palms in the units of their points [..., 21, 2]: the longest side, for a hand may be edge-on."""
    sides = (
        points[..., [WRIST, INDEX_MCP, WRIST, WRIST], :] - points[..., [MIDDLE_MCP, PINKY_MCP, INDEX_MCP, PINKY_MCP], :]
    )
    return np.asarray(np.hypot(sides[..., 0], sides[..., 1]).max(axis=-1))


def joined(centres: NDArray[np.float64], palms: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[hands] which hands of a frame are so near to another that they cover one another.

    Args:
        centres: [hands, 2] of their palms; `palms` [hands] their sizes.
    """
    apart = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    return (apart < JOINED * np.maximum(palms[:, None], palms)).any(axis=1)


@dataclass(eq=False)
class _Open:
    """A track that grows."""

    frames: list[int] = field(default_factory=list)
    hands: list[Hand] = field(default_factory=list)
    alone: list[bool] = field(default_factory=list)
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    palm: float = 0.0
    time_us: int = 0


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
    gap_us = longest_gap_us(times_us)
    every = [hand.landmarks[:, :2] for seen in hands for hand in seen]
    points = np.stack(every).astype(np.float64) * size if every else np.zeros((0, LANDMARKS, 2))
    centres = points[:, PALM].mean(axis=1)
    palms = np.maximum(palm_size(points), 1e-6)
    tracks: list[_Open] = []
    alive: list[_Open] = []
    first = 0
    for frame, (time_us, seen) in enumerate(zip(times_us.tolist(), hands, strict=True)):
        alive = [track for track in alive if time_us - track.time_us <= gap_us]
        here = slice(first, first + len(seen))
        first = here.stop
        taken = _pair(alive, seen, centres[here], palms[here], time_us)
        alone = ~joined(centres[here], palms[here])
        for j, hand in enumerate(seen):
            track = taken.get(j)
            if track is None:
                track = _Open()
                tracks.append(track)
                alive.append(track)
            track.frames.append(frame)
            track.hands.append(hand)
            track.alone.append(bool(alone[j]))
            track.centre, track.palm, track.time_us = centres[here][j], palms[here][j], time_us
    return [_closed(track) for track in tracks]


def _pair(
    alive: Sequence[_Open],
    seen: Sequence[Hand],
    centres: NDArray[np.float64],
    palms: NDArray[np.float64],
    time_us: int,
) -> dict[int, _Open]:
    """Which of the detections of a frame goes on with which track."""
    if not alive or not seen:
        return {}
    moved = centres - np.array([track.centre for track in alive])[:, None]
    unit = np.maximum(palms, np.array([track.palm for track in alive])[:, None])
    distance = np.hypot(moved[..., 0], moved[..., 1]) / unit
    waited = np.array([time_us - track.time_us for track in alive]) / 1e6
    near = distance <= np.minimum(REACH + SPEED * waited, FARTHEST)[:, None]
    scores = np.array([track.hands[-1].handedness for track in alive])[:, None]
    cost = distance + np.abs(scores - np.array([hand.handedness for hand in seen]))
    # A forbidden pair costs more than all others together, and is dropped afterwards.
    rows, columns = linear_sum_assignment(np.where(near, cost, FORBIDDEN))
    return {int(j): alive[i] for i, j in zip(rows, columns, strict=True) if near[i, j]}


def _closed(track: _Open) -> Track:
    handedness = np.array([hand.handedness for hand in track.hands], np.float32)
    alone = np.array(track.alone)
    return Track(
        np.array(track.frames, np.int64),
        handedness,
        np.stack([hand.landmarks for hand in track.hands]),
        np.stack([hand.world for hand in track.hands]),
        mean_log_odds(handedness[alone] if alone.sum() >= LEAST_ALONE else handedness),
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
