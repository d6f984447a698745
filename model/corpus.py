"""One or several data sets as one corpus: their labels together, checked, and their examples by tf.data."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from handstream.model.examples import (
    Augmentation,
    Example,
    Steps,
    augment,
    examples_of,
    resample,
)
from handstream.records.dataset import SPLITS, Dataset, load_dataset, read_windows
from handstream.records.errors import DatasetError, InputError

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Corpus:
    """Data sets that are learned from, or tested on, together."""

    datasets: tuple[Dataset, ...]
    labels: tuple[str, ...]
    """Of all, in the order in which they come."""
    hands: int
    """Slots: the most of any."""
    kind: str
    """Of `examples.INPUTS`."""
    steps: int

    def windows_by_label(self, split: str) -> Counter[str]:
        """How many windows each label has."""
        counts = Counter[str]()
        for dataset in self.datasets:
            counts.update(dataset.description["splits"][split]["windows_by_label"])
        return counts

    @cached_property
    def bytes(self) -> int:
        """Of all shards."""
        return sum(shard["bytes"] for dataset in self.datasets for split in SPLITS for shard in dataset.shards(split))

    def windows(self, split: str) -> Iterable[tuple[dict[str, Any], list[Example]]]:
        """Each window with its examples, in order; a label that the corpus does not have is -1."""
        for number, dataset in enumerate(self.datasets):
            for window in read_windows(dataset, split):
                yield window, self._examples(window, number)

    def _examples(self, window: dict[str, Any], number: int) -> list[Example]:
        name = window["label"]
        label = self.labels.index(name) if name in self.labels else -1
        key = f"{number}/{window['subject']}/{name}/{window['take']}@{window['start_us']}"
        found = examples_of({**window, "label_id": label}, self.kind, key)
        return [_with_slots(example, self.hands) for example in found]

    def examples(self, split: str) -> list[Example]:
        """All labelled examples in which a hand was seen."""
        return [example for _, found in self.windows(split) for example in found if example.label >= 0]


def endless_batches(
    every: Sequence[Example], batch: int, seed: int, augmentation: Augmentation | None, steps: int
) -> tf.data.Dataset:
    """Batches of (inputs, labels), shuffled anew in each round, each example varied anew."""
    hands, numbers = every[0].points.shape[1], every[0].points.shape[3]

    def prepare(index: np.int64, turn: np.int64) -> tuple[Any, ...]:
        example = every[int(index)]
        rng = np.random.default_rng([seed, int(turn)])
        if augmentation is not None:
            example = augment(example, rng, augmentation)
        return (*inputs_of(resample(example, steps)).values(), np.int64(example.label))

    def mapped(index: tf.Tensor, turn: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        kinds = [tf.float32] * 4 + [tf.int64]
        *values, label = tf.numpy_function(prepare, [index, turn], kinds)
        for value, shape in zip(values, ((steps, hands, 21, numbers), (1,), (1,), (hands,)), strict=True):
            value.set_shape(shape)
        label.set_shape(())
        return dict(zip(INPUT_NAMES, values, strict=True)), label

    indices = tf.data.Dataset.range(len(every)).shuffle(len(every), seed, reshuffle_each_iteration=True).repeat()
    turns = tf.data.Dataset.counter()
    paired = tf.data.Dataset.zip(indices, turns)
    return paired.map(mapped, num_parallel_calls=tf.data.AUTOTUNE).batch(batch, drop_remainder=True).prefetch(2)


INPUT_NAMES = ("points", "seconds", "aspect", "side")


def inputs_of(steps: Steps) -> Inputs:
    """What the network takes, of one example."""
    return {
        "points": steps.points,
        "seconds": np.array([steps.seconds], np.float32),
        "aspect": np.array([steps.aspect], np.float32),
        "side": steps.side,
    }


def stacked(examples: Iterable[Example], steps: int) -> Inputs:
    """What the network takes, of many examples as they are."""
    every = [inputs_of(resample(example, steps)) for example in examples]
    return {name: np.stack([inputs[name] for inputs in every]) for name in INPUT_NAMES}


def open_corpus(
    folders: Sequence[str], kind: str, steps: int, labels: Sequence[str] = (), hands: int | None = None
) -> Corpus:
    """Data sets as one corpus.

    Args:
        kind: of `examples.INPUTS`, or `auto`: the best that all of them hold.
        labels: of a model that they are for; empty: their own.
        hands: slots of that model.

    Raises:
        DatasetError: one cannot be read, or its shards are not those that it names.
        InputError: they do not fit together.
    """
    datasets = tuple(load_dataset(folder) for folder in folders)
    for dataset in datasets:
        check_shards(dataset)
    _check_leaks(datasets)
    metric = all("hand_landmarks_3d" in dataset.description.get("features", ()) for dataset in datasets)
    if kind == "3d" and not metric:
        raise InputError(
            "--input 3d: not all data sets hold triangulated landmarks: extract calibrated takes of several views."
        )
    kind = ("3d" if metric else "image") if kind == "auto" else kind
    own = dict.fromkeys(label for dataset in datasets for label in dataset.labels)
    return Corpus(
        datasets, tuple(labels) or tuple(own), hands or max(dataset.hands for dataset in datasets), kind, steps
    )


def check_shards(dataset: Dataset) -> None:
    """Raise DatasetError where a shard is not there, or not as long as dataset.json says."""
    for split in SPLITS:
        for shard, path in zip(dataset.shards(split), dataset.shard_paths(split), strict=True):
            size = os.path.getsize(path) if os.path.exists(path) else None
            if size != shard["bytes"]:
                what = "not there" if size is None else f"{size} bytes long, and dataset.json says {shard['bytes']}"
                raise DatasetError(f"{path}: {what}. Run the same `handstream extract` again, it writes it anew.")


def _check_leaks(datasets: Sequence[Dataset]) -> None:
    """A subject that is learned from must not be tested on."""
    splits: dict[str, set[str]] = defaultdict(set)
    for dataset in datasets:
        for split in SPLITS:
            for subject in dataset.description["splits"][split]["subjects"]:
                splits[subject].add(split)
    torn = sorted(subject for subject, found in splits.items() if len(found) > 1)
    if torn:
        raise InputError(
            f"{len(torn)} subjects are in two splits, such as {torn[0]!r} in {' and '.join(sorted(splits[torn[0]]))}: "
            "a model would be tested on whom it has learned. Put each into one split in splits.csv and extract again."
        )


def _with_slots(example: Example, hands: int) -> Example:
    """With empty slots up to `hands`; those beyond are left out."""
    points, side = example.points[:, :hands], example.side[:hands]
    missing = hands - points.shape[1]
    if missing:
        points = np.pad(points, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=np.nan)
        side = np.pad(side, (0, missing), constant_values=-1)
    return Example(points, example.time, side, example.aspect, example.label, example.key)
