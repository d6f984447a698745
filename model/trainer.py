"""From data sets to a model in a folder."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from handstream.model import bundle, report
from handstream.model.assess import assess, baseline_accuracies
from handstream.model.corpus import Corpus, open_corpus
from handstream.model.examples import Augmentation, Example
from handstream.model.measures import figures
from handstream.model.recipe import Recipe
from handstream.model.takes import LabelledTake, Panel, examples_of_takes
from handstream.model.train import fit
from handstream.records.dataset import SPLITS
from handstream.records.errors import InputError
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

WORK, MARK = ".training", "handstream.txt"
"""The folder in MODEL with the checkpoints of a training that has not ended, and the file that tells which."""


def train(args: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Train, look at all splits, and write the model; or cross-validate. The exit status.

    Args:
        args: of the command line.
        say: told how far it is.
    """
    folders, out = (args.paths, "") if args.cross_validate else (args.paths[:-1], args.paths[-1])
    corpus = open_corpus(folders, args.input, args.steps)
    recipe = Recipe(
        network=args.network,
        epochs=args.epochs,
        batch=args.batch,
        seed=args.seed,
        limit_seconds=args.limit_seconds,
        augmentation=Augmentation(mirror=args.mirror),
    )
    if args.cross_validate:
        return _cross_validate(corpus, recipe, args.cross_validate, say)
    training, validation = examples_of_takes(corpus.takes("train")), corpus.takes("validation")
    for line in check_learnable(corpus, training, validation):
        say(line)
    folder = Path(out)
    _check_folder(folder)
    say(
        f"{len(training)} examples of {len(corpus.labels)} labels, {len(validation)} takes to validate, from "
        f"{', '.join(folders)}; input: {corpus.kind}; network: {recipe.network}."
    )
    description = bundle.describe(corpus, recipe.network, asdict(recipe))
    work = _work_folder(folder, description)
    begun = time.monotonic()
    model = fit(training, validation, len(corpus.labels), corpus.steps, recipe, work, say)
    bundle.save(folder, model, description)
    _keep_logs(work, folder)
    say(f"trained in {time.monotonic() - begun:.0f} s; looking at what it has not seen ...")
    splits = [split for split in ("validation", "test") if corpus.windows_by_label(split).total()]
    found = {split: assess(model, corpus, split, baselines=split == splits[-1]) for split in splits}
    description["figures"] = {
        split: {"accuracy": a.takes["accuracy"], "macro_f1": a.takes["macro_f1"], "takes": a.takes["count"]}
        for split, a in found.items()
    }
    bundle.write_description(folder, description)
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
    ours = (bundle.MODEL_JSON, "model.keras", f"{WORK}/{MARK}")
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).exists() for name in ours):
        raise InputError(f"{folder} holds something else. Choose an empty or a new folder for MODEL.")


def _work_folder(folder: Path, description: dict[str, Any]) -> Path:
    """Where this training keeps its checkpoints; those of another one are removed."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    work = folder / WORK
    mark = work / MARK
    if work.exists() and (not mark.exists() or mark.read_text() != digest):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(digest)
    return work


def check_learnable(corpus: Corpus, training: Sequence[Example], validation: Sequence[LabelledTake]) -> Iterator[str]:
    """What a user should know before a training.

    Raises:
        InputError: nothing can be learned, or nothing could tell whether it was; says what is needed.
    """
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
    if not any(take.examples for take in validation):
        raise InputError(
            "the validation split holds no labelled window with a hand, so that nothing tells when to stop: three "
            "subjects (or takes of each label) fill all splits. Add takes, edit splits.csv and extract again, or use "
            "--cross-validate 3."
        )
    missing = [name for label, name in enumerate(corpus.labels) if not counts[label]]
    if missing:
        yield f"no training example of: {', '.join(missing)}. The model will never say so."
    few = [corpus.labels[label] for label, count in counts.items() if count < 3]
    if few:
        yield f"one or two training examples alone of: {', '.join(few)}. That is too few to learn from."


def _cross_validate(corpus: Corpus, recipe: Recipe, folds: int, say: Callable[[str], None]) -> int:
    """Train once a fold, each tested on subjects (else takes) that it has not seen."""
    takes = [take for split in SPLITS for take in corpus.takes(split)]
    labels = np.array([take.label for take in takes])
    names = {group: number for number, group in enumerate(dict.fromkeys(take.group for take in takes))}
    groups = np.array([names[take.group] for take in takes])
    if len(names) < folds:
        raise InputError(f"--cross-validate {folds}: there are {len(names)} subjects or takes; as many at most.")
    scores: dict[str, list[float]] = {}
    for fold, (learned, tested) in enumerate(_folds(labels, groups, folds, recipe.seed), 1):
        # What ends a fold's training is a part of what it learns from, never the fold itself.
        training, validation = held_out([takes[i] for i in learned], recipe.seed)
        examples = examples_of_takes(training)
        if len({example.label for example in examples}) < 2:
            raise InputError(f"--cross-validate {folds}: fold {fold} leaves fewer than two labels to learn from.")
        model = fit(examples, validation, len(corpus.labels), corpus.steps, recipe, None, lambda text: None)
        test = [takes[i] for i in tested]
        panel = Panel(test, corpus.steps, len(corpus.labels))
        found = figures(panel.by_take(panel.probabilities(model)), corpus.labels)
        row = {"accuracy": found["accuracy"], "macro-F1": found["macro_f1"]}
        row |= baseline_accuracies(examples_of_takes([takes[i] for i in learned]), test)
        for name, value in row.items():
            scores.setdefault(name, []).append(value)
        say(f"fold {fold} of {folds}: " + ", ".join(f"{name} {value:.3f}" for name, value in row.items()))
    print(f"takes, {folds} folds:")
    for name, values in scores.items():
        print(f"  {name}: mean {np.mean(values):.3f}, standard deviation {np.std(values):.3f}")
    return 0


def _folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(learned from, tested on), each label in each fold where it has groups enough."""
    enough = min(len(set(groups[labels == label])) for label in set(labels.tolist())) >= folds
    kind = StratifiedGroupKFold if enough else GroupKFold
    return iter(kind(folds, shuffle=True, random_state=seed).split(labels, labels, groups))


def held_out(takes: Sequence[LabelledTake], seed: int) -> tuple[list[LabelledTake], list[LabelledTake]]:
    """(to learn from, to tell when to stop): a tenth of the groups, one at least; of two groups or fewer, of the takes.

    No label loses its last take; where that leaves nothing over, what is learned from tells, too.
    """
    rng = np.random.default_rng(seed)
    groups = sorted({take.group for take in takes})
    whole = len(groups) >= 3
    units = groups if whole else sorted(take.key for take in takes)
    left = Counter(take.label for take in takes)
    chosen: set[tuple[str, ...]] = set()
    for index in rng.permutation(len(units)):
        unit = units[index]
        mine = Counter(take.label for take in takes if (take.group if whole else take.key) == unit)
        if all(left[label] > count for label, count in mine.items()):
            chosen.add(unit)
            left -= mine
        if len(chosen) >= max(len(units) // 10, 1):
            break
    held = [(take.group if whole else take.key) in chosen for take in takes]
    kept = [take for take, out in zip(takes, held, strict=True) if not out]
    return kept, [take for take, out in zip(takes, held, strict=True) if out] or kept
