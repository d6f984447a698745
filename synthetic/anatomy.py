"""The resting right hand as a solid: bones, and the distance of any point to its skin. Millimetres.

The hand's frame: origin at the wrist, +x to the little finger, +y to the fingertips, +z out of the back of the hand, so
that the palm looks to -z. The 21 joints are in MediaPipe's order.

Bone lengths and soft tips are the means of Buryanov and Kotiuk, "Proportions of hand segments", Int. J. Morphol. 28(3),
2010, table I, as several published transcriptions of it agree. Radii at PIP, DIP and the thumb's IP are the
circumferences of Greiner, "Hand anthropometry of U.S. Army personnel", NATICK/TR-92/011, 1991, means of men and women,
over 2 pi. Hand breadth is that of men in ANSUR II (2012). Where the carpus ends and how the flesh lies round the bones
is modelled by eye.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FINGERS = ("thumb", "index", "middle", "ring", "little")
JOINTS = 21
PALM_BREADTH = 88.0
"""Of the resting hand at the knuckles, without the thumb."""
FOREARM = 470.0
"""How far the resting forearm goes beyond the wrist; a person's elbow cuts it (see `Build`)."""


@dataclass(frozen=True)
class Finger:
    """A finger at rest."""

    base: tuple[float, float, float]
    """Of the metacarpal; of the thumb: its root, the carpometacarpal joint."""
    metacarpal: float
    bones: tuple[float, float, float]
    """Proximal, middle and distal phalanx; of the thumb: metacarpal, proximal and distal phalanx."""
    soft_tip: float
    """Flesh beyond the last bone."""
    radii: tuple[float, ...]
    """MCP, mid proximal, PIP, mid middle, DIP, tip; of the thumb: CMC, MCP, IP, mid distal, tip."""
    metacarpal_lean: float = 0.0
    lean: float = 0.0
    """Degrees to the thumb's side, of the metacarpal and of the finger."""


ANATOMY = {
    "thumb": Finger((-19, 20, -7), 0.0, (46.2, 31.6, 21.7), 5.7, (13.0, 12.0, 10.8, 10.6, 8.0)),
    "index": Finger((-11, 27, 1), 68.1, (39.8, 22.4, 15.8), 3.8, (11.5, 10.5, 10.3, 9.3, 8.6, 7.2), 12.5, 7),
    "middle": Finger((-2, 27, 2), 64.6, (44.6, 26.3, 17.4), 4.0, (11.5, 10.7, 10.4, 9.4, 8.7, 7.3), 2.0, 1),
    "ring": Finger((7, 26, 1), 58.0, (41.4, 25.7, 17.3), 4.0, (11.0, 10.0, 9.7, 8.9, 8.2, 7.0), -7.0, -5),
    "little": Finger((14, 24, -1), 53.7, (32.7, 18.1, 16.0), 3.7, (10.5, 8.9, 8.6, 7.9, 7.5, 6.4), -18.0, -12),
}
THUMB_ALONG, THUMB_NAIL = (-0.62, 0.70, -0.36), (-0.62, -0.25, 0.74)
"""Directions of the thumb's bones, and out of its nail."""


def unit(vectors: ArrayLike) -> Array:
    """Vectors [..., 3] of length one; a zero stays one."""
    a = np.asarray(vectors, float)
    return a / (np.linalg.norm(a, axis=-1, keepdims=True) + 1e-12)


def ramp(low: float, high: float, values: ArrayLike) -> Array:
    """A smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((np.asarray(values, float) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def skeleton() -> tuple[Array, Array]:
    """(joints [21, 3], axes [5, 3, 3]) at rest. Rows: what a finger bends about, along it, out of its nail."""
    joints, axes = np.zeros((JOINTS, 3)), []
    for i, finger in enumerate(ANATOMY.values()):
        if i == 0:
            root, along, nail = np.array(finger.base, float), unit(THUMB_ALONG), np.array(THUMB_NAIL)
        else:
            root = finger.base + finger.metacarpal * _leaning(finger.metacarpal_lean)
            along, nail = _leaning(finger.lean), np.array([0, 0, 1.0])
        nail = unit(nail - along * (along @ nail))
        axes.append(np.stack([np.cross(along, nail), along, nail]))
        ends = np.concatenate([[0], np.cumsum(finger.bones)])
        joints[1 + 4 * i : 5 + 4 * i] = root + ends[:, None] * along
    return joints, np.stack(axes)


def _leaning(degrees: float) -> Array:
    return np.array([-np.sin(np.radians(degrees)), np.cos(np.radians(degrees)), 0])


def cone(points: Array, a: ArrayLike, b: ArrayLike, radius_a: float, radius_b: float) -> Array:
    """Distance of points [..., 3] to a capsule whose radius goes from one at a to another at b."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(points - a - t[..., None] * (b - a), axis=-1) - (radius_a + (radius_b - radius_a) * t)


def blend(distances: Iterable[Array], fillet: float) -> Array:
    """Smooth union of solids, with fillets of about so many millimetres (polynomial smooth minimum, Quilez)."""

    def two(d: Array, e: Array) -> Array:
        h = np.clip(fillet - np.abs(d - e), 0, None) / fillet
        return np.minimum(d, e) - h * h * fillet / 4

    return reduce(two, distances)


def finger_distances(points: Array, joints: Array, axes: Array) -> list[Array]:
    """Distance of points to each finger."""
    found = []
    for i, finger in enumerate(ANATOMY.values()):
        q, r = joints[1 + 4 * i : 5 + 4 * i], finger.radii
        _, along, nail = axes[i]
        tip = q[3] + along * (finger.soft_tip - r[-1])
        if i == 0:
            centres = [*q[:3], (q[2] + q[3]) / 2 - nail, tip]
        else:
            # Flesh lies on the palm's side of the bones.
            centres = [q[0] - nail, (q[0] + q[1]) / 2 - nail * 1.2, q[1], (q[1] + q[2]) / 2 - nail * 0.8, q[2], tip]
        parts = [cone(points, *part) for part in zip(centres, centres[1:], r, r[1:], strict=False)]
        found.append(blend(parts, 3))
    return found


def distance(points: Array, joints: Array, axes: Array) -> Array:
    """Signed distance of points [..., 3] to the resting hand and its forearm; negative inside."""
    bases = [np.array(finger.base, float) for finger in list(ANATOMY.values())[1:]]
    knuckles = joints[5::4]
    parts = [cone(points, b - (0, 0, 1), k - (0, 2, 2), 14, 12) for b, k in zip(bases, knuckles, strict=True)]
    for i in range(3):  # flesh between the metacarpals, and webs between the fingers
        a, b = knuckles[i], knuckles[i + 1]
        parts.append(cone(points, (4, 30, -3), (a + b) / 2 - (0, 4, 3), 15, 11))
        ends = [k + axes[j][1] * out - (0, 0, 3) for k, j, out in ((a, i + 1, 14), (b, i + 2, 15))]
        parts.append(cone(points, ends[0], ends[1], 6, 6))
    thumb, palm = joints[1:3], (bases[0], knuckles[0])
    thenar = thumb[0] * 0.35 + thumb[1] * 0.65 + (3, 2, -3)
    parts += [cone(points, (-14, 20, -11), thenar, 14, 11), cone(points, (17, 16, -9), (29, 56, -7), 13, 12)]
    for s, u in ((0.35, 0.45), (0.6, 0.6), (0.8, 0.72)):  # the thumb's web
        parts.append(cone(points, _between(thumb, s), _between(palm, u), 7, 9))
    for x in (-12, 0, 12):  # forearm
        parts.append(cone(points, (x, 8, -1), (x * 1.1, -45, -2), 15.5, 17))
        parts.append(cone(points, (x * 1.1, -45, -2), (x * 1.5, -FOREARM, -4), 17, 31))
    return blend([blend(parts, 9), *finger_distances(points, joints, axes)], 4)


def _between(ends: Sequence[Array] | Array, share: float) -> Array:
    return np.asarray(ends[0] + (ends[1] - ends[0]) * share)
