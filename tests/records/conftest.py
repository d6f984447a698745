from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from handstream.records.window import Window


@pytest.fixture(scope="session")
def make_window() -> Callable[[str, int], Window]:
    """Makes a window of a take's name and so many frames, of two views, one of them empty, and two hands."""

    def make(take: str, frames: int) -> Window:
        shape = (frames, 2, 2)
        random = np.random.default_rng(frames)
        points = random.normal(size=(2, *shape, 21, 3)).astype(np.float32)
        points[:, :, 1] = np.nan
        return Window(
            take=take,
            views=("cam0", ""),
            subject="s1",
            label="wave",
            label_id=0,
            start_us=0,
            end_us=frames * 33_333,
            time=(np.arange(frames) / 30).astype(np.float32),
            hand_landmarks=points[0],
            hand_world_landmarks=points[1],
            handedness=random.random(shape).astype(np.float32),
            state=random.integers(0, 4, shape),
            side=np.array([[0, 1], [-1, -1]]),
            image_size=np.array([[640, 480], [0, 0]]),
        )

    return make


@pytest.fixture(scope="session")
def tf() -> ModuleType:
    return pytest.importorskip("tensorflow")
