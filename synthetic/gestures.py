"""The gestures: a table. A gesture says where each hand is at some moments, how it is turned and what shape it has.

To add one, add a `Gesture` to `GESTURES`: it can be rendered, and is in the default set, from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from handstream.records.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Key:
    """A hand at one moment. Places are in metres from the point between the shoulders of its person.

    Directions are words of the person's own: up, down, front (away from them), back, left, right, in (towards the other
    side) and out; several joined by - are their sum.
    """

    out: float = 0.0
    """To the hand's own side."""
    right: float = 0.0
    """To the person's right, whichever hand it is."""
    up: float = 0.0
    front: float = 0.33
    palm: str = "front"
    """Where the palm looks."""
    fingers: str = "up"
    """Where straight fingers point."""
    tilt: float = 0.0
    """Degrees that the fingers lean outwards, about the palm's axis."""
    shape: str = "open"
    """One of `SHAPES`."""
    at: float | None = None
    """Share of the gesture's time; None: spaced evenly between its neighbours."""

    def but(self, **changes: object) -> Key:
        return replace(self, **changes)  # type: ignore[arg-type]


def swing(cycles: int, *keys: Key) -> tuple[Key, ...]:
    """The keys over and over, and the first again."""
    return keys * cycles + keys[:1]


def circle(centre: Key, radius: float, rounds: int) -> tuple[Key, ...]:
    """A circle in the plane before the person: clockwise for them."""
    angles = np.linspace(0, 2 * np.pi * rounds, 8 * rounds + 1)
    return tuple(
        centre.but(right=centre.right + radius * float(np.sin(a)), up=centre.up + radius * float(np.cos(a)))
        for a in angles
    )


def hold(key: Key) -> tuple[Key, ...]:
    return (key, key)


MAIN, BOTH = "main", "both"
"""Which hand of a person: the one they are used to, or both, each on its own side."""


@dataclass(frozen=True)
class Gesture:
    """What hands do."""

    name: str
    keys: tuple[Key, ...] = ()
    hands: str = MAIN
    seconds: float = 1.6
    """How long it takes somebody of an even temper, without the way there and back."""
    still: bool = False
    people: int = 1
    """2: both do the same, facing each other; the right hands, and places are meant from the middle between them."""
    grip: tuple[float, float] | None = None
    """Shares of its time between which fingers close about the other's hand."""
    hard: bool = False
    """Hands are hidden, seen edge on or clenched: beyond what the detector finds. Not in the default set."""


READY = Key(out=0.13, up=-0.3, front=0.3, palm="back-down", fingers="in-up", shape="relaxed")
"""Before the belly: where a gesture begins and ends."""
HANGING = Key(out=0.27, up=-0.6, front=0.04, palm="in", fingers="down", shape="relaxed")

_RAISED = Key(out=0.1, up=-0.08)
_LEFTMOST = Key(right=-0.18, up=-0.1, fingers="up-left")
_RIGHTMOST = Key(right=0.18, up=-0.1, fingers="up-right")
_CLAP = Key(out=0.13, up=-0.14, palm="in-front", fingers="up-up-front", shape="open")
_SHAKE = Key(out=0.008, up=-0.22, front=-0.06, palm="in", fingers="front-front-down", shape="grip")

GESTURES = (
    Gesture("wave", swing(3, _RAISED.but(out=0.05, tilt=-20), _RAISED.but(out=0.15, tilt=20)), seconds=1.8),
    Gesture("swipe left", (_RIGHTMOST.but(at=0.0), _LEFTMOST.but(at=0.45), _LEFTMOST.but(up=-0.28)), seconds=1.0),
    Gesture("swipe right", (_LEFTMOST.but(at=0.0), _RIGHTMOST.but(at=0.45), _RIGHTMOST.but(up=-0.28)), seconds=1.0),
    Gesture("circle", circle(Key(out=0.06, up=-0.12, shape="point"), 0.09, 2), seconds=2.0),
    Gesture("beckon", swing(3, _RAISED.but(palm="back", tilt=8), _RAISED.but(palm="back", shape="half"))),
    Gesture("push", swing(2, _RAISED.but(front=0.24), _RAISED.but(front=0.42)), seconds=1.8),
    Gesture("clap", swing(4, _CLAP, _CLAP.but(out=0.0, palm="in-in-front")), BOTH, seconds=1.6),
    Gesture("zoom", swing(2, *(Key(out=x, up=-0.12, shape="pinch") for x in (0.07, 0.2))), BOTH, seconds=2.0),
    Gesture(
        "handshake",
        (
            _SHAKE.but(front=-0.3, at=0.0),
            _SHAKE.but(at=0.3),
            *(_SHAKE.but(up=-0.22 + 0.035 * k) for k in (1, -1, 1, -1)),
            _SHAKE.but(at=0.75),
            _SHAKE.but(front=-0.3, at=1.0),
        ),
        people=2,
        seconds=2.4,
        grip=(0.28, 0.77),
    ),
    Gesture(
        "high five",
        (
            Key(out=0.05, up=-0.12, front=-0.26, palm="front-in", at=0.0),
            Key(out=0.0, up=0.0, front=0.0, palm="front", at=0.45),
            Key(out=0.0, up=0.0, front=0.0, palm="front", at=0.55),
            Key(out=0.05, up=-0.14, front=-0.26, palm="front-in", at=1.0),
        ),
        people=2,
        seconds=1.2,
    ),
    Gesture(
        "thumbs up", hold(Key(out=0.05, up=-0.14, palm="back-in", fingers="in-front", shape="thumb up")), still=True
    ),
    Gesture("open palm", hold(_RAISED.but(shape="spread")), still=True),
    Gesture("none", hands=BOTH),
    Gesture("fist", hold(_RAISED.but(shape="fist")), still=True, hard=True),
    Gesture("victory", hold(_RAISED.but(shape="victory")), still=True, hard=True),
    Gesture("karate chop", swing(2, *(Key(up=u, palm="in", fingers="front-up") for u in (0.0, -0.2))), hard=True),
    Gesture("folded hands", hold(Key(out=0.0, up=-0.2, palm="in", fingers="front-up", shape="half")), BOTH, hard=True),
)
"""none: hands that move about idly."""
DEFAULT = tuple(gesture.name for gesture in GESTURES if not gesture.hard)
HARD = tuple(gesture.name for gesture in GESTURES if gesture.hard)


def gestures_named(names: Iterable[str]) -> list[Gesture]:
    """The gestures of these names, in the order of the table.

    Raises:
        InputError: there is no such gesture.
    """
    known = {gesture.name: gesture for gesture in GESTURES}
    wanted = [name.strip().replace("_", " ") for name in names]
    for name in wanted:
        if name not in known:
            raise InputError(f"there is no gesture {name!r}. {did_you_mean(name, known)}")
    return [gesture for gesture in GESTURES if gesture.name in wanted]
