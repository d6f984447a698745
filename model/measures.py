"""Figures of a classifier, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

THRESHOLDS = (0.5, 0.7, 0.9)
BINS = 10


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of takes, or of windows, that have labels."""

    labels: np.ndarray
    """[n] true, as numbers."""
    probabilities: np.ndarray
    """[n, labels]; a row of NaN where no hand was seen, which counts as wrong."""

    @property
    def predicted(self) -> np.ndarray:
        """[n]; -1 where nothing could be said."""
        known = np.isfinite(self.probabilities).all(1)
        return np.where(known, np.nan_to_num(self.probabilities).argmax(1), -1)

    @property
    def confidence(self) -> np.ndarray:
        """[n]"""
        return np.nan_to_num(self.probabilities).max(1)


def figures(answers: Answers, names: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro-F1, and of each label precision, recall and how many there are; calibration; thresholds."""
    true, said = answers.labels, answers.predicted
    every = precision_recall_fscore_support(true, said, labels=range(len(names)), zero_division=0)
    by_label = {
        name: dict(zip(("precision", "recall", "f1", "count"), map(float, values), strict=True))
        for name, *values in zip(names, *every, strict=True)
    }
    return {
        "count": len(true),
        "accuracy": float(accuracy_score(true, said)),
        "macro_f1": macro_f1(answers),
        "without_hands": int((said < 0).sum()),
        "labels": by_label,
        "confusion": confusion_matrix(true, np.where(said < 0, len(names), said), labels=range(len(names) + 1))[
            : len(names)
        ].tolist(),
        "calibration_error": calibration_error(answers),
        "thresholds": {str(t): _at_threshold(answers, t) for t in THRESHOLDS},
    }


def macro_f1(answers: Answers) -> float:
    """Mean over the labels that occur of the harmonic mean of precision and recall."""
    labels = np.unique(answers.labels)
    return float(f1_score(answers.labels, answers.predicted, labels=labels, average="macro", zero_division=0))


def log_loss(answers: Answers) -> float:
    """Mean of -log of the chance that was given to the label; a take without a hand was given one of none."""
    chances = np.nan_to_num(answers.probabilities)[np.arange(len(answers.labels)), answers.labels]
    return float(-np.log(np.maximum(chances, 1e-6)).mean())


def calibration_error(answers: Answers) -> float:
    """Expected calibration error: how far confidence is from accuracy, over ten bins of it (Guo et al. 2017)."""
    right = answers.predicted == answers.labels
    bins = np.minimum((answers.confidence * BINS).astype(int), BINS - 1)
    parts = [
        (bins == b).mean() * abs(right[bins == b].mean() - answers.confidence[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(sum(parts))


def _at_threshold(answers: Answers, threshold: float) -> dict[str, float]:
    """Share that is still answered, and how much of that is right."""
    kept = answers.confidence >= threshold
    right = (answers.predicted == answers.labels)[kept]
    return {"answered": float(kept.mean()), "accuracy": float(right.mean()) if kept.any() else 0.0}


def by_group(answers: Answers, groups: Sequence[str]) -> dict[str, dict[str, float]]:
    """Accuracy and count of each group, the worst first."""
    right, names = answers.predicted == answers.labels, np.array(groups)
    found = {
        str(name): {"accuracy": float(right[names == name].mean()), "count": int((names == name).sum())}
        for name in np.unique(names)
    }
    return dict(sorted(found.items(), key=lambda item: item[1]["accuracy"]))
