"""dataset.json: what a data set is, and the readers that need nothing else to read it.

With tfrecord-lite (no TensorFlow):

    dataset = load_dataset("OUT")
    for window in read_windows(dataset, "train"):
        window["hand_landmarks"]  # [T, V, H, 21, 3]

With TensorFlow:

    spec = parse_spec(dataset)
    tf.data.TFRecordDataset(dataset.shard_paths("train")).batch(8).map(lambda x: tf.io.parse_example(x, spec))
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from handstream.records.errors import DatasetError
from handstream.records.tfrecord import CorruptShard, read_records
from handstream.records.window import FEATURES, SCHEMA

DATASET_JSON = "dataset.json"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Dataset:
    """A whole data set in a local folder."""

    folder: str
    description: dict[str, Any]
    """The contents of dataset.json."""

    @property
    def labels(self) -> list[str]:
        return list(self.description["labels"])

    @property
    def views(self) -> int:
        """V: the most views of a take."""
        return int(self.description["views"])

    @property
    def hands(self) -> int:
        """H: the number of hand slots."""
        return int(self.description["hands"])

    def shards(self, split: str) -> list[dict[str, Any]]:
        """Name, windows, bytes and sha256 of each shard of a split."""
        return list(self.description["splits"][split]["shards"])

    def shard_paths(self, split: str) -> list[str]:
        return [os.path.join(self.folder, shard["name"]) for shard in self.shards(split)]


def load_dataset(folder: str) -> Dataset:
    """Read dataset.json of a local folder.

    Raises:
        DatasetError: there is none, or it is damaged or of another schema version.
    """
    path = os.path.join(folder, DATASET_JSON)
    try:
        with open(path, encoding="utf-8") as file:
            description = json.load(file)
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: not there. Either {folder} is no data set, or its extraction has not finished: "
            "run the same `handstream extract` again, it carries on."
        ) from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}). Run `handstream extract` again.") from error
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema is None or (schema == SCHEMA and not {"labels", "views", "hands", "splits"} <= description.keys()):
        raise DatasetError(f"{path}: not a description of a data set. Run `handstream extract` again.")
    if schema != SCHEMA:
        raise DatasetError(
            f"{path}: schema {schema}, and this version reads {SCHEMA}. "
            "Run `handstream extract` again with this version (detections are kept)."
        )
    return Dataset(folder, description)


def parse_spec(dataset: Dataset) -> dict[str, Any]:
    """What `tf.io.parse_example` needs.

    T comes first; in a padded batch floats are NaN and integers 0 where a window is shorter.
    """
    import tensorflow as tf  # type: ignore[import-untyped, import-not-found, unused-ignore]

    types = {"float": tf.float32, "int": tf.int64, "bytes": tf.string}
    spec: dict[str, Any] = {}
    for name, feature in FEATURES.items():
        shape = feature.dimensions(dataset.views, dataset.hands)
        if shape[:1] == (-1,):
            spec[name] = tf.io.FixedLenSequenceFeature(
                shape[1:],
                types[feature.kind],
                allow_missing=True,
                default_value=float("nan") if feature.kind == "float" else 0,
            )
        else:
            spec[name] = tf.io.FixedLenFeature(shape, types[feature.kind])
    return spec


def shape_window(dataset: Dataset, flat: dict[str, np.ndarray]) -> dict[str, Any]:
    """The flat arrays of a record in the shapes of the contract, texts as str."""
    window: dict[str, Any] = {}
    for name, feature in FEATURES.items():
        shape = feature.dimensions(dataset.views, dataset.hands)
        value = flat[name]
        if feature.kind == "bytes":
            texts = [bytes(text).decode() for text in value]
            window[name] = texts if shape else texts[0]
        elif shape:
            window[name] = np.asarray(value).reshape(shape)
        else:
            window[name] = int(value[0])
    return window


def read_windows(dataset: Dataset, split: str) -> Iterator[dict[str, Any]]:
    """The windows of a split, by tfrecord-lite: a dict of arrays and texts for each.

    Raises:
        DatasetError: a shard is not there, or damaged.
    """
    from tfrecord_lite import decode_example  # type: ignore[import-not-found, import-untyped, unused-ignore]

    for shard, path in zip(dataset.shards(split), dataset.shard_paths(split), strict=True):
        windows = 0
        try:
            with open(path, "rb") as file:
                # tfrecord-lite's own reader checks no checksums.
                for record in read_records(file):
                    windows += 1
                    yield shape_window(dataset, decode_example(record, list(FEATURES)))
            if windows != shard["windows"]:
                raise CorruptShard(f"{windows} windows, and dataset.json says {shard['windows']}")
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = "not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
            raise DatasetError(
                f"{path}: {reason}. Run the same `handstream extract` again, it writes it anew; "
                "`handstream inspect OUT --verify` looks at all shards."
            ) from error


def verify(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Read every shard against dataset.json: (name, "") for each that is whole, (name, what is wrong) else."""
    for split in SPLITS:
        for shard, path in zip(dataset.shards(split), dataset.shard_paths(split), strict=True):
            yield shard["name"], _verify_shard(path, shard)


def _verify_shard(path: str, shard: dict[str, Any]) -> str:
    try:
        size = os.path.getsize(path)
        if size != shard["bytes"]:
            return f"{size} bytes, and dataset.json says {shard['bytes']}"
        with open(path, "rb") as file:
            windows = sum(1 for _ in read_records(file))
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, CorruptShard) as error:
        return str(error)
    if windows != shard["windows"]:
        return f"{windows} windows, and dataset.json says {shard['windows']}"
    return "" if sha256 == shard["sha256"] else "another sha256 than in dataset.json"
