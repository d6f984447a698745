"""Where hands go: gestures are what they are called, arms hold together, hands touch and do not pass through."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from handstream.records.errors import InputError
from handstream.synthetic import contact
from handstream.synthetic.anatomy import unit
from handstream.synthetic.figure import Stance, elbow_of, forearm_direction, make_person, wrist_angles
from handstream.synthetic.gestures import DEFAULT, GESTURES, Gesture, Key, gestures_named
from handstream.synthetic.mesh import rest_skeleton
from handstream.synthetic.motion import Manner, direction, follow, hand_rotation, spread_evenly
from handstream.synthetic.performance import Act, Performance
from handstream.synthetic.pose import SHAPES, Build, pose_hand
from handstream.synthetic.takes import Options, labelled_parts, make_take, plan_takes

SECONDS = 2.0
TIMES = np.arange(0, SECONDS, 1 / 30)
MIDDLE_MCP = 9


def perform(name, seed=1, times=TIMES):
    (gesture,) = gestures_named([name])
    rng = np.random.default_rng(seed)
    people = [make_person(str(i), rng) for i in range(gesture.people)]
    end = 0.2 + min(gesture.seconds, SECONDS - 0.4)
    performance = Performance(people, [Act(gesture, 0.2, end)], SECONDS, (seed,))
    return performance, performance.arms(times)


def wrists(moments, person, right):
    return np.array([arm.wrist for arms in moments for arm in arms if (arm.person, arm.right) == (person, right)])


def main_wrists(name, seed=1):
    """In the person's frame: left, up, front."""
    performance, moments = perform(name, seed)
    path = wrists(moments, 0, performance.people[0].right_handed)
    return (path - performance.stances[0].feet) @ performance.stances[0].axes.T


def clearances(performance, moments, a, b):
    """Metres between the flesh of two hands at each moment; below zero inside each other."""
    found = []
    for arms in moments:
        balls = []
        for arm in arms:
            if (arm.person, arm.right) in (a, b):
                build = performance.people[arm.person].build
                posed = pose_hand(arm.angles, arm.wrist_angles, arm.right, build, rest_skeleton())
                balls.append((contact.spheres(posed.moved(arm.rotation, arm.wrist).joints), contact.radii(build)))
        (ca, ra), (cb, rb) = balls
        gaps = np.linalg.norm(ca[:, None] - cb[None], axis=2) - ra[:, None] - rb[None]
        found.append(gaps.min())
    return np.array(found)


def test_the_default_set_is_the_thirteen():
    assert set(DEFAULT) == {
        *("wave", "swipe left", "swipe right", "circle", "beckon", "push", "clap", "zoom"),
        *("handshake", "high five", "thumbs up", "open palm", "none"),
    }


def test_names_are_looked_up_and_a_wrong_one_is_named():
    assert [g.name for g in gestures_named(["clap", "swipe_left"])] == ["swipe left", "clap"]
    with pytest.raises(InputError, match=r"no gesture 'wav'\. Did you mean wave"):
        gestures_named(["wav"])


@pytest.mark.parametrize("name", [g.name for g in GESTURES])
def test_arms_hold_together_and_move_as_arms_can(name):
    performance, moments = perform(name)
    for arms in moments:
        for arm in arms:
            build = performance.people[arm.person].build
            assert np.linalg.norm(arm.elbow - arm.wrist) == pytest.approx(build.forearm)
            assert np.allclose(arm.rotation @ arm.rotation.T, np.eye(3))
            assert np.linalg.det(arm.rotation) == pytest.approx(1)
            assert 0.23 < np.linalg.norm(arm.elbow - arm.shoulder) < 0.45
    speeds = [
        np.linalg.norm(np.diff(wrists(moments, p, right), axis=0), axis=1).max() * 30
        for p in range(len(performance.people))
        for right in (True, False)
    ]
    assert max(speeds) < 5, "no hand is faster than 5 m/s"


@pytest.mark.parametrize("name", [g.name for g in GESTURES])
def test_hands_turn_as_wrists_can(name):
    for seed in range(1, 5):
        _, moments = perform(name, seed)
        for hand in range(len(moments[0])):
            turns = [
                np.degrees(np.arccos(np.clip((np.trace(a[hand].rotation.T @ b[hand].rotation) - 1) / 2, -1, 1)))
                for a, b in pairwise(moments)
            ]
            assert max(turns) < 40, "degrees in a thirtieth of a second"


def test_a_left_handers_wave_is_the_mirror_image_of_a_right_handers():
    (wave,) = gestures_named(["wave"])
    still = Manner(np.zeros(3), 1.0, np.zeros(3), np.zeros((3, 3)), np.zeros(21))
    right, left = (follow(spread_evenly(wave.keys, 0, 1), hand, still, [0.1, 0.4, 0.7]) for hand in (True, False))
    mirror = np.diag([-1.0, 1, 1])
    assert np.allclose(left.wrist, right.wrist @ mirror)
    assert np.allclose(left.rotation, mirror @ right.rotation @ mirror)


def test_hands_move_about_between_the_gestures_of_a_continuous_take():
    options = Options(subjects=1, continuous=30.0)
    take = make_take(options, plan_takes(options)[0])
    _, start, end = max(
        (part for part in labelled_parts(take) if part[0] == "none"), key=lambda part: part[2] - part[1]
    )
    path = wrists(take.performance.arms(np.arange(start, end, 0.1)), 0, take.performance.people[0].right_handed)
    assert np.ptp(path, axis=0).max() > 0.08


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_a_swipe_goes_to_the_persons_own_side_with_either_hand(seed):
    for name, sign in (("swipe left", 1), ("swipe right", -1)):
        x = main_wrists(name, seed)[:, 0]
        steps = np.diff(x)
        fast = steps[np.abs(steps) > 0.7 * np.abs(steps).max()]
        assert (np.sign(fast) == sign).all()


def test_seeds_bring_people_of_both_hands():
    hands = {make_person("a", np.random.default_rng(seed)).right_handed for seed in range(20)}
    assert hands == {True, False}


def test_a_circle_goes_round_twice_clockwise_for_the_person():
    path = main_wrists("circle")[8:-8]
    x, y = (path[:, :2] - path[:, :2].mean(0)).T
    turned = np.diff(np.unwrap(np.arctan2(y, -x))).sum() / (2 * np.pi)  # -x is their right
    assert -2.3 < turned < -1.5


def test_still_gestures_are_still_and_moving_ones_move():
    for gesture in gestures_named(DEFAULT):
        if gesture.people == 2 or not gesture.keys:
            continue
        path = main_wrists(gesture.name)[12:-12]
        assert (np.ptp(path, axis=0).max() < 0.03) == gesture.still or gesture.name == "beckon"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clapping_hands_touch_and_do_not_pass_through_each_other(seed):
    gaps = clearances(*perform("clap", seed), (0, True), (0, False))
    assert gaps.min() > -1e-6
    touching = gaps < 0.004
    assert np.flatnonzero(np.diff(touching.astype(int)) == 1).size >= 3
    assert gaps.max() > 0.1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_palms_meet_in_a_high_five(seed):
    gaps = clearances(*perform("high five", seed), (0, True), (1, True))
    assert -1e-6 < gaps.min() < 0.004
    assert gaps[0] > 0.2


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_handshake_grips_and_pumps_and_lets_go(seed):
    performance, moments = perform("handshake", seed)
    gaps = clearances(performance, moments, (0, True), (1, True))
    middle = slice(25, 38)
    assert (np.abs(gaps[middle]) < 0.004).all(), "skin on skin, and not through it"
    assert gaps.min() > -0.02, "while they come together fingers brush past each other"
    touch = performance.first_touch(performance.acts[0])
    assert gaps[: int(touch * 30)].min() > 0
    assert gaps[int(touch * 30) : int(touch * 30) + 4].min() < 0.004
    assert gaps[0] > 0.1
    assert gaps[-1] > 0.1
    between = np.linalg.norm(wrists(moments, 0, True) - wrists(moments, 1, True), axis=1)[middle]
    assert between.max() < 0.16, "the webs of the thumbs meet"
    heights = wrists(moments, 0, True)[middle, 1]
    assert np.ptp(heights) > 0.03
    closed, before = (moments[i][0].angles for i in (31, 0))
    assert closed.sum() > before.sum() + 60, "fingers close"


def test_hands_that_are_apart_are_left_where_they_are():
    a, b = np.zeros((1, 3)), np.array([[0.1, 0, 0]])
    r = np.array([0.04])
    along = unit((1.0, 0, 0))
    assert contact.separation(a, r, b, r, along) == 0
    assert contact.separation(a, r * 2, b, r * 2, along) == pytest.approx(0.06)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("bend", [(30, 10), (-40, -20), (0, 0)])
def test_a_wrist_bends_so_that_the_forearm_points_to_the_elbow(right, bend):
    rotation = hand_rotation(unit((0.2, 0.1, 1)), unit((0.1, 1, 0)))
    toward = forearm_direction(rotation, np.array(bend, float), right)
    assert wrist_angles(rotation, np.zeros(3), toward, right) == pytest.approx(bend, abs=1e-6)
    # And the mesh bends there.
    build = Build(forearm=0.26)
    posed = pose_hand(SHAPES["open"], np.array(bend, float), right, build).moved(rotation, np.zeros(3))
    end = posed.vertices[np.argsort(posed.vertices @ toward)[-40:]].mean(0)
    assert unit(end) @ toward > 0.98


def test_an_elbow_bends_to_its_pole_and_keeps_lengths():
    shoulder, wrist, pole = np.zeros(3), np.array([0.0, 0, 0.4]), np.array([0.0, -1, 0])
    ahead = hand_rotation(np.array([0.0, -1, 0]), np.array([0.0, 0, 1]))
    elbow = elbow_of(shoulder, wrist, ahead, True, 0.3, 0.26, pole)
    assert np.linalg.norm(elbow) == pytest.approx(0.3, abs=0.02)
    assert np.linalg.norm(elbow - wrist) == pytest.approx(0.26, abs=0.02)
    assert elbow[1] < -0.1
    straight = elbow_of(shoulder, wrist * 2, ahead, True, 0.3, 0.26, pole)
    assert straight == pytest.approx((0, 0, 0.8 - 0.26))


def test_directions_are_the_persons_own():
    assert direction("in", right_hand=True) == pytest.approx(direction("left", right_hand=True))
    assert direction("in", right_hand=False) == pytest.approx(direction("right", right_hand=False))
    facing_x = Stance(np.zeros(3), 90)
    assert facing_x.turned(direction("front", True)) == pytest.approx((1, 0, 0))
    assert facing_x.turned(direction("left", True)) == pytest.approx((0, 0, -1))


def test_keys_are_spread_evenly_between_those_that_say_when():
    keys = [Key(), Key(at=0.5), Key(), Key(), Key()]
    assert [t.seconds for t in spread_evenly(keys, 2, 4)] == pytest.approx([2, 3, 3.333, 3.667, 4], abs=1e-3)


def test_a_new_gesture_is_a_few_lines():
    nod = Gesture("nod", (Key(up=-0.1), Key(up=-0.2), Key(up=-0.1)))
    person = make_person("a", np.random.default_rng(1))
    arms = Performance([person], [Act(nod, 0.3, 1.7)], SECONDS, (1,)).arms(TIMES)
    assert len(arms) == len(TIMES)
