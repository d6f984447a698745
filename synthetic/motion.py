"""From the table of gestures to where hands are at any time: keys joined by curves, and a person's own manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from handstream.synthetic.anatomy import Array, ramp, unit
from handstream.synthetic.figure import Person
from handstream.synthetic.gestures import BOTH, HANGING, MAIN, READY, Gesture, Key
from handstream.synthetic.pose import ANGLES, SHAPES, within_limits
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, Slerp

REACH_SECONDS = 0.6
"""From where hands rest to where a gesture begins."""
LEAN_OF_DRIFT = 7.0
"""Radians that a hand leans for a metre of drift."""
_WORDS = {
    "up": (0, 1, 0),
    "down": (0, -1, 0),
    "front": (0, 0, 1),
    "back": (0, 0, -1),
    "left": (1, 0, 0),
    "right": (-1, 0, 0),
}


def direction(words: str, right_hand: bool) -> Array:
    """[3] of length one: the person's left, up and front.

    >>> direction("in-up", right_hand=True).round(2).tolist()
    [0.71, 0.71, 0.0]
    """
    own = {"out": "right", "in": "left"} if right_hand else {"out": "left", "in": "right"}
    return unit(np.sum([_WORDS[own.get(word, word)] for word in words.split("-")], axis=0))


@dataclass(frozen=True)
class Timed:
    """A key at a time."""

    seconds: float
    key: Key


@dataclass(frozen=True)
class Manner:
    """How this performance differs from the table's."""

    offset: Array
    """[3] metres, of all places."""
    swing: float
    """By how much movements are larger."""
    lean: Array
    """[3] degrees about left, up and front, of all directions."""
    drift: Array
    """[3, 3]: amplitudes (metres), frequencies (Hz) and phases of a slow drift along left, up and front."""
    shape: Array
    """[21] degrees added to every shape."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Manner:
        drift = np.stack([rng.uniform(0.002, 0.008, 3), rng.uniform(0.2, 0.7, 3), rng.uniform(0, 2 * np.pi, 3)])
        spread = np.array([1.5 if name.endswith("abduction") else 3.0 for name in ANGLES])
        return cls(
            offset=rng.normal(0, (0.015, 0.02, 0.015)),
            swing=float(rng.uniform(0.85, 1.15)),
            lean=rng.normal(0, 4, 3),
            drift=drift,
            shape=rng.normal(0, 1, len(ANGLES)) * spread,
        )

    def at_rest(self) -> Manner:
        """The part of it that a hand has which hangs still."""
        return replace(self, swing=1.0, drift=self.drift * 0)

    def of_two(self) -> Manner:
        """The part of it that two people share whose hands have to meet."""
        only_up = np.array([0.0, 1.0, 0.0])
        return Manner(
            self.offset * only_up,
            1.0,
            self.lean * 0,
            self.drift * np.stack([only_up, np.ones(3), np.ones(3)]),
            self.shape,
        )


@dataclass(frozen=True, eq=False)
class HandPath:
    """A hand over times [T], in the frame of its person: left, up and forward of the point between the shoulders."""

    wrist: Array
    """[T, 3] metres"""
    rotation: Array
    """[T, 3, 3]: from the hand's frame."""
    angles: Array
    """[T, 21] degrees"""


def follow(timed: Sequence[Timed], right: bool, manner: Manner, times: ArrayLike) -> HandPath:
    """Where a hand is at times (seconds), through its keys.

    Places and shapes are monotone between keys (PCHIP), so that they do not overshoot: a hand slows down where it turns
    back. Turns take the shortest way (Slerp).
    """
    times = np.asarray(times, float)
    at = np.array([t.seconds for t in timed])
    keys = [t.key for t in timed]
    rows = np.stack([_row(key, right) for key in keys])
    middle = rows[:, :3].mean(0)
    rows[:, :3] = middle + (rows[:, :3] - middle) * manner.swing
    within = np.clip(times, at[0], at[-1])
    values = PchipInterpolator(at, rows)(within)
    amplitude, frequency, phase = manner.drift
    drift = amplitude * np.sin(2 * np.pi * frequency * times[:, None] + phase)
    # Drift of the place goes with some of the direction: a hand held up is never quite still.
    lean = Rotation.from_rotvec(np.radians(manner.lean) + LEAN_OF_DRIFT * drift)
    turns = Slerp(at, Rotation.from_matrix(np.stack([key_rotation(key, right) for key in keys])))
    rotation = lean * turns(_eased(at, within))
    wrist = values[:, :3] + manner.offset + drift
    return HandPath(wrist, rotation.as_matrix(), within_limits(values[:, 3:] + manner.shape))


def _eased(at: Array, times: Array) -> Array:
    """Times at which turns are read, so that they begin and end gently at each key."""
    left = np.clip(np.searchsorted(at, times, "right") - 1, 0, len(at) - 2)
    span = at[left + 1] - at[left]
    return at[left] + span * ramp(0, 1, (times - at[left]) / span)


def _row(key: Key, right: bool) -> Array:
    """[3 + 21]: place and shape."""
    side = -1 if right else 1
    return np.concatenate([(side * key.out - key.right, key.up, key.front), SHAPES[key.shape]])


def key_rotation(key: Key, right: bool) -> Array:
    """[3, 3] from the hand's frame to the person's."""
    palm, fingers, outward = (direction(words, right) for words in (key.palm, key.fingers, "out"))
    outward = unit(outward - palm * (outward @ palm))
    fingers = unit(fingers - palm * (fingers @ palm))
    lean = np.radians(key.tilt)
    return hand_rotation(palm, fingers * np.cos(lean) + unit(outward - fingers * (outward @ fingers)) * np.sin(lean))


def hand_rotation(palm: Array, fingers: Array) -> Array:
    """[..., 3, 3] from the hand's frame, so that the palm looks, and the fingers nearly point, where asked [..., 3]."""
    z = -unit(palm)
    y = unit(fingers - z * (fingers * z).sum(-1, keepdims=True))
    return np.stack([np.cross(y, z), y, z], -1)


def spread_evenly(keys: Sequence[Key], start: float, end: float) -> list[Timed]:
    """Keys between two times: where they say, or evenly between those that say so (the first and last do)."""
    shares = [key.at for key in keys]
    shares[0], shares[-1] = shares[0] or 0.0, 1.0 if shares[-1] is None else shares[-1]
    known = [i for i, share in enumerate(shares) if share is not None]
    at = np.interp(np.arange(len(keys)), known, [shares[i] for i in known])  # type: ignore[arg-type]
    return [Timed(start + (end - start) * float(s), key) for s, key in zip(at, keys, strict=True)]


def performs(gesture: Gesture, person: Person, right: bool, first: bool) -> bool:
    """Whether this hand takes part.

    Args:
        first: the person who does what takes but one.
    """
    if gesture.people == 2:
        return right
    if not first:
        return False
    main = right == person.right_handed
    return gesture.hands == BOTH or main == (gesture.hands == MAIN)


def idle(rng: np.random.Generator, start: float, end: float, moving: bool) -> list[Timed]:
    """A hand that does nothing in particular between two times: about where it rests, or (moving) here and there."""
    at, timed = start, []
    while at < end:
        key = READY
        if moving:
            key = READY.but(
                out=float(rng.uniform(0.14, 0.24)),
                up=float(rng.uniform(-0.32, -0.08)),
                front=float(rng.uniform(0.26, 0.38)),
                palm=str(rng.choice(["back", "back-down", "back-in", "down-back-in"])),
                tilt=float(rng.uniform(-25, 25)),
                shape=str(rng.choice(["relaxed", "relaxed", "half", "open"])),
            )
        timed.append(Timed(at, key))
        at += float(rng.uniform(0.5, 1.1))
    return timed


def hanging(start: float, end: float) -> list[Timed]:
    return [Timed(start, HANGING), Timed(end, HANGING)]
