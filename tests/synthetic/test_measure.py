from __future__ import annotations

import numpy as np
import pytest
from handstream.records.window import Side, State
from handstream.synthetic.measure import FoundHand, Score, TrueHand, facing, frames_of_window, match_hands, measure

SHAPE = np.random.default_rng(0).uniform(0, 60, (21, 2))
SHAPE[[0, 5, 9, 17]] = (30, 60), (10, 10), (25, 5), (55, 12)


def true(x, right=True, visible=21, facing="palm"):
    shown = np.arange(21) < visible
    return TrueHand(np.zeros((21, 3)), SHAPE + np.array([x, 0]), shown, 0, right, facing)


def found(x, right=True):
    return FoundHand(SHAPE + np.array([x, 0]), right)


def test_hands_are_matched_once_and_only_near():
    assert match_hands([true(0), true(100)], [found(103), found(2)]) == [(0, 1), (1, 0)]
    assert match_hands([true(0)], [found(200)]) == []
    assert match_hands([true(0)], [found(1), found(0)]) == [(0, 1)]
    assert match_hands([], [found(0)]) == []


def test_a_hand_half_out_of_the_picture_is_matched_by_the_half_that_shows():
    half = true(0, visible=8)
    guessed = FoundHand(np.where(half.visible[:, None], half.pixels, 500), True)
    assert match_hands([half], [guessed]) == [(0, 0)]


def test_scores_count_what_was_missed_wrong_and_invented():
    frames = [
        ([true(0), true(100, right=False, facing="side")], [found(3), found(102, right=True)]),
        ([true(0), true(100, right=False, facing="side")], [found(400)]),
        ([true(0, visible=5)], [found(1)]),  # hardly to be seen: neither asked for nor wrong
    ]
    scores = measure(frames)
    assert (scores["palm"].visible, scores["palm"].found, scores["palm"].side_right) == (2, 1, 1)
    assert (scores["side"].visible, scores["side"].found, scores["side"].side_right) == (2, 1, 0)
    total = scores["all"]
    assert (total.detections, total.false) == (4, 1)
    assert total.found_share == 0.5
    assert scores["palm"].median_error == pytest.approx(3)
    assert (scores["palm"] + scores["side"]).visible == 4
    assert np.isnan(Score().found_share)


def test_what_a_camera_sees_of_a_hand_follows_from_its_knuckles():
    landmarks = np.zeros((21, 3))
    landmarks[[5, 17]] = (-0.03, 0.09, 0), (0.03, 0.08, 0)  # a right hand whose palm looks to -z
    assert facing(landmarks, True, np.array([0, 0.1, -1.0])) == "palm"
    assert facing(landmarks, True, np.array([0, 0.1, 1.0])) == "back"
    assert facing(landmarks, True, np.array([1.0, 0.1, 0.1])) == "side"
    assert facing(landmarks * (-1, 1, 1), False, np.array([0, 0.1, -1.0])) == "palm"


def test_frames_of_a_window_are_those_at_the_truths_times():
    state = np.array([[[State.SEEN, State.NONE]], [[State.SEEN, State.SEEN]], [[State.INTERPOLATED, State.NONE]]])
    window = {
        "views": ["cam0"],
        "image_size": np.array([[200, 100]]),
        "time": np.array([0, 0.1, 0.2], np.float32),
        "start_us": 500_000,
        "state": state,
        "side": np.array([[Side.LEFT, Side.RIGHT]]),
        "hand_landmarks": np.full((3, 1, 2, 21, 3), 0.5, np.float32),
    }
    truths = {time: [true(0)] for time in (500_000, 600_000, 700_000, 800_000)}
    frames = list(frames_of_window(window, "cam0", truths))
    assert [len(found) for _, found in frames] == [1, 2, 0]
    assert [hand.right for hand in frames[1][1]] == [False, True]
    assert (frames[0][1][0].pixels == (100, 50)).all()
