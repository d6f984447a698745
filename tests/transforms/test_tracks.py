import numpy as np
import pytest
from handstream.records.window import Side
from handstream.transforms.landmarks import Hand
from handstream.transforms.tracks import (
    Track,
    assign_slots,
    follow_hands,
    longest_gap_us,
    mean_log_odds,
    palm_size,
    vote,
)
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=60)
SIZE = (640, 480)
FRAME_US = 33_333
# A hand 100 pixels across: wrist below, knuckles above.
SHAPE = np.random.default_rng(0).uniform(-50, 50, (21, 2))
SHAPE[[0, 5, 9, 13, 17]] = [[0, 50], [-30, -50], [-10, -50], [10, -50], [30, -50]]


def hand(x: float, y: float = 240, right: float = 0.9, mark: float = 0.0) -> Hand:
    """A hand whose middle is at a pixel; what `mark` is can be found again."""
    landmarks = np.zeros((21, 3), np.float32)
    landmarks[:, :2] = (SHAPE + np.array([x, y])) / SIZE
    return Hand(right, landmarks, np.full((21, 3), mark, np.float32))


def clock(frames: int) -> np.ndarray:
    return np.arange(frames, dtype=np.int64) * FRAME_US


def follow(frames, times=None) -> list[Track]:
    return follow_hands(clock(len(frames)) if times is None else np.array(times, np.int64), frames, SIZE)


def track(frames, right: float = 0.9) -> Track:
    points, scores = np.zeros((len(frames), 21, 3), np.float32), np.full(len(frames), right, np.float32)
    return Track(np.array(frames, np.int64), scores, points, points, mean_log_odds(scores))


def slots_of(tracks, count, by_side):
    found, slots = assign_slots(tracks, count, by_side)
    assert [one.frames.tolist() for one in found] == [list(one.frames) for one in tracks], "none is cut"
    return slots


clips = st.lists(
    st.tuples(
        st.integers(0, 400_000),
        st.lists(st.tuples(st.integers(0, 640), st.integers(0, 480), st.floats(0, 1, width=32)), max_size=3),
    ),
    min_size=1,
    max_size=12,
)
tracks = st.lists(
    st.tuples(st.sets(st.integers(0, 9), min_size=1).map(sorted), st.sampled_from([0.1, 0.5, 0.9])).map(
        lambda t: track(*t)
    ),
    max_size=7,
)


@quick
@given(clips)
def test_every_detection_is_in_exactly_one_track(clip):
    times = np.cumsum([gap for gap, _ in clip])
    marks = iter(range(1000))
    frames = [[hand(*where, mark=next(marks)) for where in seen] for _, seen in clip]
    found = follow(frames, times)
    wanted = sorted((f, one.world[0, 0]) for f, seen in enumerate(frames) for one in seen)
    assert sorted((f, w[0, 0]) for one in found for f, w in zip(one.frames, one.world, strict=True)) == wanted
    for one in found:
        assert (np.diff(one.frames) > 0).all()
        assert (np.diff(times[one.frames]) <= longest_gap_us(times)).all()
        for f, right, w in zip(one.frames, one.handedness, one.world, strict=True):
            (detected,) = (h for h in frames[f] if h.world[0, 0] == w[0, 0])
            assert right == np.float32(detected.handedness)
    assert [one.frames[0] for one in found] == sorted(one.frames[0] for one in found)


def test_two_hands_are_followed_though_the_detector_swaps_them():
    random = np.random.default_rng(1)
    frames = []
    for f in range(60):
        pair = [hand(150 + 2 * f, mark=1), hand(500 - 2 * f, y=100, right=0.1, mark=2)]
        frames.append(pair if random.random() < 0.5 else pair[::-1])
    found = follow(frames)
    assert sorted((len(one.frames), *np.unique(one.world)) for one in found) == [(60, 1), (60, 2)]


def test_sides_that_flicker_do_not_swap_two_hands():
    random = np.random.default_rng(2)
    frames = [
        [hand(150, right=0.1 + 0.8 * (random.random() < 0.8), mark=1), hand(450, right=random.random(), mark=2)]
        for _ in range(60)
    ]
    assert all(len(np.unique(one.world)) == 1 for one in follow(frames))
    assert len(follow(frames)) == 2


def test_hands_that_touch_are_told_apart_by_their_sides():
    frames = [[hand(300 + f % 2, right=0.95, mark=1), hand(304, right=0.05, mark=2)][:: (-1) ** f] for f in range(20)]
    assert sorted((len(one.frames), *np.unique(one.world)) for one in follow(frames)) == [(20, 1), (20, 2)]


def test_a_hand_unseen_for_a_moment_stays_one_track_and_not_for_longer():
    seen, unseen = [hand(300)], []
    assert len(follow([seen, *[unseen] * 5, seen])) == 1
    assert len(follow([seen, *[unseen] * 6, seen])) == 2


def test_a_hand_that_jumps_across_the_picture_is_another():
    assert len(follow([[hand(100)]] * 5 + [[hand(600)]] * 5)) == 2


def test_a_fast_hand_is_one():
    # 3 m/s for a palm of 0.1 m: 100 pixels a frame.
    assert len(follow([[hand(60 + 90 * f)] for f in range(6)])) == 1


def test_distances_are_those_of_the_upright_picture():
    frames = [[hand(300)], [hand(300, 240 + 150)]]
    assert len(follow(frames)) == 2
    assert len(follow(frames, [0, 150_000])) == 1


def test_no_hands_are_no_tracks():
    assert follow([[], []]) == []


@pytest.mark.parametrize(
    ("times", "gap"),
    [([0], 200_000), ([], 200_000), (range(0, 330_000, 33_000), 200_000), ([0, 100_000, 200_000, 900_000], 250_000)],
)
def test_the_longest_gap(times, gap):
    assert longest_gap_us(np.array(times, np.int64)) == gap


def test_a_palm_seen_edge_on_keeps_its_size():
    edge_on = SHAPE * [0.01, 1]
    assert palm_size(edge_on) == pytest.approx(100, rel=0.01)
    assert palm_size(SHAPE) == pytest.approx(np.hypot(30, 100), rel=0.01)


def test_a_track_votes_for_its_side():
    assert track([0, 1, 2], 0.9).side == Side.RIGHT
    assert vote(mean_log_odds(np.array([0.01, 0.6, 0.6], np.float32))) == Side.LEFT
    assert track([0], 1.0).side == Side.RIGHT
    assert vote(0.0) == Side.UNKNOWN


@quick
@given(tracks, st.integers(1, 4), st.booleans())
def test_no_slot_holds_two_hands_in_one_frame_and_none_is_dropped_where_a_slot_is_free(tracks, count, by_side):
    parts, slots = assign_slots(tracks, count, by_side)
    assert sorted(f for one in parts for f in one.frames) == sorted(f for one in tracks for f in one.frames)
    taken = [[f for one, slot in zip(parts, slots, strict=True) if slot == s for f in one.frames] for s in range(count)]
    for frames in taken:
        assert len(set(frames)) == len(frames)
    for one, slot in zip(parts, slots, strict=True):
        if slot is None:
            assert all(set(one.frames) <= set(frames) for frames in taken)


def test_a_track_without_room_as_a_whole_is_cut_and_none_of_it_is_lost():
    parts, slots = assign_slots([track(range(100), 0.1), track(range(100, 200)), track(range(80, 130))], 2, True)
    where = {(int(one.frames[0]), int(one.frames[-1])): slot for one, slot in zip(parts, slots, strict=True)}
    assert where == {(0, 99): 0, (100, 199): 1, (80, 99): 1, (100, 129): 0}
    assert all(one.side == Side.RIGHT for one in parts[2:])


@quick
@given(st.lists(st.sampled_from([0.1, 0.9]), min_size=1, max_size=2))
def test_two_hands_always_find_two_slots(sides):
    slots = slots_of([track(range(5), right) for right in sides], 2, by_side=True)
    assert None not in slots
    assert len(set(slots)) == len(sides)


def test_left_is_slot_0_and_right_is_slot_1():
    assert slots_of([track(range(5), 0.9), track(range(5), 0.1)], 2, by_side=True) == [1, 0]
    assert slots_of([track(range(5), 0.9)], 2, by_side=True) == [1]


def test_a_second_hand_of_one_side_takes_the_free_slot():
    assert slots_of([track(range(3)), track(range(9))], 2, by_side=True) == [0, 1]


def test_a_hand_that_comes_back_has_its_slot_again():
    assert slots_of([track(range(5)), track(range(9, 12))], 2, by_side=True) == [1, 1]


def test_by_track_those_seen_most_are_numbered_by_appearance():
    found = [track([0]), track(range(5)), track(range(9)), track(range(1, 7))]
    assert slots_of(found, 3, by_side=False)[1:] == [0, 1, 2]


def test_one_slot_is_enough_for_one_hand_of_either_side():
    assert slots_of([track([0], 0.9)], 1, by_side=True) == [0]
    assert slots_of([track([0], 0.1)], 1, by_side=True) == [0]


def test_joined_hands_do_not_vote_on_their_sides():
    # Two right hands come together, are clasped (one is taken for a left one), and part again.
    apart = [[hand(200, right=0.95), hand(200 + d, right=0.97)] for d in (300, 220, 150)]
    clasped = [[hand(200, right=0.95), hand(260, right=0.01)]] * 8
    first, second = follow([*apart, *clasped, *apart[::-1]])
    assert len(first.frames) == len(second.frames) == 14
    assert (first.side, second.side) == (Side.RIGHT, Side.RIGHT)
    # What is never seen alone says what it can.
    assert [one.side for one in follow(clasped)] == [Side.RIGHT, Side.LEFT]
