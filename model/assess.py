"""A model held against a split: by take, by window, by subject and view, beside what it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from handstream.model.baselines import Static, TimeWarping
from handstream.model.corpus import Corpus
from handstream.model.examples import Example
from handstream.model.measures import Answers, by_group, figures
from handstream.model.takes import LabelledTake, Panel, examples_of_takes

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


def assess(
    model: keras.Model,
    corpus: Corpus,
    split: str,
    baselines: bool = True,
    columns: dict[str, dict[tuple[str, str, str, str], str]] | None = None,
) -> Assessment:
    """Hold a model against a split.

    Args:
        baselines: train the still recognizer and time warping on the training split, too.
        columns: name -> key of a take -> value, to break figures down by.
    """
    takes = corpus.takes(split)
    panel = Panel(takes, corpus.steps, len(corpus.labels))
    chances = panel.probabilities(model)
    by_take = panel.by_take(chances)
    found = Assessment(
        split,
        figures(by_take, corpus.labels),
        figures(panel.by_window(chances), corpus.labels),
        by_group(by_take, [take.subject or "(none)" for take in takes]),
        by_group(panel.by_example(chances), [example.view or "(only one)" for example in panel.examples]),
        worst=_worst(by_take, takes, corpus.labels),
    )
    for name, values in (columns or {}).items():
        found.columns[name] = by_group(by_take, [values.get(take.key, "(none)") for take in takes])
    if baselines:
        found.baselines = baseline_accuracies(examples_of_takes(corpus.takes("train")), takes)
    return found


def _worst(answers: Answers, takes: Sequence[LabelledTake], labels: Sequence[str]) -> list[dict[str, Any]]:
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


def baseline_accuracies(training: Sequence[Example], takes: Sequence[LabelledTake]) -> dict[str, float]:
    """Accuracy of what a model has to beat, trained on the same examples; none where these have not two labels."""
    if len({example.label for example in training}) < 2:
        return {}
    seen = [take for take in takes if take.examples]
    labels = np.array([take.label for take in seen])
    # A take without a hand is wrong for these, too.
    share = len(seen) / max(len(takes), 1)
    examples = [take.examples for take in seen]
    return {
        name: float((baseline(training).predict(examples) == labels).mean() * share) if seen else 0.0
        for name, baseline in (("static", Static), ("dtw", TimeWarping))
    }
