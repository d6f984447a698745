"""What a hand looks like: pictures of its skin, laid over the resting hand."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from handstream.synthetic.anatomy import ANATOMY, Array, unit
from handstream.synthetic.mesh import rest_hand
from handstream.synthetic.pose import BARE
from numpy.typing import ArrayLike, NDArray

Colour = tuple[int, int, int]

SKIN: dict[str, tuple[Colour, Colour]] = {
    "light": ((226, 178, 150), (233, 184, 162)),
    "medium": ((198, 144, 110), (222, 172, 146)),
    "tan": ((160, 108, 78), (208, 158, 130)),
    "dark": ((98, 66, 50), (184, 136, 112)),
}
"""RGB of the back and of the palm."""
CORNER, PIXELS_PER_MM, WIDTH, HEIGHT = np.array((-110.0, -110.0)), 2.0, 360, 640
"""Of the skin's picture: its lower left corner in millimetres of the hand laid flat, and its size."""
_CREASES = (
    ((-34, 62), (-22, 68), (-4, 62), (12, 46), (16, 30)),
    ((-24, 86), (-14, 74), (2, 68), (20, 64), (40, 66)),
    ((-34, 68), (-18, 62), (-6, 46), (-4, 28), (-8, 10)),
    ((-26, 4), (0, 1), (26, 4)),
    ((-25, -1), (0, -4), (25, -1)),
)


def in_picture(flat: ArrayLike) -> Array:
    """Pixels of places [..., 2] (millimetres) in the skin's picture."""
    return (np.asarray(flat, float) - CORNER) * (PIXELS_PER_MM, -PIXELS_PER_MM) + (0, HEIGHT)


def _fixed(flat: ArrayLike) -> NDArray[np.int32]:
    """Pixels with four bits of fraction, as OpenCV draws them."""
    return np.int32(in_picture(flat) * 16)  # type: ignore[return-value]


@lru_cache(64)
def skin_pictures(
    skin: str, sleeve: float, cloth: Colour, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours [HEIGHT, WIDTH, 3] in [0, 1] of the back's and of the palm's side: nails, creases, blotches, a sleeve.

    MediaPipe does not need the nails and creases; people do.

    Args:
        sleeve: millimetres of bare arm.
    """
    rng = np.random.default_rng(seed)
    fine, coarse = (
        cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), sigma) for sigma in (1, 5)
    )
    blotches = (1 + 0.03 * fine + 0.22 * coarse)[..., None]
    back, palm = (blotches * np.array(colour, np.float32) / 255 for colour in SKIN[skin])
    creases, wrinkles = _draw_lines()
    for ring, colour in _nails(np.array(SKIN[skin][0]) / 510):
        cv2.fillPoly(back, [_fixed(ring)], colour, cv2.LINE_AA, 4)
    palm *= 1 - cv2.GaussianBlur(creases, (0, 0), 0.9)[..., None] * np.array((0.30, 0.42, 0.45), np.float32)
    back *= 1 - cv2.GaussianBlur(wrinkles, (0, 0), 0.8)[..., None] * np.array((0.30, 0.36, 0.38), np.float32)
    if sleeve < BARE:
        top = max(int(in_picture((0, -sleeve - 2))[1]), 0)
        weave = (1 + 0.06 * np.sin(np.arange(WIDTH) * 1.3) + 0.03 * fine[top:])[..., None]
        for picture in (back, palm):
            picture[top:] = np.array(cloth, np.float32) / 255 * weave
            picture[top + 3 : top + 5] *= 0.8  # the hem
    return np.ascontiguousarray(back, np.float32), np.ascontiguousarray(palm, np.float32)


def _draw_lines() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How deep the creases of the palm and the wrinkles of the knuckles are, in [0, 1]."""
    creases, wrinkles = (np.zeros((HEIGHT, WIDTH), np.float32) for _ in range(2))
    for crease in _CREASES:
        t, s = np.linspace(0, 1, len(crease)), np.linspace(0, 1, 30)
        x, y = (np.polyval(np.polyfit(t, axis, min(3, len(crease) - 1)), s) for axis in zip(*crease, strict=True))
        cv2.polylines(creases, [_fixed(np.stack([x, y], 1))], False, 0.8, 2, cv2.LINE_AA, 4)
    for i, (q, finger) in enumerate(zip(rest_hand().lines, ANATOMY.values(), strict=True)):
        along, r = unit(q[3] - q[2]), finger.radii
        across = np.array((along[1], -along[0]))
        places = [(q[2], r[-2])] + ([(q[0] + along * r[1] * 2.2, r[1]), (q[1], r[2])] if i else [])
        for centre, radius in places:
            ends = _fixed([centre - across * radius, centre + across * radius])
            cv2.line(creases, ends[0], ends[1], 0.7, 2, cv2.LINE_AA, 4)
            for off in (-3, 0, 3):
                half = across * radius * 0.6
                ends = _fixed([centre - half + along * off, centre + half + along * off])
                cv2.line(wrinkles, ends[0], ends[1], 0.45, 1, cv2.LINE_AA, 4)
    return creases, wrinkles


def _nails(tint: Array) -> list[tuple[Array, list[float]]]:
    """Outlines [40, 2] in millimetres, and their colours: rim, nail and its white edge, of each finger."""
    plate = tint + np.array((0.48, 0.38, 0.36), np.float32)
    t = np.linspace(0, 2 * np.pi, 40)
    ring = np.sign((np.cos(t), np.sin(t))).T * np.abs((np.cos(t), np.sin(t))).T ** 0.7
    layers = ((1, -1, plate * 0.62), (0, -1, plate * 1.05), (-0.3, 0.72, np.array((0.93, 0.88, 0.84), np.float32)))
    found = []
    for i, (q, finger) in enumerate(zip(rest_hand().lines, ANATOMY.values(), strict=True)):
        along = unit(q[3] - q[2])
        across = np.array((along[1], -along[0]))
        long, wide = (6.8, finger.radii[-1] * 0.86) if i else (8.5, finger.radii[-1] * 0.92)
        middle = q[3] + along * (finger.soft_tip - long - 0.8)
        for grow, start, colour in layers:
            lengthwise = np.clip(ring[:, :1], start, 1) * along * (long + grow)
            found.append((middle + lengthwise + ring[:, 1:] * across * (wide + grow), [float(c) for c in colour]))
    return found
