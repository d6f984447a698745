"""Takes that have labels, and what a model says of them: the mean over their views and windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from handstream.model.examples import Example, stacked
from handstream.model.measures import Answers


@dataclass(frozen=True, eq=False)
class LabelledTake:
    """A take, and what its views showed of each of its windows."""

    key: tuple[str, str, str, str]
    """Number of its data set, subject, label, take."""
    label: int
    windows: tuple[tuple[Example, ...], ...]
    """Empty where no hand was seen."""

    @property
    def subject(self) -> str:
        return self.key[1]

    @property
    def name(self) -> str:
        return self.key[3]

    @property
    def group(self) -> tuple[str, ...]:
        """What must not be torn apart: a subject, else a take."""
        return (self.subject,) if self.subject else self.key

    @property
    def examples(self) -> list[Example]:
        return [example for window in self.windows for example in window]


def examples_of_takes(takes: Sequence[LabelledTake]) -> list[Example]:
    return [example for take in takes for example in take.examples]


class Panel:
    """Takes as a network reads them, ready to be asked about again and again."""

    def __init__(self, takes: Sequence[LabelledTake], steps: int, labels: int) -> None:
        self.takes = list(takes)
        self._labels = labels
        self.examples = examples_of_takes(takes)
        self._inputs = stacked(self.examples, steps) if self.examples else {}
        rows = iter(range(len(self.examples)))
        self._windows = [(take.label, [next(rows) for _ in window]) for take in takes for window in take.windows]
        rows = iter(range(len(self.examples)))
        self._takes = [(take.label, [next(rows) for _ in take.examples]) for take in takes]

    def probabilities(self, model: keras.Model) -> np.ndarray:
        """[examples, labels]"""
        if not self.examples:
            return np.zeros((0, self._labels))
        logits = model.predict(self._inputs, batch_size=128, verbose=0)
        return np.asarray(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))

    def by_take(self, chances: np.ndarray) -> Answers:
        return self._put_together(self._takes, chances)

    def by_window(self, chances: np.ndarray) -> Answers:
        return self._put_together(self._windows, chances)

    def by_example(self, chances: np.ndarray) -> Answers:
        return Answers(np.array([example.label for example in self.examples], int), chances)

    def _put_together(self, groups: Sequence[tuple[int, list[int]]], chances: np.ndarray) -> Answers:
        nothing = np.full(self._labels, np.nan)
        means = [chances[rows].mean(0) if rows else nothing for _, rows in groups]
        return Answers(np.array([label for label, _ in groups], int), np.array(means).reshape(-1, self._labels))
