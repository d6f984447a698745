"""Hands that touch: pushed apart where they would pass through each other, fingers closed about the other hand.

A hand is taken for some eighty spheres along its bones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
from handstream.synthetic.anatomy import ANATOMY, FINGERS, Array
from handstream.synthetic.mesh import rest_skeleton
from handstream.synthetic.pose import ANGLES, LIMITS, Build, finger_angles, pose_hand
from scipy.spatial.distance import cdist

FLESH = 0.85
"""Skin gives way: spheres are so much of a bone's radius."""
TOUCHING = 1e-9
"""Metres that do not count."""
STEP = 4.0
"""Degrees by which a finger closes at a time."""
PER_BONE = 4


@cache
def _spheres() -> tuple[Array, Array, Array]:
    """(which joints [n, 2], share of the second [n], radius [n] in metres of the resting hand)."""
    pairs, radii = [], []
    for i, finger in enumerate(ANATOMY.values()):
        joints = range(1 + 4 * i, 5 + 4 * i)
        r = finger.radii
        own = r[:3] + r[-1:] if i == 0 else (r[0], r[2], r[4], r[5])
        for k, (a, b) in enumerate(pairwise(joints)):
            pairs.append((a, b))
            radii.append((own[k], own[k + 1]))
        if i:
            pairs.append((0, 1 + 4 * i))
            radii.append((14.0, 12.0))
    share = np.tile((np.arange(PER_BONE) + 0.5) / PER_BONE, len(pairs))
    both = np.repeat(np.array(radii), PER_BONE, 0)
    return np.repeat(np.array(pairs), PER_BONE, 0), share, (both[:, 0] * (1 - share) + both[:, 1] * share) / 1000


@cache
def of_palm() -> Array:
    """Which spheres are the palm's [n]."""
    return np.asarray(_spheres()[0][:, 0] == 0)


@cache
def of_finger(i: int) -> Array:
    """Which spheres are of finger i, 0 being the thumb [n]."""
    first = 1 + 4 * i
    return np.asarray((_spheres()[0][:, 0] >= first) & (_spheres()[0][:, 0] < first + 4))


def spheres(joints: Array) -> Array:
    """Centres [n, 3] of a posed hand's spheres."""
    pairs, share, _ = _spheres()
    return np.asarray(joints[pairs[:, 0]] * (1 - share[:, None]) + joints[pairs[:, 1]] * share[:, None])


def radii(build: Build) -> Array:
    """[n] metres"""
    return np.asarray(_spheres()[2] * build.size * build.breadth * FLESH)


def separation(a: Array, radius_a: Array, b: Array, radius_b: Array, along: Array) -> float:
    """How far spheres b must be moved along a direction [3] until none is within one of a; 0 where none is."""
    d = (b[None] - a[:, None]).reshape(-1, 3)
    r = (radius_a[:, None] + radius_b[None]).ravel()
    forward = d @ along
    beside = (d**2).sum(1) - forward**2
    meeting = beside < r**2
    half = np.sqrt(r[meeting] ** 2 - beside[meeting])
    # Each pair is within each other between two ways along.
    enter, leave = -forward[meeting] - half, -forward[meeting] + half
    way = 0.0
    while (within := (enter < way - TOUCHING) & (way < leave - TOUCHING)).any():
        way = float(leave[within].max())
    return way


Touches = Callable[[Array, int], bool]
"""Whether finger i (0: thumb) of a hand in a shape [21] is within another hand."""


def finger_test(right: bool, build: Build, rotation: Array, wrist: Array, other: Array, other_radii: Array) -> Touches:
    """The test for a hand that stays where it is while its fingers move.

    Args:
        rotation: [3, 3] from the hand's frame; `wrist` [3] its place.
        other: [n, 3] spheres that do not move, and their radii [n].
    """

    def touches(angles: Array, finger: int) -> bool:
        joints = pose_hand(angles, np.zeros(2), right, build, rest_skeleton()).moved(rotation, wrist).joints
        mine = of_finger(finger)
        gaps = cdist(spheres(joints)[mine], other) - radii(build)[mine][:, None] - other_radii
        return bool((gaps < 0).any())

    return touches


def open_fingers(angles: Array, touches: Touches) -> Array:
    """A shape [21] whose fingers are opened until they are clear of the other hand, as far as they can be."""
    opened = angles.copy()
    for i in range(len(FINGERS)):
        flexions = range(finger_angles(i).start, finger_angles(i).stop)
        joints = [k for k in flexions if not ANGLES[k].endswith(("abduction", "radial", "palmar", "roll"))]
        while touches(opened, i):
            before = opened[joints]
            opened[joints] = np.maximum(before - STEP, LIMITS[joints, 0])
            if (opened[joints] == before).all():
                break
    return opened


def close_fingers(angles: Array, touches: Touches) -> Array:
    """A shape [21] whose four fingers are closed, joint by joint, until they touch the other hand."""
    closed = angles.copy()
    for i in range(1, len(FINGERS)):
        where = finger_angles(i)
        for joint, most in ((where.start, 60.0), (where.start + 2, 80.0), (where.start + 3, 50.0)):
            limit = min(most, LIMITS[joint, 1])
            before = closed[joint]
            while closed[joint] + STEP <= limit and not touches(closed, i):
                before = closed[joint]
                closed[joint] += STEP
            if touches(closed, i):
                closed[joint] = before
    return closed
