"""A model of a folder, held against data sets."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow.lib
import pyarrow.parquet as pq
from handstream.model import bundle, report
from handstream.model.assess import assess
from handstream.model.corpus import Corpus, open_corpus
from handstream.records.errors import DatasetError, InputError, did_you_mean


def evaluate(args: argparse.Namespace) -> int:
    """Say how good a model is, and write its report; the exit status.

    Args:
        args: of the command line.
    """
    model = bundle.load(args.model)
    given = model.description["input"]
    corpus = open_corpus(args.out, given["kind"], given["steps"], model.labels, given["hands"])
    unknown = sorted({label for dataset in corpus.datasets for label in dataset.labels} - set(model.labels))
    if not corpus.windows_by_label(args.split).total():
        raise InputError(
            f"the {args.split} split holds no window with a label that the model knows "
            f"({', '.join(model.labels)}): name another by --split."
        )
    learned = set(model.description["subjects"]["train"]) & corpus.subjects(args.split)
    if args.split != "train" and learned:
        raise InputError(f"the model has learned from {sorted(learned)[0]!r}, who is in the {args.split} split here.")
    columns = {name: column_values(corpus, name) for name in args.by}
    found = assess(model.keras_model(), corpus, args.split, not args.no_baselines, columns)
    report.write(model.folder / "evaluation", found, corpus.labels)
    if args.json:
        print(json.dumps(asdict(found), ensure_ascii=False))
        return 0
    report.show(found, corpus.labels)
    if unknown:
        print(f"left out, for the model does not know them: {', '.join(unknown)}")
    print(f"look at {model.folder / 'evaluation' / 'report.html'}")
    return 0


def column_values(corpus: Corpus, name: str) -> dict[tuple[str, str, str, str], str]:
    """Key of a take -> value of a column of clips.parquet."""
    values: dict[tuple[str, str, str, str], str] = {}
    for number, dataset in enumerate(corpus.datasets):
        path = os.path.join(dataset.folder, "clips.parquet")
        try:
            table = pq.read_table(path)
        except (OSError, pyarrow.lib.ArrowException) as error:
            raise DatasetError(f"{path}: cannot be read ({error}). Run `handstream extract` again.") from error
        _check_column(name, table.column_names, path)
        for row in table.select(["subject", "label", "take", name]).to_pylist():
            values.setdefault((str(number), row["subject"], row["label"], row["take"]), str(row[name]))
    return values


def _check_column(name: str, known: Sequence[str], path: str) -> None:
    if name not in known:
        raise InputError(f"--by {name}: no such column in {path}. {did_you_mean(name, known)}")
