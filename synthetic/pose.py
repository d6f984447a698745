"""Hands in any pose: joint angles, their limits, the shapes that gestures are made of, and the mesh bent to them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from handstream.synthetic.anatomy import FINGERS, FOREARM, JOINTS, Array, ramp, unit
from handstream.synthetic.mesh import RestHand, rest_hand
from scipy.spatial.transform import Rotation

THUMB = ("radial", "palmar", "roll", "mcp", "ip")
FINGER = ("mcp", "abduction", "pip", "dip")
ANGLES = tuple(f"thumb {a}" for a in THUMB) + tuple(f"{f} {a}" for f in FINGERS[1:] for a in FINGER)
"""What the 21 numbers of a shape are, in degrees."""
_LIMITS = {"radial": (-60, 30), "palmar": (-25, 50), "roll": (-20, 90), "thumb mcp": (-5, 60), "ip": (-20, 80)} | {
    "mcp": (-15, 90),
    "abduction": (-18, 18),
    "pip": (0, 108),
    "dip": (-5, 75),
}
LIMITS = np.array([_LIMITS.get(name) or _LIMITS[name.split()[-1]] for name in ANGLES], float)
"""[21, 2]: what joints can do, in degrees; by eye, near the ranges that textbooks give."""
WRIST_LIMITS = np.array([(-60.0, 60.0), (-25.0, 25.0)])
"""Degrees of flexion to the palm's side and of deviation to the thumb's."""
BARE = 1000.0
"""A sleeve so far up the arm that it is none."""


def finger_angles(i: int) -> slice:
    """Where finger i (0: thumb) stands in a shape."""
    return slice(0, 5) if i == 0 else slice(1 + 4 * i, 5 + 4 * i)


def shape(
    mcp: float, pip: float, dip: float, thumb: tuple[float, ...], **other: tuple[float, float, float, float]
) -> Array:
    """Four fingers alike, the thumb, and what single fingers do instead: degrees [21] in the order of `ANGLES`."""
    angles = np.concatenate([thumb, *[(mcp, 0.0, pip, dip)] * 4])
    for name, values in other.items():
        angles[finger_angles(FINGERS.index(name))] = values
    return angles


_FIST, _FIST_THUMB = (87, 107, 70), (-5, 8, -20, 49, 56)
SHAPES = {
    "open": shape(5, 6, 4, (5, -10, 0, 5, 5)),
    "spread": shape(0, 4, 3, (18, -6, 0, 3, 3), index=(0, 9, 4, 3), ring=(0, -6, 4, 3), little=(0, -12, 4, 3)),
    "relaxed": shape(22, 30, 16, (-8, 0, 10, 12, 15)),
    "half": shape(45, 50, 28, (-12, 5, 10, 15, 20)),
    "fist": shape(*_FIST, _FIST_THUMB),
    "point": shape(*_FIST, _FIST_THUMB, index=(5, 0, 8, 4)),
    "thumb up": shape(*_FIST, (15, -25, -15, 0, -10)),
    "victory": shape(*_FIST, (-40, 7, -20, 35, 74), index=(3, 5, 6, 4), middle=(3, -6, 6, 4)),
    "pinch": shape(30, 35, 20, (-21, 5, 0, 14, 8), index=(50, 0, 54, 28)),
    "grip": shape(8, 12, 8, (12, 12, 0, 4, 8)),
}
"""Shapes of a hand by name: degrees [21]."""


def within_limits(angles: Array) -> Array:
    return np.clip(angles, LIMITS[:, 0], LIMITS[:, 1])


@dataclass(frozen=True)
class Build:
    """How somebody's hands differ from the resting hand."""

    size: float = 1.0
    """Of all."""
    breadth: float = 1.0
    """Of hand and arm, against their length."""
    fingers: float = 1.0
    """Length of the four fingers, against the palm's."""
    forearm: float = 0.26
    """Metres from wrist to elbow."""
    sleeve: float = 70.0
    """Millimetres of bare arm above the wrist; `BARE`: no sleeve."""

    def rest_points(self, rest: RestHand) -> Array:
        """The points of the resting hand in this build, millimetres, before `size`."""
        p = rest.points * (self.breadth, 1, self.breadth)
        knuckles = 75.0
        p[:, 1] += (self.fingers - 1) * np.clip(p[:, 1] - knuckles, 0, None)
        # The arm beyond the wrist's bend is stretched so that it ends at the elbow.
        bend = 30.0
        beyond = np.clip(-bend - p[:, 1], 0, None)
        p[:, 1] -= beyond * ((self.forearm * 1000 / self.size - bend) / (FOREARM - 10 - bend) - 1)
        return np.asarray(p)


@dataclass(frozen=True, eq=False)
class PosedHand:
    """A hand in metres, in its own frame."""

    vertices: Array
    """[n, 3], of `RestHand.triangles` (a left hand's face inwards)."""
    joints: Array
    """[21, 3]: the anatomical joints and fingertips."""
    landmarks: Array
    """[21, 3]: what MediaPipe marks."""

    def moved(self, rotation: Array, translation: Array) -> PosedHand:
        """In the world: rotation [3, 3] from the hand's frame, then translation."""
        return PosedHand(*(p @ rotation.T + translation for p in (self.vertices, self.joints, self.landmarks)))


def pose_hand(
    angles: Array, wrist: Array, right: bool = True, build: Build | None = None, rest: RestHand | None = None
) -> PosedHand:
    """Bend the resting hand.

    Each point turns by its own share of each angle, so that joints bend as tubes do and do not collapse as in linear
    blend skinning. At the wrist the forearm moves and the hand stays.

    Args:
        angles: [21] degrees, as `ANGLES`.
        wrist: [2] degrees: flexion, deviation.
        right: else the mirror image.
        rest: `rest_skeleton()` where only joints are wanted.
    """
    rest, build = rest or rest_hand(), build or Build()
    n = rest.n
    p = build.rest_points(rest)
    pivots = p[n : n + JOINTS].copy()
    if build.sleeve < BARE:
        p[:n] += rest.normals * 7 * ramp(-build.sleeve + 4, -build.sleeve - 14, rest.points[:n, 1:2])
    turns = [_turns(bend.finger, bend.joint, angles, wrist, rest.axes) for bend in rest.bends]
    vectors = [
        bend.share[:, None] * np.radians(degrees) * axis
        for bend, each in zip(rest.bends, turns, strict=True)
        for axis, degrees in each
    ]
    # All at once: there are few points at most joints.
    matrices = Rotation.from_rotvec(np.concatenate(vectors)).as_matrix()
    rotations = iter(np.split(matrices, np.cumsum([len(v) for v in vectors])[:-1]))
    for bend, each in zip(rest.bends, turns, strict=True):
        q = p[bend.points] - pivots[bend.pivot]
        for rotation in islice(rotations, len(each)):
            q = np.einsum("nij,nj->ni", rotation, q)
        p[bend.points] = q + pivots[bend.pivot]
    p *= np.array((1 if right else -1, 1, 1)) * build.size / 1000
    return PosedHand(p[:n], p[n : n + JOINTS], p[n + JOINTS :])


def _turns(finger: int, joint: int, angles: Array, wrist: Array, axes: Array) -> list[tuple[Array, float]]:
    """(axis, degrees) of the turns that a joint makes, one after the other."""
    x, _, z = np.eye(3)
    if finger == len(FINGERS):
        return [(x, wrist[0]), (z, wrist[1])]
    bend, along, nail = axes[finger]
    a = angles[finger_angles(finger)]
    if joint:
        return [(bend, -a[joint + (2 if finger == 0 else 1)])]
    if finger == 0:
        return [(along, a[2]), (unit(np.cross(along, -z)), a[1]), (z, a[0])]
    return [(nail, a[1]), (bend, -a[0])]
