"""What the network sees: hands, wherever they are, in whatever order."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from handstream.model.examples import Example, stacked  # noqa: E402
from handstream.model.features import HandFeatures  # noqa: E402
from handstream.model.networks import build  # noqa: E402
from handstream.model.recipe import NETWORKS  # noqa: E402

STEPS, LABELS = 16, 5


def inputs(hands=2, channels=3, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.05, (batch, STEPS, hands, 21, channels)) + rng.uniform(0.3, 0.7, (batch, 1, hands, 1, 1))
    points[0, :, 0] = np.nan
    points[1, 4:7] = np.nan
    return {
        "points": points.astype(np.float32),
        "seconds": np.full((batch, 1), 1.5, np.float32),
        "aspect": np.full((batch, 1), 0.75, np.float32),
        "side": np.tile(np.float32([-1, 1, 0][:hands]), (batch, 1)),
    }


def features(x):
    found, there = HandFeatures()(*(tf.constant(x[name]) for name in ("points", "seconds", "aspect", "side")))
    return found.numpy(), there.numpy()


@pytest.mark.parametrize("hands", [1, 2, 3])
@pytest.mark.parametrize("channels", [3, 6])
def test_missing_hands_are_zero_and_nothing_else_is_lost(hands, channels):
    x = inputs(hands, channels)
    found, there = features(x)
    assert np.isfinite(found).all()
    assert (there[..., 0] == np.isfinite(x["points"][..., 0, 0])).all()
    assert (found[there[..., 0] == 0] == 0).all()
    assert (np.abs(found[there[..., 0] == 1]).sum(-1) > 0).all()


def test_place_and_size_in_the_picture_do_not_count_and_the_path_does():
    x = inputs()
    moved = {**x, "points": x["points"] * 0.5}
    moved["points"] = moved["points"] + np.array([0.2, 0.1, 0], np.float32)
    assert np.allclose(features(x)[0], features(moved)[0], atol=2e-3)
    walked = x["points"].copy()
    walked[..., 0] += np.linspace(0, 0.3, STEPS, dtype=np.float32)[None, :, None, None]
    assert np.abs(features({**x, "points": walked})[0] - features(x)[0]).max() > 0.1


def test_a_picture_of_another_shape_shows_the_same_hand():
    x = inputs()
    wide = {**x, "points": x["points"] * np.array([1, 0.75 / 0.5, 1], np.float32), "aspect": x["aspect"] * 0 + 0.5}
    assert np.allclose(features(x)[0], features(wide)[0], atol=1e-3)


def test_speed_is_in_real_time_whatever_the_frame_rate():
    shape = np.random.default_rng(3).normal(0, 0.03, (21, 3)).astype(np.float32)

    def seen_at(fps, seconds=1.0, width=0.3):
        times = np.arange(round(fps * seconds) + 1, dtype=np.float32) / fps
        points = np.tile(shape, (len(times), 1, 1, 1)).astype(np.float32)
        points[..., 0] += (0.3 + width * times / seconds)[:, None, None]
        x = stacked([Example(points, times, np.array([1]), 0.75)], STEPS)
        return features(x)[0][0, :-2, 0]

    slow, fast = seen_at(5), seen_at(30)
    assert np.allclose(slow, fast, atol=1e-3)
    # Twice as far in twice the time is as quick; the length of the window is told apart.
    assert np.allclose(seen_at(30, 2.0, 0.6)[..., 76:100], fast[..., 76:100], atol=1e-3)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("hands", [2, 3])
def test_the_order_of_slots_does_not_change_the_answer(network, hands):
    model = build(network, STEPS, hands, 3, LABELS)
    x = inputs(hands)
    turned = {**x, "points": x["points"][:, :, ::-1], "side": x["side"][:, ::-1]}
    assert np.allclose(model.predict(x, verbose=0), model.predict(turned, verbose=0), atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_an_empty_slot_more_does_not_change_the_answer(network):
    x = inputs(2)
    more = {**x, "points": np.pad(x["points"], ((0, 0), (0, 0), (0, 1), (0, 0), (0, 0)), constant_values=np.nan)}
    more["side"] = np.pad(x["side"], ((0, 0), (0, 1)))
    small, large = (build(network, STEPS, hands, 3, LABELS) for hands in (2, 3))
    large.set_weights(small.get_weights())
    assert np.allclose(small.predict(x, verbose=0), large.predict(more, verbose=0), atol=1e-5)


def test_sizes_are_those_that_a_phone_takes():
    assert build("cnn", 64, 2, 3, 13).count_params() < 350_000
    assert build("tcn", 64, 2, 3, 13).count_params() < 350_000
