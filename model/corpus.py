"""One or several data sets as one corpus: their labels together, checked, and their examples by tf.data."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from handstream.model.examples import INPUT_NAMES, Augmentation, Example, augment, examples_of, inputs_of, resample
from handstream.model.takes import LabelledTake
from handstream.records.dataset import SPLITS, Dataset, load_dataset, read_windows
from handstream.records.errors import DatasetError, InputError


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
        return Counter({label: count for label, count in counts.items() if label in self.labels})

    def subjects(self, split: str) -> set[str]:
        return {s for dataset in self.datasets for s in dataset.description["splits"][split]["subjects"]}

    def takes(self, split: str) -> list[LabelledTake]:
        """All takes with a label that the corpus has, in order, those in which no hand was seen among them."""
        windows: dict[tuple[str, str, str, str], list[tuple[Example, ...]]] = {}
        for number, dataset in enumerate(self.datasets):
            for window in read_windows(dataset, split):
                if window["label"] in self.labels:
                    key = (str(number), window["subject"], window["label"], window["take"])
                    label = self.labels.index(window["label"])
                    found = examples_of({**window, "label_id": label}, self.kind)
                    slotted = (with_slots(example, self.hands) for example in found)
                    windows.setdefault(key, []).append(tuple(e for e in slotted if e.present.any()))
        return [LabelledTake(key, self.labels.index(key[2]), tuple(found)) for key, found in windows.items()]


def endless_batches(
    every: Sequence[Example], batch: int, seed: int, augmentation: Augmentation | None, steps: int, skip: int = 0
) -> tf.data.Dataset:
    """Batches of (inputs, labels), shuffled anew in each round, each example varied anew.

    Args:
        skip: how many examples were had already, before a training was killed.
    """
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

    indices = (
        tf.data.Dataset.range(len(every)).shuffle(len(every), seed, reshuffle_each_iteration=True).repeat().skip(skip)
    )
    turns = tf.data.Dataset.counter(skip)
    paired = tf.data.Dataset.zip(indices, turns)
    return paired.map(mapped, num_parallel_calls=tf.data.AUTOTUNE).batch(batch, drop_remainder=True).prefetch(2)


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


def with_slots(example: Example, hands: int) -> Example:
    """With so many slots: empty ones more, or those in which a hand was seen most."""
    slots = example.points.shape[1]
    if slots > hands:
        most = np.sort(np.argsort(-example.present.sum(0), kind="stable")[:hands])
        return replace(example, points=example.points[:, most], side=example.side[most])
    points = np.pad(example.points, ((0, 0), (0, hands - slots), (0, 0), (0, 0)), constant_values=np.nan)
    return replace(example, points=points, side=np.pad(example.side, (0, hands - slots), constant_values=-1))
