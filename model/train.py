"""Training: examples in, the weights that do best on the validation split out."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from handstream.model.corpus import endless_batches
from handstream.model.examples import Example
from handstream.model.measures import log_loss, macro_f1
from handstream.model.networks import build
from handstream.model.recipe import Recipe
from handstream.model.takes import LabelledTake, Panel

LEAST_STEPS = 20
"""Of an epoch: a small set is gone through several times."""
BEST, STATE = "best.npz", "state.json"
WARM_UP = 0.05
"""Share of the training in which the learning rate grows to its height."""


def class_weights(examples: Sequence[Example], labels: int) -> dict[int, float]:
    """Rare labels count more, so that all count alike; at most ten times the mean."""
    counts = Counter(example.label for example in examples)
    mean = len(examples) / max(len(counts), 1)
    return {label: min(mean / counts[label], 10.0) if counts[label] else 0.0 for label in range(labels)}


class _Watch(keras.callbacks.Callback):
    """Looks at the validation takes after each epoch, keeps the best weights, says how far it is, and ends in time.

    What it knows stands in a folder, too, so that a training that was killed carries on with it.
    """

    def __init__(self, panel: Panel, recipe: Recipe, folder: Path | None, say: Callable[[str], None]) -> None:
        super().__init__()
        self._panel, self._recipe, self._folder, self._say = panel, recipe, folder, say
        self._best, self._waited, self._before = -math.inf, 0, 0.0
        self._weights: list[np.ndarray] | None = None
        self._begun = time.monotonic()
        self._epochs = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        state = read_state(self._folder)
        if state and self._folder is not None:
            self._best, self._waited, self._before = state["best"], state["waited"], state["seconds"]
            kept = np.load(self._folder / BEST)
            self._weights = [kept[f"arr_{i}"] for i in range(len(kept.files))]
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs if logs is not None else {}
        answers = self._panel.by_take(self._panel.probabilities(self.model))
        logs["val_macro_f1"], logs["val_log_loss"] = macro_f1(answers), log_loss(answers)
        # Few takes tie often: among equals the surer one.
        score = logs["val_macro_f1"] - 1e-3 * logs["val_log_loss"]
        self._waited += 1
        if score > self._best:
            self._best, self._waited, self._weights = score, 0, self.model.get_weights()
        self._epochs += 1
        here = time.monotonic() - self._begun
        self._save(epoch, self._before + here)
        left = here / self._epochs * (self._recipe.epochs - epoch - 1)
        limit = self._recipe.limit_seconds
        if limit is not None:
            left = min(left, max(limit - self._before - here, 0))
        if self._waited >= self._recipe.patience or (limit is not None and self._before + here >= limit):
            self.model.stop_training = True
        self._say(
            f"epoch {epoch + 1} of {self._recipe.epochs}: loss {logs['loss']:.3f}, "
            f"validation macro-F1 {logs['val_macro_f1']:.3f}, at most {left:.0f} s left"
        )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._weights is not None:
            self.model.set_weights(self._weights)

    def _save(self, epoch: int, seconds: float) -> None:
        if self._folder is None or self._weights is None:
            return
        if self._waited == 0:
            temporary = self._folder / f"new-{BEST}"
            np.savez(temporary, *self._weights)
            temporary.replace(self._folder / BEST)
        state = {"best": self._best, "waited": self._waited, "seconds": seconds, "epochs": epoch + 1}
        temporary = self._folder / f"new-{STATE}"
        temporary.write_text(json.dumps(state))
        temporary.replace(self._folder / STATE)


def read_state(folder: Path | None) -> dict[str, Any]:
    """Where a training stood that was killed; empty where none was."""
    try:
        return dict(json.loads((folder / STATE).read_text())) if folder is not None else {}
    except (OSError, ValueError):
        return {}


def fit(
    training: Sequence[Example],
    validation: Sequence[LabelledTake],
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
    callbacks: list[keras.callbacks.Callback] = []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        callbacks = [
            keras.callbacks.BackupAndRestore(str(folder / "checkpoint")),
            keras.callbacks.CSVLogger(str(folder / "history.csv"), append=True),
            keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
        ]
    # It comes first, so that others see its figures.
    callbacks = [_Watch(Panel(validation, steps, labels), recipe, folder, say), *callbacks]
    had = read_state(folder).get("epochs", 0) * steps_per_epoch * batch
    model.fit(
        endless_batches(training, batch, recipe.seed, recipe.augmentation, steps, had),
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
