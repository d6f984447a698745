"""The networks. Each reads every hand with the same weights and pools over the hands: their order does not matter."""

from __future__ import annotations

from typing import Any

import keras
from handstream.model.features import HandFeatures
from keras import layers, ops

WIDTH = 96
KERNEL = 9
DROPOUT = 0.3


@keras.saving.register_keras_serializable("handstream")
class PoolHands(layers.Layer):
    """[B, N, H, F] to [B, N, 2 F + 1]: the greatest and the sum over hands that are there, and how many these are."""

    def call(self, x: Any, there: Any) -> Any:
        low = ops.where(ops.broadcast_to(there, ops.shape(x)) > 0, x, -1e3 * ops.ones_like(x))
        greatest = ops.max(low, 2) * ops.max(there, 2)
        return ops.concatenate([greatest, ops.sum(x * there, 2), ops.sum(there, 2)], -1)


@keras.saving.register_keras_serializable("handstream")
class PoolSteps(layers.Layer):
    """[B, N, F] to [B, 2 F]: the mean and the greatest over the steps with a hand."""

    def call(self, x: Any, there: Any) -> Any:
        count = ops.maximum(ops.sum(there, 1), 1e-6)
        low = ops.where(ops.broadcast_to(there, ops.shape(x)) > 0, x, -1e3 * ops.ones_like(x))
        greatest = ops.max(low, 1) * ops.max(there, 1)
        return ops.concatenate([ops.sum(x * there, 1) / count, greatest], -1)


@keras.saving.register_keras_serializable("handstream")
class AnyHand(layers.Layer):
    """[B, N, H, 1] to [B, N, 1]: whether there is any hand."""

    def call(self, there: Any) -> Any:
        return ops.max(there, 2)


def _conv_block(x: Any, there: Any, name: str) -> Any:
    """Depthwise over time, then across features; a residual."""
    y = layers.LayerNormalization(name=f"{name}_norm")(x)
    y = layers.Dense(2 * WIDTH, activation="silu", name=f"{name}_in")(y) * there
    y = layers.DepthwiseConv1D(KERNEL, padding="same", activation="silu", name=f"{name}_depthwise")(y)
    y = layers.Dense(WIDTH, name=f"{name}_out")(y)
    return x + layers.Dropout(DROPOUT / 2, name=f"{name}_dropout")(y)


def _attention_block(x: Any, there: Any, name: str) -> Any:
    """A Transformer's block; steps without a hand are not attended to."""
    y = layers.LayerNormalization(name=f"{name}_norm")(x)
    y = layers.MultiHeadAttention(4, WIDTH // 4, dropout=0.1, name=f"{name}_attention")(
        y, y, attention_mask=layers.Permute((2, 1))(there)
    )
    x = x + layers.Dropout(DROPOUT / 2, name=f"{name}_dropout")(y)
    y = layers.LayerNormalization(name=f"{name}_norm2")(x)
    y = layers.Dense(2 * WIDTH, activation="silu", name=f"{name}_in")(y)
    return x + layers.Dense(WIDTH, name=f"{name}_out")(y)


def _dilated_block(x: Any, there: Any, dilation: int, name: str) -> Any:
    """Two convolutions that look further and further apart; a residual."""
    y = layers.LayerNormalization(name=f"{name}_norm")(x) * there
    y = layers.Conv1D(WIDTH, 3, padding="same", dilation_rate=dilation, activation="silu", name=f"{name}_one")(y)
    y = layers.Dropout(DROPOUT / 2, name=f"{name}_dropout")(y)
    return x + layers.Dense(WIDTH, name=f"{name}_out")(y)


def build(network: str, steps: int, hands: int, channels: int, labels: int) -> keras.Model:
    """A model from raw landmarks to the logits of labels.

    Args:
        network: of `recipe.NETWORKS`.
        channels: numbers of a landmark (see `examples.channels`).
    """
    points = keras.Input((steps, hands, 21, channels), name="points")
    seconds = keras.Input((1,), name="seconds")
    aspect = keras.Input((1,), name="aspect")
    side = keras.Input((hands,), name="side")
    features, there = HandFeatures(name="features")(points, seconds, aspect, side)
    x = layers.Dense(WIDTH, name="hand_in")(features)
    x = layers.Dropout(DROPOUT / 2, name="hand_dropout")(x)
    x = layers.Activation("silu")(x)
    x = PoolHands(name="pool_hands")(x, there)
    any_hand = AnyHand(name="any_hand")(there)
    x = layers.Dense(WIDTH, name="hands_in")(x)
    if network == "cnn":
        for i in range(3):
            x = _conv_block(x, any_hand, f"conv{i}")
        x = _attention_block(x, any_hand, "transformer")
    else:
        for i, dilation in enumerate((1, 2, 4, 8)):
            x = _dilated_block(x, any_hand, dilation, f"tcn{i}")
    x = layers.LayerNormalization(name="last_norm")(x)
    x = PoolSteps(name="pool_steps")(x, any_hand)
    embedding = layers.Dense(WIDTH, activation="silu", name="embedding")(layers.Dropout(DROPOUT, name="dropout")(x))
    logits = layers.Dense(labels, name="logits")(layers.Dropout(DROPOUT, name="dropout2")(embedding))
    inputs = {"points": points, "seconds": seconds, "aspect": aspect, "side": side}
    return keras.Model(inputs, logits, name=network)
