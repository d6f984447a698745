"""The resting hand as a mesh that can be bent: made once a process, in under a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from handstream.synthetic.anatomy import (
    FINGERS,
    JOINTS,
    Array,
    distance,
    finger_distances,
    ramp,
    skeleton,
    unit,
)
from numpy.typing import NDArray

CELLS = (4.0, 6.0, 9.0)
"""Sizes of a cell of the mesh in millimetres: finer ones show in larger pictures alone."""
CELL_PIXELS = 4.2
WRIST_MARK, THUMB_MARK = (4.0, 13.0, -2.0), (-8.0, 8.0, -8.0)
"""From the joint to where MediaPipe marks the wrist and the thumb's root, in millimetres: a definition of the landmark,
fitted to its detections on 300 rendered scenes."""


def surface_nets(field: Array, axes: tuple[Array, Array, Array]) -> tuple[Array, NDArray[np.int64]]:
    """The zero level of a field as a mesh: vertices [n, 3], triangles [m, 3] that face the positive side.

    A vertex in each cell that the surface crosses, at the mean of where its edges are crossed, and a quad about each
    crossed edge (Gibson, "Constrained elastic surface nets", 1998). The grid's lines may be unevenly spaced.

    Args:
        field: [nx, ny, nz], of one sign on the border.
    """
    n = tuple(len(axis) - 1 for axis in axes)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)

    def corner(values: Array, c: tuple[int, ...]) -> Array:
        return values[c[0] : c[0] + n[0], c[1] : c[1] + n[1], c[2] : c[2] + n[2]]

    total, count = np.zeros((*n, 3)), np.zeros(n)
    for axis, c in product(range(3), np.ndindex(2, 2, 2)):
        if c[axis]:
            continue
        e = tuple(v + (k == axis) for k, v in enumerate(c))
        fa, fb = corner(field, c), corner(field, e)
        crossed = (fa < 0) != (fb < 0)
        t = (fa / np.where(crossed, fa - fb, 1))[..., None]
        total += np.where(crossed[..., None], corner(grid, c) * (1 - t) + corner(grid, e) * t, 0)
        count += crossed
    ids = np.cumsum(count.ravel() > 0).reshape(n) - 1
    quads = []
    for axis in range(3):
        order = (axis, (axis + 1) % 3, (axis + 2) % 3)
        i, inside = ids.transpose(order), (field < 0).transpose(order)[:, 1:-1, 1:-1]
        quad = np.stack([i[:, :-1, :-1], i[:, 1:, :-1], i[:, 1:, 1:], i[:, :-1, 1:]], -1)
        quads += [quad[inside[:-1] & ~inside[1:]], quad[~inside[:-1] & inside[1:]][:, ::-1]]
    quad = np.concatenate(quads)
    vertices = total[count > 0] / count[count > 0][:, None]
    return vertices, np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])


@dataclass(frozen=True, eq=False)
class Bend:
    """How a joint moves the points beyond it."""

    finger: int
    """Its number; 5: the wrist."""
    joint: int
    pivot: int
    """The joint's number among the 21."""
    points: NDArray[np.int64]
    """Which points it moves."""
    share: Array
    """[those points] of the joint's angle that each turns by."""


@dataclass(frozen=True, eq=False)
class RestHand:
    """The resting right hand, in millimetres."""

    points: Array
    """[n + 21 + 21, 3]: vertices, joints, and landmarks as MediaPipe marks them."""
    n: int
    triangles: NDArray[np.int32]
    normals: Array
    """[n, 3]"""
    openness: Array
    """[n] in [0, 1]: how much of the sky a vertex sees (ambient occlusion, from the distance field)."""
    bends: list[Bend]
    """From the fingertips to the wrist."""
    axes: Array
    """As in `skeleton`."""
    flat: Array
    """[n, 2]: place of each vertex in the picture of the skin: the hand laid flat, millimetres."""
    back: Array
    """[n] in [0, 1]: 1 on the back of the hand, 0 on the palm's side."""
    lines: list[Array]
    """[4, 2] of each finger: its joints in that picture."""


def cell_for(pixels_per_metre: float) -> float:
    """How coarse a mesh may be that is drawn at this scale."""
    return max((cell for cell in CELLS if cell / 1000 * pixels_per_metre <= CELL_PIXELS), default=CELLS[0])


@cache
def rest_hand(cell: float = CELLS[0]) -> RestHand:
    """The resting mesh with all that posing and shading need."""
    joints, axes = skeleton()
    along_y = np.concatenate([np.arange(-460, -136, 36), np.arange(-136, -40, 12), np.arange(-40, 200, cell)])
    grid = (np.arange(-104, 60, cell), along_y, np.arange(-52, 36, cell))
    field = distance(np.stack(np.meshgrid(*grid, indexing="ij"), -1), joints, axes)
    field[:, 0] = np.abs(field[:, 0]) + 0.1  # closes the arm at the elbow
    v, triangles = surface_nets(field, grid)
    for _ in range(2):  # onto the surface itself
        v -= unit(_slope(v, joints, axes)) * distance(v, joints, axes)[:, None] * (v[:, 1:2] > -420)
    normals = unit(_slope(v, joints, axes))
    openness = np.clip(sum(distance(v + normals * h, joints, axes) / h for h in (6, 14)) / 2, 0, 1)
    marks = joints.copy()
    marks[0] += WRIST_MARK
    marks[1] += THUMB_MARK
    points = np.concatenate([v, joints, marks])
    near = np.exp(-np.stack(finger_distances(points, joints, axes), 1) / 2.5)
    near /= near.sum(1, keepdims=True)  # how much each finger owns a point
    flat, back, lines = _unrolled(v, normals, near[: len(v), :1], joints, axes)
    bends = _bends(points, len(v), near, joints, axes)
    return RestHand(points, len(v), triangles.astype(np.int32), normals, openness, bends, axes, flat, back, lines)


@cache
def rest_skeleton() -> RestHand:
    """The resting hand without its skin: joints and landmarks alone, which bend just as those of the mesh."""
    hand = rest_hand()
    bends = []
    for bend in hand.bends:
        kept = bend.points >= hand.n
        bends.append(replace(bend, points=bend.points[kept] - hand.n, share=bend.share[kept]))
    none = np.zeros(0, np.int64)
    return replace(
        hand,
        points=hand.points[hand.n :],
        n=0,
        triangles=hand.triangles[none],
        normals=hand.normals[none],
        openness=hand.openness[none],
        bends=bends,
        flat=hand.flat[none],
        back=hand.back[none],
    )


def _slope(v: Array, joints: Array, axes: Array) -> Array:
    steps = [distance(v + e, joints, axes) - distance(v - e, joints, axes) for e in np.eye(3) / 2]
    return np.stack(steps, -1) + 1e-9


def _bends(points: Array, n: int, near: Array, joints: Array, axes: Array) -> list[Bend]:
    bends = []
    for i in range(len(FINGERS)):
        first = 1 + 4 * i
        for k, low, high in ((2, -6, 6), (1, -8, 8), (0, -10 if i else -6, 16 if i else 34)):
            share = near[:, i] * ramp(low, high, (points - joints[first + k]) @ axes[i][1])
            # Joints, and landmarks, turn with their own finger and with no other.
            share[n:] = 0
            for start in (n, n + JOINTS):
                share[start + first + k + 1 : start + first + 4] = 1
            moved = np.flatnonzero(share > 1e-3)
            bends.append(Bend(i, k, first + k, moved, share[moved]))
    share = ramp(6, -16, points[:, 1])
    share[n:] = 0
    moved = np.flatnonzero(share > 1e-3)
    bends.append(Bend(len(FINGERS), 0, 0, moved, share[moved]))
    return bends


def _unrolled(
    v: Array, normals: Array, near_thumb: Array, joints: Array, axes: Array
) -> tuple[Array, Array, list[Array]]:
    """(flat, back, lines) of `RestHand`: the thumb, which stands across the palm, is turned to lie flat."""
    thumb = axes[0]
    roll = near_thumb * ramp(18, 40, (v - joints[1]) @ thumb[1])[:, None]
    along = unit(thumb[1] * (1, 1, 0))
    across = np.cross(along, (0, 0, 1))
    laid = joints[1] + ((v - joints[1]) @ thumb[0])[:, None] * across + ((v - joints[1]) @ thumb[1])[:, None] * along
    flat = (v * (1 - roll) + laid * roll)[:, :2]
    out = normals[:, 2] * (1 - roll[:, 0]) + normals @ thumb[2] * roll[:, 0]
    lines = [joints[1 + 4 * i : 5 + 4 * i, :2] for i in range(len(FINGERS))]
    lines[0] = np.array([joints[1] + along * ((joints[k] - joints[1]) @ thumb[1]) for k in range(1, 5)])[:, :2]
    return flat, ramp(-0.25, 0.35, out), lines
