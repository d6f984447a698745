"""Where cameras stand: a rig for each session, aimed at where hands are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from handstream.synthetic.anatomy import PALM_BREADTH
from handstream.synthetic.camera import Camera, focal_length, look_at

ARC, HARD_ARC = 30.0, 75.0
"""Degrees to either side within which cameras stand."""
HANDS_BELOW_SHOULDERS = 0.09
FIGURE_MIDDLE = 0.9
"""Metres above the floor: where cameras look that show whole people."""
DEFAULT_PALM = 60.0


def rig(
    names: Sequence[str],
    size: tuple[int, int],
    palm: float,
    shoulder_height: float,
    rng: np.random.Generator,
    hard: bool = False,
    distortion: float = 0.0,
) -> list[Camera]:
    """Cameras round the middle of the scene.

    Args:
        palm: pixels that a palm of `PALM_BREADTH` is wide in the middle.
        distortion: k1 of the lenses.
    """
    distance = PALM_BREADTH / 1000 * focal_length(size[0]) / palm
    in_sight = distance * size[1] / focal_length(size[0])
    height = shoulder_height - HANDS_BELOW_SHOULDERS
    # From afar the whole figure is shown, from near the hands.
    height += (FIGURE_MIDDLE - height) * float(np.clip((in_sight - 0.8) / 1.4, 0, 1))
    arc = HARD_ARC if hard else ARC
    around = np.linspace(-arc, arc, len(names)) if len(names) > 1 else np.zeros(1)
    cameras = []
    for name, degrees in zip(names, around, strict=True):
        a, e = np.radians(degrees + rng.normal(0, 3)), np.radians(rng.uniform(0, 12))
        towards = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
        target = np.array([0, height, 0]) + rng.normal(0, 0.01 * distance, 3)
        lens = (distortion, 0.0, 0.0, 0.0, 0.0)
        cameras.append(look_at(name, size, target + towards * distance, target, lens))
    return cameras
