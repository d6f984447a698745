"""MODEL/: what a trained model is on disk.

MODEL/model.keras       Keras, preprocessing included
MODEL/model.tflite      the same for LiteRT
MODEL/labels.txt        a label a line, in the order of the logits
MODEL/model.json        network, input, data sets, figures, versions; written last
MODEL/card.md           a model card
MODEL/evaluation/       pictures and a page a person looks at
MODEL/history.csv, tensorboard/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
from handstream.model import features, networks
from handstream.model.corpus import Corpus
from handstream.records.dataset import SPLITS
from handstream.records.errors import InputError
from handstream.records.window import SCHEMA

FORMAT = 1
"""Raised when a model's input changes."""
MODEL_JSON = "model.json"


@dataclass(frozen=True)
class Bundle:
    """A trained model, loaded."""

    folder: Path
    description: dict[str, Any]
    """The contents of model.json."""

    @property
    def labels(self) -> list[str]:
        return list(self.description["labels"])

    def keras_model(self) -> keras.Model:
        """With the layers of this version."""
        assert features.HandFeatures is not None
        assert networks.PoolHands is not None
        return keras.models.load_model(self.folder / "model.keras", compile=False)


def describe(corpus: Corpus, network: str, recipe: dict[str, Any]) -> dict[str, Any]:
    """What model.json says before there are figures."""
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "network": network,
        "labels": list(corpus.labels),
        "input": {"kind": corpus.kind, "steps": corpus.steps, "hands": corpus.hands},
        "data": [dataset.description["sha256"] for dataset in corpus.datasets],
        "subjects": {split: sorted(corpus.subjects(split)) for split in SPLITS},
        "recipe": recipe,
        "versions": {name: version(name) for name in ("handstream", "keras", "tensorflow")},
    }


def save(folder: Path, model: keras.Model, description: dict[str, Any]) -> None:
    """Write a model; model.json last, so that where it stands all is whole."""
    (folder / MODEL_JSON).unlink(missing_ok=True)
    model.save(folder / "model.keras")
    model.export(str(folder / "model.tflite"), format="litert", verbose=False)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in description["labels"]), encoding="utf-8")
    write_description(folder, description)


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """model.json, whole or not at all."""
    temporary = folder / f".{MODEL_JSON}"
    temporary.write_text(json.dumps(description, ensure_ascii=False, indent=1), encoding="utf-8")
    temporary.replace(folder / MODEL_JSON)


def load(folder: str) -> Bundle:
    """A model that was saved whole.

    Raises:
        InputError: there is none, or it is of another version.
    """
    path = Path(folder) / MODEL_JSON
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not there. `handstream train OUT {folder}` makes a model.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Train it again.") from error
    if not isinstance(description, dict) or "format" not in description:
        raise InputError(f"{path}: not the description of a model. Train it again.")
    if (description["format"], description["schema"]) != (FORMAT, SCHEMA):
        raise InputError(
            f"{path}: format {description['format']} of schema {description['schema']}, and this version reads format "
            f"{FORMAT} of schema {SCHEMA}. Train it again with this version."
        )
    return Bundle(Path(folder), description)
