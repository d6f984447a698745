"""From data sets to a model in a folder."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from handstream.model import bundle, report
from handstream.model.assess import assess
from handstream.model.corpus import Corpus, open_corpus
from handstream.model.examples import Augmentation, Example
from handstream.model.recipe import Recipe
from handstream.model.train import TakeVote, fit
from handstream.records.errors import InputError
from sklearn.model_selection import StratifiedGroupKFold

WORK = "training"
"""The folder in MODEL with the checkpoints of a training that has not ended."""


def train(args: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Train, look at all splits, and write the model; or cross-validate. The exit status.

    Args:
        args: of the command line.
        say: told how far it is.
    """
    *folders, out = args.paths
    corpus = open_corpus(folders, args.input, args.steps)
    recipe = Recipe(
        network=args.network,
        epochs=args.epochs,
        batch=args.batch,
        seed=args.seed,
        limit_seconds=args.limit_seconds,
        augmentation=Augmentation(mirror=args.mirror),
    )
    training, validation = corpus.examples("train"), corpus.examples("validation")
    if args.cross_validate:
        every = training + validation + corpus.examples("test")
        return _cross_validate(corpus, every, recipe, args.cross_validate, say)
    check_learnable(corpus, training, validation)
    folder = Path(out)
    _check_folder(folder)
    say(
        f"{len(training)} examples of {len(corpus.labels)} labels, {len(validation)} to validate, from "
        f"{', '.join(folders)}; input: {corpus.kind}; network: {recipe.network}."
    )
    description = bundle.describe(corpus, recipe.network, asdict(recipe))
    work = _work_folder(folder, description)
    begun = time.monotonic()
    model = fit(training, validation, len(corpus.labels), corpus.steps, recipe, work, say)
    say(f"trained in {time.monotonic() - begun:.0f} s; looking at what it has not seen ...")
    splits = [split for split in ("validation", "test") if corpus.windows_by_label(split).total()]
    found = {split: assess(model, corpus, split, baselines=split == splits[-1]) for split in splits}
    description["figures"] = {
        split: {"accuracy": a.takes["accuracy"], "macro_f1": a.takes["macro_f1"], "takes": a.takes["count"]}
        for split, a in found.items()
    }
    bundle.save(folder, model, description)
    _keep_logs(work, folder)
    last = found[splits[-1]]
    report.write(folder / "evaluation", last, corpus.labels)
    (folder / "card.md").write_text(report.card(description, found, corpus), encoding="utf-8")
    report.show(last, corpus.labels)
    say(f"in {folder}; look at {folder / 'evaluation' / 'report.html'} and {folder / 'card.md'}")
    return 0


def _keep_logs(work: Path, folder: Path) -> None:
    """Move the training's history beside the model; its checkpoints are not needed any more."""
    for name in ("history.csv", "tensorboard"):
        target = folder / name
        if target.is_dir():
            shutil.rmtree(target)
        (work / name).replace(target)
    shutil.rmtree(work)


def _check_folder(folder: Path) -> None:
    """MODEL is new, empty, or a model of ours."""
    if folder.is_file():
        raise InputError(f"{folder} is a file; a folder is wanted for the model.")
    ours = (bundle.MODEL_JSON, "model.keras", WORK)
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in ours):
        raise InputError(f"{folder} holds something else. Choose an empty or a new folder for MODEL.")


def _work_folder(folder: Path, description: dict[str, Any]) -> Path:
    """Where this training keeps its checkpoints; those of another one are removed."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    work = folder / WORK
    mark = work / "of.txt"
    if work.exists() and (not mark.exists() or mark.read_text() != digest):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(digest)
    return work


def check_learnable(corpus: Corpus, training: Sequence[Example], validation: Sequence[Example]) -> None:
    """Raise InputError, with what is needed, where nothing can be learned or nothing could tell whether it was."""
    if not any(corpus.labels):
        raise InputError("the data set has no labels: extract it with --layout or --manifest that names them.")
    counts = Counter(example.label for example in training)
    if not training:
        raise InputError("the training split holds no labelled window with a hand: see `handstream inspect OUT`.")
    if len(counts) < 2:
        (only,) = counts
        raise InputError(
            f"all training examples are {corpus.labels[only]!r}: two labels at least are wanted, such as the gesture "
            "and 'none' (hands that move about)."
        )
    if not validation:
        raise InputError(
            "the validation split holds no labelled window with a hand, so that nothing tells when to stop: three "
            "subjects (or takes of each label) fill all splits. Add takes, edit splits.csv and extract again, or use "
            "--cross-validate 3."
        )
    few = [corpus.labels[label] for label, count in sorted(counts.items()) if count < 2]
    if len(few) == len(counts):
        raise InputError("every label has a single training example: add takes, or use --cross-validate 2.")


def _cross_validate(
    corpus: Corpus, examples: Sequence[Example], recipe: Recipe, folds: int, say: Callable[[str], None]
) -> int:
    """Train once a fold, each tested on subjects (else takes) that it has not seen."""
    groups = [example.key.split("/")[1] or example.key.partition("@")[0] for example in examples]
    labels = np.array([example.label for example in examples])
    if len(set(groups)) < folds:
        raise InputError(f"--cross-validate {folds}: there are {len(set(groups))} subjects or takes; as many at most.")
    accuracies, scores = [], []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=recipe.seed)
    for fold, (learned, tested) in enumerate(splitter.split(examples, labels, groups), 1):
        training, test = ([examples[i] for i in which] for which in (learned, tested))
        # What ends a fold's training is a part of what it learns from, never the fold itself.
        training, validation = _held_out(training, recipe.seed)
        model = fit(training, validation, len(corpus.labels), corpus.steps, replace(recipe), None, lambda text: None)
        vote = TakeVote(test, corpus.steps)
        accuracies.append(float((vote.probabilities(model).argmax(1) == vote.labels).mean()))
        scores.append(vote.macro_f1(model))
        say(f"fold {fold} of {folds}: accuracy {accuracies[-1]:.3f}, macro-F1 {scores[-1]:.3f}")
    for name, values in (("accuracy", accuracies), ("macro-F1", scores)):
        print(
            f"{name} of takes over {folds} folds: mean {np.mean(values):.3f}, standard deviation {np.std(values):.3f}"
        )
    return 0


def _held_out(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """(nine tenths, one tenth) of each label, by takes."""
    rng = np.random.default_rng(seed)
    takes: dict[int, list[str]] = {}
    for example in examples:
        mine = takes.setdefault(example.label, [])
        key = example.key.partition("@")[0]
        if key not in mine:
            mine.append(key)
    chosen = {str(take) for names in takes.values() for take in rng.permutation(names)[: max(len(names) // 10, 1)]}
    held = [example.key.partition("@")[0] in chosen for example in examples]
    return [e for e, h in zip(examples, held, strict=True) if not h], [
        e for e, h in zip(examples, held, strict=True) if h
    ]
