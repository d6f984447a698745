"""What a model has to beat: a still recognizer of one hand in one frame, and nearest neighbours under time warping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from dtaidistance import dtw_ndim
from handstream.model.examples import Example, resample
from handstream.records.window import Side
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

WRIST, INDEX_TIP, INDEX_MCP, MIDDLE_MCP, LITTLE_MCP = 0, 8, 5, 9, 17
FRAMES = 16
"""Looked at in each example by the still recognizer."""
PATH_STEPS = 32
MOST_FRAMES = 10_000
"""Learned from by the still recognizer: its time grows with the square of their number."""
MOST_TEMPLATES = 1000
"""Examples that time warping compares with: its time grows with their number."""


def hand_shapes(example: Example) -> np.ndarray:
    """[frames, 63] the hand seen most, about its wrist, in palms: all that a still recognizer of one hand sees."""
    present = example.present
    hand = int(present.sum(0).argmax())
    frames = np.flatnonzero(present[:, hand])
    frames = frames[np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).astype(int)]
    points = example.points[frames, hand, :, :3] * np.array((1, example.aspect, 1), np.float32)
    if example.side[hand] == Side.LEFT:
        points = points * np.array((-1, 1, 1), np.float32)  # as a right one
    palm = np.linalg.norm(points[:, [MIDDLE_MCP], :2] - points[:, [WRIST], :2], axis=-1)
    return ((points - points[:, :1]) / np.maximum(palm, 1e-3)[..., None]).reshape(len(frames), -1)


class Static:
    """A support vector machine of hand shapes; a take's answer is its frames' vote."""

    def __init__(self, examples: Sequence[Example]) -> None:
        shapes = [hand_shapes(example) for example in examples]
        labels = np.repeat([example.label for example in examples], [len(s) for s in shapes])
        every = np.concatenate(shapes)
        chosen = np.random.default_rng(0).permutation(len(every))[:MOST_FRAMES]
        self._classifier: Pipeline = make_pipeline(StandardScaler(), SVC(C=10, class_weight="balanced"))
        self._classifier.fit(every[chosen], labels[chosen])

    def predict(self, takes: Sequence[Sequence[Example]]) -> np.ndarray:
        """The label of each take, of which these are the views and windows."""
        answers = []
        for examples in takes:
            frames = np.concatenate([hand_shapes(example) for example in examples])
            answers.append(np.bincount(self._classifier.predict(frames)).argmax())
        return np.array(answers)


def hand_paths(example: Example) -> np.ndarray:
    """[steps, 4 H] where wrist and index fingertip of each hand are, about the middle of all, in palms."""
    steps = resample(example, PATH_STEPS)
    points = steps.points[..., :2] * np.array((1, steps.aspect), np.float32)
    palms = np.linalg.norm(points[:, :, MIDDLE_MCP] - points[:, :, WRIST], axis=-1)
    paths = points[:, :, [WRIST, INDEX_TIP]]
    paths = (paths - np.nanmean(paths[:, :, 0], axis=(0, 1))) / max(float(np.nanmean(palms)), 1e-3)
    columns = paths.reshape(PATH_STEPS, -1).astype(np.float64)
    return np.stack([_bridged(column) for column in columns.T], 1)


def _bridged(column: np.ndarray) -> np.ndarray:
    """Without gaps: straight on between what was seen; 0 where nothing was."""
    seen = np.flatnonzero(np.isfinite(column))
    return np.interp(np.arange(len(column)), seen, column[seen]) if len(seen) else np.zeros(len(column))


class TimeWarping:
    """The nearest training example under dynamic time warping of hand paths; of a take, its nearest example's."""

    def __init__(self, examples: Sequence[Example], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(examples))[:MOST_TEMPLATES]
        self._paths = [hand_paths(examples[i]) for i in chosen]
        self._labels = [examples[i].label for i in chosen]

    def predict(self, takes: Sequence[Sequence[Example]]) -> np.ndarray:
        """The label of each take, of which these are the views and windows."""
        answers = []
        for examples in takes:
            paths = [hand_paths(example) for example in examples]
            nearest = [min(dtw_ndim.distance_fast(path, other) for path in paths) for other in self._paths]
            answers.append(self._labels[int(np.argmin(nearest))])
        return np.array(answers)
