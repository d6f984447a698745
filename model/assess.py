"""A model held against a split: by take, by window, by subject and view, beside what it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from handstream.model.baselines import Static, TimeWarping
from handstream.model.corpus import Corpus, stacked
from handstream.model.examples import Example
from handstream.model.measures import Answers, by_group, figures

WORST = 10


@dataclass
class Assessment:
    """What is known of a model on a split."""

    split: str
    takes: dict[str, Any]
    """As `measures.figures`."""
    windows: dict[str, Any]
    subjects: dict[str, dict[str, float]]
    views: dict[str, dict[str, float]]
    baselines: dict[str, float] = field(default_factory=dict)
    """Accuracy of takes."""
    worst: list[dict[str, Any]] = field(default_factory=list)
    """Takes whose label was thought least likely."""
    columns: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """By other columns of the manifest."""


@dataclass(eq=False)
class _Group:
    """A take, or a window of it."""

    label: int
    subject: str
    name: str
    examples: list[Example]
    views: list[str]


def assess(
    model: keras.Model,
    corpus: Corpus,
    split: str,
    baselines: bool = True,
    columns: dict[str, dict[tuple[str, str, str], str]] | None = None,
) -> Assessment:
    """Hold a model against a split.

    Args:
        baselines: train the still recognizer and time warping on the training split, too.
        columns: name -> (subject, label, take) -> value, to break figures down by.
    """
    windows: list[_Group] = []
    takes: dict[str, _Group] = {}
    for window, examples in corpus.windows(split):
        label = corpus.labels.index(window["label"]) if window["label"] in corpus.labels else -1
        if label < 0:
            continue
        views = [view for v, view in enumerate(window["views"]) if np.isfinite(window["hand_landmarks"][:, v]).any()]
        group = _Group(label, window["subject"], window["take"], examples, views if len(views) == len(examples) else [])
        windows.append(group)
        key = f"{window['subject']}/{window['label']}/{window['take']}"
        take = takes.setdefault(key, _Group(label, window["subject"], window["take"], [], []))
        take.examples += examples
        take.views += group.views
    every = [example for group in takes.values() for example in group.examples]
    chances = probabilities(model, every, corpus.steps)
    of_example = {id(example): row for example, row in zip(every, chances, strict=True)}
    by_take = _answers(list(takes.values()), of_example, len(corpus.labels))
    by_window = _answers(windows, of_example, len(corpus.labels))
    found = Assessment(
        split,
        figures(by_take, corpus.labels),
        figures(by_window, corpus.labels),
        by_group(by_take, [group.subject or "(none)" for group in takes.values()]),
        _by_view(list(takes.values()), of_example),
    )
    found.worst = _worst(by_take, list(takes.values()), corpus.labels)
    for name, values in (columns or {}).items():
        keys = [(group.subject, corpus.labels[group.label], group.name) for group in takes.values()]
        found.columns[name] = by_group(by_take, [values.get(key, "(none)") for key in keys])
    if baselines:
        found.baselines = _baselines(corpus, list(takes.values()))
    return found


def probabilities(model: keras.Model, examples: Sequence[Example], steps: int) -> np.ndarray:
    """[examples, labels]"""
    if not examples:
        return np.zeros((0, model.output_shape[-1]))
    logits = model.predict(stacked(examples, steps), batch_size=128, verbose=0)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))


def _answers(groups: Sequence[_Group], of_example: dict[int, np.ndarray], labels: int) -> Answers:
    rows = [
        np.mean([of_example[id(example)] for example in group.examples], axis=0)
        if group.examples
        else np.full(labels, np.nan)
        for group in groups
    ]
    return Answers(np.array([group.label for group in groups], int), np.array(rows).reshape(len(groups), labels))


def _by_view(takes: Sequence[_Group], of_example: dict[int, np.ndarray]) -> dict[str, dict[str, float]]:
    """Accuracy of each view alone."""
    pairs = [
        (view, group.label, of_example[id(example)])
        for group in takes
        for view, example in zip(group.views, group.examples, strict=False)
    ]
    if not pairs:
        return {}
    views, labels, rows = zip(*pairs, strict=True)
    return by_group(Answers(np.array(labels), np.stack(rows)), [view or "(only one)" for view in views])


def _worst(answers: Answers, takes: Sequence[_Group], labels: Sequence[str]) -> list[dict[str, Any]]:
    chances = np.nan_to_num(answers.probabilities)[np.arange(len(takes)), answers.labels]
    return [
        {
            "take": takes[i].name,
            "subject": takes[i].subject,
            "label": labels[answers.labels[i]],
            "said": labels[answers.predicted[i]] if answers.predicted[i] >= 0 else "(no hand)",
            "chance": round(float(chances[i]), 4),
        }
        for i in np.argsort(chances, kind="stable")[:WORST]
    ]


def _baselines(corpus: Corpus, takes: Sequence[_Group]) -> dict[str, float]:
    training = corpus.examples("train")
    seen = [group for group in takes if group.examples]
    labels = np.array([group.label for group in seen])
    examples = [group.examples for group in seen]
    # A take without a hand is wrong for these, too.
    share = len(seen) / max(len(takes), 1)
    return {
        name: float((baseline(training).predict(examples) == labels).mean() * share)
        for name, baseline in (("static", Static), ("dtw", TimeWarping))
    }
