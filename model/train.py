"""Training: examples in, the weights that do best on the validation split out."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from handstream.model.corpus import endless_batches, stacked
from handstream.model.examples import Example
from handstream.model.networks import build
from handstream.model.recipe import Recipe
from sklearn.metrics import f1_score

LEAST_STEPS = 20
"""Of an epoch: a small set is gone through several times."""
WARM_UP = 0.05
"""Share of the training in which the learning rate grows to its height."""


def class_weights(examples: Sequence[Example], labels: int) -> dict[int, float]:
    """Rare labels count more, so that all count alike; at most ten times the mean."""
    counts = Counter(example.label for example in examples)
    mean = len(examples) / max(len(counts), 1)
    return {label: min(mean / counts[label], 10.0) if counts[label] else 0.0 for label in range(labels)}


class TakeVote:
    """Examples as they are, and how a model's answers on them are put together: the mean over views and windows."""

    def __init__(self, examples: Sequence[Example], steps: int) -> None:
        self.keys = [example.key.partition("@")[0] for example in examples]
        self.inputs = stacked(examples, steps) if examples else {}
        by_take: dict[str, list[int]] = {}
        for i, key in enumerate(self.keys):
            by_take.setdefault(key, []).append(i)
        self.takes = list(by_take)
        self._rows = list(by_take.values())
        self.labels = np.array([examples[rows[0]].label for rows in self._rows])

    def probabilities(self, model: keras.Model) -> np.ndarray:
        """[takes, labels]"""
        logits = model.predict(self.inputs, batch_size=128, verbose=0)
        chances = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
        return np.stack([chances[rows].mean(0) for rows in self._rows])

    def macro_f1(self, model: keras.Model) -> float:
        """Mean over labels of the harmonic mean of precision and recall, of takes."""
        return float(f1_score(self.labels, self.probabilities(model).argmax(1), average="macro", zero_division=0))


class _Watch(keras.callbacks.Callback):
    """Looks at the validation split after each epoch, says how far it is, and ends the training in time."""

    def __init__(self, vote: TakeVote, recipe: Recipe, say: Callable[[str], None]) -> None:
        super().__init__()
        self._vote, self._recipe, self._say = vote, recipe, say
        self._begun = time.monotonic()
        self._first: int | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs if logs is not None else {}
        logs["val_macro_f1"] = self._vote.macro_f1(self.model)
        self._first = epoch if self._first is None else self._first
        seconds = time.monotonic() - self._begun
        left = seconds / (epoch + 1 - self._first) * (self._recipe.epochs - epoch - 1)
        limit = self._recipe.limit_seconds
        if limit is not None:
            left = min(left, max(limit - seconds, 0))
            if seconds >= limit:
                self.model.stop_training = True
        self._say(
            f"epoch {epoch + 1} of {self._recipe.epochs}: loss {logs['loss']:.3f}, "
            f"validation macro-F1 {logs['val_macro_f1']:.3f}, at most {left:.0f} s left"
        )


def fit(
    training: Sequence[Example],
    validation: Sequence[Example],
    labels: int,
    steps: int,
    recipe: Recipe,
    folder: Path | None,
    say: Callable[[str], None],
) -> keras.Model:
    """Train a network; the weights with the best macro-F1 of validation takes.

    Args:
        folder: for checkpoints (from which a killed training carries on), TensorBoard logs and history.csv.
        say: told how far it is.
    """
    keras.utils.set_random_seed(recipe.seed)
    _, hands, _, channels = training[0].points.shape
    model = build(recipe.network, steps, hands, channels, labels)
    batch = min(recipe.batch, len(training))
    steps_per_epoch = max(math.ceil(len(training) / batch), LEAST_STEPS)
    total = steps_per_epoch * recipe.epochs
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 100,
        max(total - round(WARM_UP * total), 1),
        alpha=0.01,
        warmup_target=recipe.learning_rate,
        warmup_steps=round(WARM_UP * total),
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=1.0),
        loss=_smoothed_loss(labels, recipe.label_smoothing),
        metrics=["accuracy"],
    )
    watch = _Watch(TakeVote(validation, steps), recipe, say)
    best = keras.callbacks.EarlyStopping(
        "val_macro_f1", mode="max", patience=recipe.patience, restore_best_weights=True, start_from_epoch=5
    )
    callbacks = [watch, best]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        callbacks += [
            keras.callbacks.BackupAndRestore(str(folder / "checkpoint")),
            keras.callbacks.CSVLogger(str(folder / "history.csv"), append=True),
            keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
        ]
    model.fit(
        endless_batches(training, batch, recipe.seed, recipe.augmentation, steps),
        epochs=recipe.epochs,
        steps_per_epoch=steps_per_epoch,
        class_weight=class_weights(training, labels),
        callbacks=callbacks,
        verbose=0,
    )
    return model


def _smoothed_loss(labels: int, smoothing: float) -> Callable[[Any, Any], Any]:
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)

    def loss(true: Any, logits: Any) -> Any:
        return cross_entropy(keras.ops.one_hot(keras.ops.cast(true, "int32"), labels), logits)

    return loss
