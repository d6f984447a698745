"""Windows on an even clock, and their variations. NumPy alone."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from handstream.model.examples import Augmentation, Example, augment, examples_of, resample
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(0)


def example(times, present=None, hands=1, aspect=0.75, channels=3):
    """A hand whose x is its time."""
    times = np.array(times, np.float32)
    points = np.full((len(times), hands, 21, channels), 0.5, np.float32)
    points[..., 0] = times[:, None, None]
    if present is not None:
        points[~np.array(present, bool)] = np.nan
    return Example(points, times, np.array([1] * hands), aspect, 0)


def test_steps_are_even_and_between_frames_interpolated():
    uneven = np.sort(np.concatenate([[0, 1], RNG.uniform(0, 1, 30)]))
    steps = resample(example(uneven), 16)
    assert steps.points[:, 0, 0, 0] == pytest.approx(np.linspace(0, 1, 16), abs=1e-4)
    assert steps.seconds == pytest.approx(1)
    assert steps.side.tolist() == [1.0]


def test_a_gap_stays_a_gap_and_a_short_one_is_bridged():
    times = np.arange(0, 2, 0.05)
    short = [not 0.5 < t < 0.62 for t in times]
    long = [not 0.5 < t < 1.2 for t in times]
    assert np.isfinite(resample(example(times, short), 64).points).all()
    points = resample(example(times, long), 64).points[:, 0, 0, 0]
    clock = np.linspace(0, times[-1], 64)
    assert np.isnan(points[(clock > 0.56) & (clock < 1.14)]).all()
    assert np.isfinite(points[(clock < 0.5) | (clock > 1.21)]).all()


def test_a_hand_that_comes_late_is_not_there_before():
    times = np.arange(0, 1, 0.05)
    points = resample(example(times, times > 0.5), 32).points[:, 0, 0, 0]
    assert np.isnan(points[: 32 // 3]).all()
    assert np.isfinite(points[-8:]).all()


def test_an_image_is_held():
    steps = resample(example([0.3]), 8, still_seconds=2.0)
    assert (steps.points[..., 0] == np.float32(0.3)).all()
    assert steps.seconds == 2.0


def test_each_view_that_saw_a_hand_is_an_example(make_moving_window):
    one = asdict(make_moving_window("left", 1, 0, 0))
    blind = {**one, "state": one["state"] * 0}
    both = {
        key: np.concatenate([one[key], blind[key]], axis)
        for key, axis in (
            ("hand_landmarks", 1),
            ("hand_world_landmarks", 1),
            ("state", 1),
            ("side", 0),
            ("image_size", 0),
        )
    }
    (found,) = examples_of({**one, **both, "views": ["cam0", "cam1"]}, "image")
    assert found.points.shape == (len(one["time"]), 2, 21, 3)
    assert found.aspect == 0.75
    assert found.view == "cam0"
    assert found.present[:, 1].all()
    assert not found.present[:, 0].any()
    (world,) = examples_of({**one, **both, "views": ["cam0", "cam1"]}, "world")
    assert world.points.shape[-1] == 6


def test_triangulated_hands_are_one_example(make_moving_window):
    window = asdict(make_moving_window("left", 1, 0, 0))
    window["hand_landmarks_3d"] = window["hand_world_landmarks"][:, 0]
    (found,) = examples_of(window, "3d")
    assert found.aspect == 1.0
    assert found.points.shape[1:] == (2, 21, 3)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(1, 60), hands=st.integers(1, 3), mirror=st.booleans())
def test_a_variation_keeps_label_and_hands_and_time_goes_on(seed, frames, hands, mirror):
    rng = np.random.default_rng(seed)
    present = rng.random((frames, hands)) < 0.8
    present[0, 0] = True
    given_example = example(np.arange(frames) / 15, None, hands)
    given_example.points[~present] = np.nan
    varied = augment(given_example, rng, Augmentation(mirror=mirror))
    assert varied.label == given_example.label
    assert (np.diff(varied.time) >= 0).all()
    assert len(varied.time) == len(varied.points)
    assert varied.present.any(), "a hand is left"
    if frames == 1:
        assert varied.time[-1] > 0.2, "an image is held"


def test_direction_survives_every_variation_but_mirroring():
    leftwards = example(np.arange(30) / 15)
    for seed in range(100):
        varied = augment(leftwards, np.random.default_rng(seed), Augmentation())
        x = varied.points[:, 0, 0, 0]
        x = x[np.isfinite(x)]
        assert x[-1] > x[0]
        assert varied.side.tolist() == [1]
    turned = [augment(leftwards, np.random.default_rng(seed), Augmentation(mirror=True)) for seed in range(20)]
    assert {int(one.side[0]) for one in turned} == {0, 1}
    for one in turned:
        x = one.points[:, 0, 0, 0]
        x = x[np.isfinite(x)]
        assert (x[-1] > x[0]) == (one.side[0] == 1), "with the movement the side changes"


def test_a_hand_is_lost_now_and_then_and_never_the_only_one():
    two = example(np.arange(30) / 15, None, 2)
    lost = 0
    for seed in range(300):
        varied = augment(two, np.random.default_rng(seed), Augmentation(hand=0.3))
        seen = varied.present.any(0)
        lost += not seen.all()
        assert seen.any()
    assert 50 < lost < 130


def test_a_single_detection_is_seen_whenever_it_is():
    times = np.arange(0, 10, 1 / 30)
    for frame in range(0, len(times), 7):
        present = np.arange(len(times)) == frame
        assert np.isfinite(resample(example(times, present), 64).points).any()


def test_frames_at_one_time_are_a_still_picture():
    still = example([0.4, 0.4])
    assert resample(still, 8, still_seconds=1.5).seconds == 1.5
    assert augment(still, np.random.default_rng(0), Augmentation()).time[-1] > 0.2
