import copy
import dataclasses
import functools

import numpy as np
from handstream.records.window import FEATURES, State, Statistics, Window, quantiles
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=60)


def window(state, time=None) -> Window:
    state = np.asarray(state, np.int64)
    frames, views, hands = state.shape
    time = np.arange(frames) / 30 if time is None else time
    return Window(
        take="take",
        views=("",) * views,
        subject="",
        label="",
        label_id=-1,
        start_us=0,
        end_us=1,
        time=np.asarray(time, np.float32),
        hand_landmarks=np.full((frames, views, hands, 21, 3), np.nan, np.float32),
        hand_world_landmarks=np.full((frames, views, hands, 21, 3), np.nan, np.float32),
        handedness=np.full((frames, views, hands), np.nan, np.float32),
        state=state,
        side=np.full((views, hands), -1, np.int64),
        image_size=np.zeros((views, 2), np.int64),
    )


windows = st.lists(st.integers(0, 3), min_size=1, max_size=8).map(lambda states: window([[[s]] for s in states]))


def digest(some) -> Statistics:
    result = Statistics()
    for one in some:
        result.add(one)
    return result


def merged(digests) -> Statistics:
    total = Statistics()
    for one in digests:
        total.merge(one)
    return total


def test_every_field_of_a_window_is_a_feature():
    assert {field.name for field in dataclasses.fields(Window)} == set(FEATURES)


def test_states_keep_their_numbers():
    assert {state.name: int(state) for state in State} == {"NONE": 0, "SEEN": 1, "INTERPOLATED": 2, "NO_VIEW": 3}


def test_dimensions_leave_the_length_open():
    assert FEATURES["hand_landmarks"].dimensions(views=3, hands=2) == (-1, 3, 2, 21, 3)
    assert FEATURES["label_id"].dimensions(views=3, hands=2) == ()


def test_a_digest_counts():
    one = window([[[0, 1]], [[2, 1]], [[3, 0]]])
    assert digest([one, window([[[0, 3]]])]).summary() == {
        "windows": 2,
        "frames": 4,
        "hands_seen": 2,
        "hands_interpolated": 1,
        "windows_without_hands": 1,
        "frames_a_window": {"min": 1, "median": 1, "max": 3},
        "step_us": {"min": 33333, "median": 33333, "max": 33333},
    }


def test_a_window_of_one_frame_has_no_step():
    assert digest([window([[[1]]])]).summary()["step_us"] is None


@quick
@given(st.lists(st.lists(windows, max_size=4), max_size=5), st.randoms())
def test_digests_merge_in_any_order(groups, random):
    flat = [one for group in groups for one in group]
    random.shuffle(groups)
    assert merged(map(digest, groups)).summary() == digest(flat).summary()


@quick
@given(st.lists(windows, max_size=4), st.lists(windows, max_size=4))
def test_merging_leaves_the_other_digest_alone(mine, theirs):
    other = digest(theirs)
    before = copy.deepcopy(other)
    digest(mine).merge(other)
    merged([other]).add(window([[[1]], [[1]]]))
    assert other == before


@quick
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_quantiles_are_those_of_the_sorted_values(values):
    counts = functools.reduce(lambda found, v: {**found, v: found.get(v, 0) + 1}, values, {})
    middle = sorted(values)[(len(values) - 1) // 2]
    assert quantiles(counts) == {"min": min(values), "median": middle, "max": max(values)}


def test_no_values_have_no_quantiles():
    assert quantiles({}) is None
