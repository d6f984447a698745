"""Preprocessing as a Keras layer, inside the exported model: raw landmarks in, features of each hand out.

B examples, N steps, H hands, 21 landmarks, C numbers each. A landmark that was not seen is NaN until all is normalised,
and zero from then on.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

WRIST, THUMB_TIP, INDEX_MCP, INDEX_TIP, MIDDLE_MCP, LITTLE_MCP = 0, 4, 5, 8, 9, 17
TIPS = (4, 8, 12, 16, 20)
PATHS = (WRIST, *TIPS)
"""Landmarks whose way through the scene counts: a shape that is drawn is in it alone."""
LEAST_PALM = 1e-3
"""Picture widths, or metres: smaller palms are noise."""
SPEED_SECONDS = 0.1
"""Movements are counted as what is done in this time."""
NEAR_PALMS = 4.0
"""Beyond so many palms the distance of two hands says no more."""


def seen(x: Any) -> Any:
    """Where numbers are, as 1.0. (A NaN does not equal itself; LiteRT knows no is_nan.)"""
    return ops.cast(ops.equal(x, x), "float32")


def or_zero(x: Any) -> Any:
    """Numbers, and 0 for NaN."""
    return ops.where(ops.equal(x, x), x, ops.zeros_like(x))


def palm_sizes(points: Any) -> Any:
    """[..., 1] of landmarks [..., 21, 2 or 3]: the longest side of the palm, which may be seen edge on."""
    corners = ((WRIST, MIDDLE_MCP), (INDEX_MCP, LITTLE_MCP), (WRIST, INDEX_MCP), (WRIST, LITTLE_MCP))
    sides = [ops.sum(ops.square(points[..., a, :] - points[..., b, :]), -1) for a, b in corners]
    longest = ops.max(ops.stack(sides, -1), axis=-1, keepdims=True)
    return ops.sqrt(ops.maximum(longest, LEAST_PALM**2))


def mean_over(x: Any, mask: Any, axis: Any) -> Any:
    """Mean of x where the mask is 1; 0 where it is nowhere."""
    total = ops.sum(x * mask, axis=axis, keepdims=True)
    return total / ops.maximum(ops.sum(mask, axis=axis, keepdims=True), 1e-6)


@keras.saving.register_keras_serializable("handstream")
class HandFeatures(keras.layers.Layer):
    """Features [B, N, H, F] of each hand, and whether it is there [B, N, H, 1].

    Inputs:
        points [B, N, H, 21, C], seconds [B, 1] from the first step to the last, aspect [B, 1] of the picture (height
        in widths), side [B, H] (-1 left, 1 right, 0 unknown).

    Of each hand: its shape about its wrist in palms (and MediaPipe's metric one, where C is 6); where wrist and
    fingertips are, relative to the middle of all hands in the window, in palms of the window; how these move to one and
    two steps on, in real time; where the nearest other hand is, and how near their fingers are; its side.
    """

    def call(self, points: Any, seconds: Any, aspect: Any, side: Any) -> tuple[Any, Any]:
        steps, hands = points.shape[1], points.shape[2]
        there = seen(points[..., 0, :1])
        stretch = ops.concatenate([ops.ones_like(aspect), aspect, ops.ones_like(aspect)], -1)[:, None, None, None]
        scene = or_zero(points[..., :3]) * stretch
        palm = palm_sizes(scene[..., :2])
        shape = (scene - scene[..., :1, :]) / palm[..., None]
        parts = [ops.reshape(shape, (-1, steps, hands, 63))]
        if points.shape[-1] == 6:
            metric = or_zero(points[..., 3:])
            metric = (metric - metric[..., :1, :]) / palm_sizes(metric)[..., None]
            parts.append(ops.reshape(metric, (-1, steps, hands, 63)))
        # One scale and one middle for all hands of the window, or how they lie to each other would be lost.
        scale = ops.maximum(mean_over(palm, there, (1, 2)), LEAST_PALM)
        middle = mean_over(scene[..., WRIST, :2], there, (1, 2))
        paths = ops.stack([scene[..., k, :2] for k in PATHS], -2)
        paths = (paths - middle[..., None, :]) / scale[..., None]
        flat = ops.reshape(paths, (-1, steps, hands, 2 * len(PATHS)))
        parts += [flat / NEAR_PALMS, ops.log(palm / scale)]
        interval = ops.maximum(seconds / max(steps - 1, 1), 1e-3)[:, None, None]
        for lag in (1, 2):
            moved, both = self._moved(flat, there, lag)
            parts.append(both * moved * (SPEED_SECONDS / lag) / interval)
        moved, both = self._moved(parts[0], there, 1)
        parts.append(both * moved * SPEED_SECONDS / interval)
        parts += self._relation(paths, there)
        sided = ops.broadcast_to(side[:, None, :, None], ops.shape(there))
        long = ops.broadcast_to(ops.log(ops.maximum(seconds, 0.05))[:, None, None], ops.shape(there))
        features = ops.concatenate([*parts, sided, long], -1)
        # A hand that flew across the picture in one step is no movement.
        return ops.clip(features, -8.0, 8.0) * there, there

    @staticmethod
    def _moved(x: Any, there: Any, lag: int) -> tuple[Any, Any]:
        """(x[t + lag] - x[t], where both were seen), zero at the end."""
        later = ops.concatenate([x[:, lag:], x[:, -1:] * ops.ones_like(x[:, :lag])], 1)
        then = ops.concatenate([there[:, lag:], ops.zeros_like(there[:, :lag])], 1)
        return later - x, then * there

    @staticmethod
    def _relation(paths: Any, there: Any) -> list[Any]:
        """To the nearest other hand: vector [2], nearness of wrists and of the nearest fingertips, whether it is there.

        The same whatever the order of the slots.
        """
        hands = there.shape[2]
        if hands == 1:
            return [ops.zeros_like(ops.repeat(there, 5, -1))]
        wrist, tips = paths[..., 0, :], paths[..., 1:, :]
        vector = wrist[:, :, None, :, :] - wrist[:, :, :, None, :]
        far = ops.sqrt(ops.sum(ops.square(vector), -1) + 1e-9)
        others = 1.0 - ops.reshape(ops.eye(hands), (1, 1, hands, hands))
        valid = others * there[:, :, None, :, 0] * there
        nearness = valid / (1.0 + far)
        nearest = valid * ops.cast(ops.equal(nearness, ops.max(nearness, -1, keepdims=True)), "float32")
        nearest = nearest / ops.maximum(ops.sum(nearest, -1, keepdims=True), 1.0)
        # Every fingertip of the one against every one of the other; LiteRT knows five dimensions well.
        steps, tip_count = paths.shape[1], tips.shape[3]
        flat = ops.reshape(tips, (-1, steps, hands * tip_count, 2))
        squares = ops.sum(ops.square(flat), -1, keepdims=True)
        products = ops.matmul(flat, ops.transpose(flat, (0, 1, 3, 2)))
        gaps = squares + ops.transpose(squares, (0, 1, 3, 2)) - 2 * products
        gaps = ops.min(ops.reshape(gaps, (-1, hands, tip_count, hands, tip_count)), axis=(2, 4))
        gaps = ops.reshape(ops.maximum(gaps, 0.0), (-1, steps, hands, hands))
        touch = 1.0 / (1.0 + ops.sqrt(gaps + 1e-6))
        weight = nearest[..., None]
        direction = ops.sum(weight * ops.clip(vector, -NEAR_PALMS, NEAR_PALMS), 3) / NEAR_PALMS
        numbers = ops.stack([nearness, touch * valid, valid], -1)
        return [direction, ops.sum(weight * numbers, 3)]
