"""People: how they differ, where they stand, and how an arm follows its hand. Metres; y goes up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from handstream.synthetic.anatomy import Array, unit
from handstream.synthetic.pose import BARE, WRIST_LIMITS, Build
from handstream.synthetic.render import Surface
from handstream.synthetic.skin import SKIN, Colour
from scipy.interpolate import PchipInterpolator

STATURE = 1.75
"""Of the figure below; all its lengths grow with a person's own."""
SHOULDER_HEIGHT, HALF_SHOULDERS, UPPER_ARM = 1.44, 0.19, 0.32
"""Near the means of ANSUR II (2012) for men of that stature, to the joints' centres."""
HAIR: tuple[Colour, ...] = ((40, 30, 26), (84, 58, 40), (150, 116, 76), (120, 120, 124))
CLOTH: tuple[Colour, ...] = ((70, 90, 120), (120, 52, 56), (60, 96, 78), (96, 84, 110), (52, 54, 60), (150, 134, 110))
TROUSERS: Colour = (58, 62, 74)
SHOES: Colour = (50, 44, 42)
SEGMENTS = 20
"""Of the circumference of a limb."""


@dataclass(frozen=True)
class Person:
    """What makes somebody's hands and movements their own."""

    name: str
    build: Build
    skin: str = "medium"
    cloth: Colour = CLOTH[0]
    hair: Colour = HAIR[0]
    stature: float = STATURE
    tempo: float = 1.0
    """How quickly they move."""
    right_handed: bool = True
    seed: int = 0
    """Of the blotches of their skin."""

    @property
    def shoulder_height(self) -> float:
        return SHOULDER_HEIGHT * self.stature / STATURE


def make_person(name: str, rng: np.random.Generator) -> Person:
    """Somebody."""
    size = float(rng.uniform(0.9, 1.08))
    build = Build(
        size=size,
        breadth=float(rng.uniform(0.93, 1.07)),
        fingers=float(rng.uniform(0.95, 1.06)),
        forearm=float(0.26 * size * rng.uniform(0.96, 1.04)),
        sleeve=float(rng.choice([55, 80, 130, BARE])),
    )
    return Person(
        name,
        build,
        skin=str(rng.choice(list(SKIN))),
        cloth=CLOTH[rng.integers(len(CLOTH))],
        hair=HAIR[rng.integers(len(HAIR))],
        stature=float(STATURE * (1 + 0.7 * (size - 0.99))),
        tempo=float(rng.uniform(0.85, 1.2)),
        right_handed=bool(rng.random() < 0.85),
        seed=int(rng.integers(1 << 31)),
    )


@dataclass(frozen=True, eq=False)
class Stance:
    """Where somebody stands, and where they look."""

    feet: Array
    """[3]"""
    yaw: float = 0.0
    """Degrees; 0 looks along +z, 90 along +x."""
    axes: Array = field(init=False)
    """[3, 3]: their left, up and forward, as rows."""

    def __post_init__(self) -> None:
        a = np.radians(self.yaw)
        forward = np.array([np.sin(a), 0, np.cos(a)])
        object.__setattr__(self, "axes", np.stack([np.cross((0, 1, 0), forward), (0, 1, 0), forward]))

    def world(self, points: Array) -> Array:
        """Points [..., 3] given as left, up and forward of their feet."""
        return np.asarray(points @ self.axes + self.feet)

    def turned(self, directions: Array) -> Array:
        """The same for directions."""
        return np.asarray(directions @ self.axes)


def shoulder(person: Person, right: bool) -> Array:
    """[3], of the feet."""
    side = -1 if right else 1
    scale = person.stature / STATURE
    return np.array([side * HALF_SHOULDERS * scale, person.shoulder_height, 0.0])


def elbow_of(
    shoulder: Array, wrist: Array, rotation: Array, right: bool, upper: float, forearm: float, pole: Array
) -> Array:
    """Where the elbow is [3]: on the circle that the lengths of the arm leave (law of cosines), as low as it may hang
    without the wrist bending more than it can. An arm out of reach is straight.

    Args:
        rotation: [3, 3] from the hand's frame.
        pole: [3]: where elbows hang.
    """
    reach = wrist - shoulder
    far = float(np.linalg.norm(reach))
    toward = unit(reach)
    if far >= upper + forearm:
        return wrist - toward * forearm
    far = max(far, abs(upper - forearm) + 1e-3)
    along = (upper**2 - forearm**2 + far**2) / (2 * far)
    down = unit(pole - toward * (pole @ toward))
    side = np.cross(toward, down)
    swivel = np.radians(np.arange(-120, 121, 10))
    middle, radius = shoulder + toward * along, np.sqrt(max(upper**2 - along**2, 0))

    def elbow(angle: Array) -> Array:
        return middle + radius * (np.cos(angle)[..., None] * down + np.sin(angle)[..., None] * side)

    wanted = _wrist_angles(unit((elbow(swivel) - wrist) @ rotation), right)
    strain = np.abs(wanted - np.clip(wanted, WRIST_LIMITS[:, 0], WRIST_LIMITS[:, 1])).sum(1)
    cost = (strain / 10) ** 2 + (swivel / np.radians(45)) ** 2
    # A mean weighted by ease, not the easiest: so that elbows do not jump.
    weights = np.exp(cost.min() - cost)
    return elbow(np.asarray(weights @ swivel / weights.sum()))


def wrist_angles(rotation: Array, wrist: Array, elbow: Array, right: bool) -> Array:
    """[2] degrees, within what a wrist can do, so that the forearm points to the elbow as nearly as may be.

    Args:
        rotation: [3, 3] from the hand's frame.
    """
    angles = _wrist_angles(unit((elbow - wrist) @ rotation), right)
    return np.clip(angles, WRIST_LIMITS[:, 0], WRIST_LIMITS[:, 1])


def _wrist_angles(arm: Array, right: bool) -> Array:
    """[..., 2] degrees, of directions [..., 3] to the elbow in the hand's frame."""
    across = arm[..., 0] if right else -arm[..., 0]
    return np.degrees(np.stack([np.arcsin(np.clip(-arm[..., 2], -1, 1)), np.arctan2(across, -arm[..., 1])], -1))


def forearm_direction(rotation: Array, angles: Array, right: bool) -> Array:
    """[3]: from the wrist to the elbow, once the wrist is bent by `angles`; the inverse of `wrist_angles`."""
    flexion, deviation = np.radians(angles)
    across = np.cos(flexion) * np.sin(deviation)
    return np.asarray(rotation @ (across if right else -across, -np.cos(flexion) * np.cos(deviation), -np.sin(flexion)))


def tube(path: Array, wide: Sequence[float], deep: Sequence[float], across: Array, colour: Colour) -> Surface:
    """A limb: ellipses about a path [k, 3] with half axes in metres; its ends are round where they are zero.

    Args:
        across: [3]: direction of the wide axes.
    """
    path = np.asarray(path, float)
    along = unit(np.gradient(path, axis=0))
    x = unit(across - along * (along @ across)[:, None])
    y = np.cross(along, x)
    angle = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    w, d = (np.maximum(np.asarray(r, float), 1e-4)[:, None, None] for r in (wide, deep))
    rings = path[:, None] + w * np.cos(angle)[:, None] * x[:, None] + d * np.sin(angle)[:, None] * y[:, None]
    k, i = np.meshgrid(np.arange(len(path) - 1), np.arange(SEGMENTS), indexing="ij")
    a, b = k * SEGMENTS + i, k * SEGMENTS + (i + 1) % SEGMENTS
    quads = np.stack([a, b, b + SEGMENTS, a + SEGMENTS], -1).reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    red, green, blue = (c / 255 for c in colour)
    return Surface(rings.reshape(-1, 3), triangles, (red, green, blue))


@cache
def _smooth(stations: tuple[tuple[float, ...], ...], steps: int = 24) -> Array:
    """Rows between the given ones, by a curve that does not overshoot, evenly spaced along the first column."""
    table = np.array(stations, float)
    at = np.linspace(0, len(table) - 1, steps)
    return np.asarray(PchipInterpolator(np.arange(len(table)), table)(at))


def body(person: Person, stance: Stance) -> list[Surface]:
    """All of somebody but the arms: it stands still."""
    s = person.stature / STATURE
    skin = SKIN[person.skin][0]
    across = stance.axes[0]

    def upright(stations: Sequence[tuple[float, ...]], colour: Colour, side: float = 0.0) -> Surface:
        """Stations: height, half width, half depth, forward."""
        height, wide, deep, forward = (_smooth(tuple(stations)) * s).T
        path = stance.world(np.stack([np.full_like(height, side * s), height, forward], 1))
        return tube(path, wide, deep, across, colour)

    torso = [(0.88, 0, 0, 0), (0.92, 0.16, 0.11, 0), (1.02, 0.155, 0.11, 0), (1.12, 0.14, 0.10, 0.01)]
    torso += [(1.3, 0.17, 0.12, 0.01), (1.42, 0.19, 0.09, 0), (1.47, 0.12, 0.07, 0), (1.49, 0.05, 0.05, 0)]
    neck = [(1.45, 0.055, 0.055, 0), (1.5, 0.052, 0.055, 0.005), (1.56, 0.05, 0.055, 0.01)]
    head = [(1.52, 0, 0, 0.04), (1.535, 0.04, 0.05, 0.035), (1.58, 0.065, 0.085, 0.02), (1.65, 0.075, 0.095, 0.015)]
    head += [(1.7, 0.072, 0.09, 0.012), (1.735, 0.05, 0.065, 0.01), (1.75, 0, 0, 0.01)]
    hair = [(1.6, 0, 0, -0.06), (1.62, 0.06, 0.045, -0.05), (1.66, 0.082, 0.08, -0.02), (1.705, 0.081, 0.097, 0.0)]
    hair += [(1.745, 0.055, 0.07, 0.005), (1.762, 0, 0, 0.005)]
    leg = [(0.94, 0, 0, 0), (0.92, 0.085, 0.1, 0), (0.75, 0.078, 0.085, 0), (0.5, 0.056, 0.06, 0.01)]
    leg += [(0.35, 0.055, 0.06, -0.005), (0.1, 0.042, 0.05, -0.01), (0.06, 0, 0, -0.01)]
    parts = [upright(torso, person.cloth), upright(neck, skin), upright(head, skin), upright(hair, person.hair)]
    for side in (-0.09, 0.09):
        parts.append(upright(leg, TROUSERS, side))
        sole = stance.world(np.array([(side, 0.045, f) for f in (-0.07, -0.06, 0.0, 0.08, 0.16, 0.18)]) * s)
        parts.append(tube(sole, [0, 0.035, 0.04, 0.045, 0.04, 0], [0, 0.04, 0.045, 0.04, 0.03, 0], across, SHOES))
    return parts


def standing_joints(person: Person, stance: Stance) -> dict[str, Array]:
    """Joints [3] of all but the arms, in the world."""
    places: dict[str, tuple[float, float, float]] = {
        "pelvis": (0, 0.93, 0),
        "spine": (0, 1.15, 0),
        "neck": (0, 1.46, 0),
        "head": (0, 1.62, 0.1),
    }
    places["head top"] = (0, STATURE, 0.01)
    for side, x in (("left", 0.09), ("right", -0.09)):
        places |= {f"{side} hip": (x, 0.92, 0), f"{side} knee": (x, 0.5, 0.01), f"{side} ankle": (x, 0.09, -0.01)}
        places |= {f"{side} foot": (x, 0.03, 0.1), f"{side} toe": (x, 0.03, 0.17)}
    scale = person.stature / STATURE
    return {name: stance.world(np.array(place) * scale) for name, place in places.items()}


def upper_arm(person: Person, shoulder: Array, elbow: Array) -> Surface:
    """From a shoulder to an elbow [3], in the world."""
    s = person.stature / STATURE
    along = unit(elbow - shoulder)
    stations = [(-0.055, 0), (-0.05, 0.03), (-0.02, 0.053), (0.06, 0.056), (0.6, 0.046), (1.0, 0.041)]
    stations += [(1.02, 0.036), (1.035, 0.018), (1.04, 0)]
    share, radius = _smooth(tuple(stations), 20).T
    # Beyond its ends metres, between them shares of its length.
    length = float(np.linalg.norm(elbow - shoulder))
    at = np.where(share < 0, share, np.where(share > 1, length + share - 1, share * length))
    across = np.cross(along, (0.3, 0.1, 0.9))
    bare = person.build.sleeve >= BARE
    return tube(
        shoulder + at[:, None] * along, radius * s, radius * s, across, SKIN[person.skin][0] if bare else person.cloth
    )
