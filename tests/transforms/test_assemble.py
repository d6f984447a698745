import numpy as np
import pytest
from handstream.records.example import encode_window
from handstream.records.window import State
from handstream.transforms import landmarks, storage
from handstream.transforms.assemble import (
    SAME_TIME_US,
    View,
    WindowOptions,
    assemble_take,
    cut_windows,
    frames_at,
    sample_track,
    take_clock,
    windows_of_take,
)
from handstream.transforms.clips import Clip, Segment, Source, TakeKey
from handstream.transforms.landmarks import DetectionOptions, Detections, Hand
from handstream.transforms.tracks import Track, longest_gap_us
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=60)
KEY = TakeKey("train", "s1", "wave", "t")
DETECTION = DetectionOptions("/models/hand_landmarker.task", "ab12")
SIZE = (640, 480)


def options(**fields) -> WindowOptions:
    base = {"labels": ("wave",), "views": 1, "view_names": (), "hands": 2, "by_side": True}
    return WindowOptions(**{**base, **fields})


def even(frames: int, fps: float = 30, start_us: int = 0) -> np.ndarray:
    return start_us + np.round(np.arange(frames) * 1e6 / fps).astype(np.int64)


def points(values) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, np.float32)[:, None, None], (len(values), 21, 3)).copy()


def view(name: str, times, frames=None, slot: int = 1) -> View:
    """A view with one hand, whose every coordinate is the time in seconds at which it was seen."""
    times = np.asarray(times, np.int64)
    frames = np.arange(len(times)) if frames is None else np.asarray(frames)
    at = times[frames] / 1e6
    track = Track(frames, np.full(len(frames), 0.9, np.float32), points(at), points(at), 2.0)
    return View(Clip(f"/in/{name}.mp4", name, "t", view=name), times, SIZE, [track], [slot])


def assemble(*views: View, **fields):
    chosen = options(**{"views": len(views), **fields})
    return assemble_take(KEY, views, chosen, chosen.places(view.clip.view for view in views))


# Clocks and the frames in which a hand was seen.
steps = st.lists(st.integers(2_000, 400_000), min_size=1, max_size=15)
clocks = st.builds(lambda gaps, start: start + np.cumsum(gaps), steps, st.integers(0, 500_000))


@st.composite
def seen_views(draw, name="cam0"):
    times = draw(clocks)
    frames = draw(st.sets(st.integers(0, len(times) - 1), min_size=1))
    return view(name, times, sorted(frames))


def test_one_view_keeps_its_own_frames():
    take = assemble(view("", even(5), [0, 1, 3]))
    np.testing.assert_array_equal(take.times_us, even(5))
    assert take.state[:, 0, 1].tolist() == [1, 1, 0, 1, 0]
    assert (take.state[:, 0, 0] == State.NONE).all()
    assert np.isnan(take.hand_landmarks[[2, 4]]).all()
    np.testing.assert_allclose(take.hand_landmarks[3, 0, 1], 0.1, atol=1e-5)
    assert take.image_size.tolist() == [[640, 480]]


@quick
@given(seen_views(), st.sampled_from([5, 30, 100]))
def test_a_hand_is_interpolated_within_short_gaps_alone_and_marked(seen, rate):
    take = assemble(seen, rate=rate)
    at = seen.times_us[seen.tracks[0].frames]
    gap = max(200_000, 2.5 * np.median(np.diff(seen.times_us))) if len(seen.times_us) > 1 else 200_000
    _, recording = frames_at(seen.times_us, take.times_us)
    values = take.hand_landmarks[:, 0, 1, 0, 0]
    for tick, state, value, filmed in zip(take.times_us, take.state[:, 0, 1], values, recording, strict=True):
        wanted = State.NONE if filmed else State.NO_VIEW
        if np.abs(at - tick).min() <= SAME_TIME_US:
            wanted = State.SEEN
        elif np.abs(seen.times_us - tick).min() > SAME_TIME_US and at[0] < tick < at[-1]:
            right = np.searchsorted(at, tick)
            wanted = State.INTERPOLATED if at[right] - at[right - 1] <= gap else wanted
        assert state == wanted
        assert np.isnan(value) == (wanted in (State.NONE, State.NO_VIEW))
        if wanted in (State.SEEN, State.INTERPOLATED):
            assert value == pytest.approx(tick / 1e6, abs=SAME_TIME_US / 1e6 + 1e-5)


@quick
@given(seen_views("a"), seen_views("b"))
def test_no_view_is_interpolated_across_a_long_gap_or_beyond_its_ends(one, other):
    take = assemble(one, other)
    for v, seen in enumerate((one, other)):
        at, gap = seen.times_us[seen.tracks[0].frames], longest_gap_us(seen.times_us)
        for tick in take.times_us[take.state[:, v, 1] == State.INTERPOLATED]:
            right = np.searchsorted(at, tick)
            assert 0 < right < len(at)
            assert at[right] - at[right - 1] <= gap


@quick
@given(seen_views("a"), seen_views("b"), st.sampled_from([None, 10, 30]))
def test_values_stand_where_a_hand_is_and_nan_elsewhere(one, other, rate):
    take = assemble(one, other, rate=rate)
    there = np.isin(take.state, [State.SEEN, State.INTERPOLATED])
    for values in (take.hand_landmarks, take.hand_world_landmarks):
        assert (np.isfinite(values).all(axis=(-1, -2)) == there).all()
        assert (np.isnan(values).all(axis=(-1, -2)) == ~there).all()
    assert (np.isfinite(take.handedness) == there).all()
    assert (np.diff(take.times_us) > 0).all()


def test_two_views_are_put_on_the_clock_of_the_fastest():
    take = assemble(view("a", even(10, 10)), view("b", even(30, 30)))
    np.testing.assert_array_equal(take.times_us, even(30, 30))
    assert (take.state[:, 1, 1] == State.SEEN).all()
    assert take.state[:28, 0, 1].tolist() == ([1, 2, 2] * 10)[:28]
    assert (take.state[28:, 0, 1] == State.NONE).all()


def test_the_clock_goes_on_where_a_slower_view_saw_more():
    clock = take_clock([view("a", even(5, 10)), view("b", even(4, 30, start_us=100_000))], None)
    assert clock[0] == pytest.approx(0, abs=5)
    assert clock[-1] == pytest.approx(400_000, abs=5)
    assert np.diff(clock) == pytest.approx(33_333, abs=2)


def test_the_clock_goes_on_where_its_fastest_view_has_a_gap():
    times = np.concatenate([even(60, 60), even(60, 60, start_us=10_000_000)])
    slow = view("b", even(330, 30))
    take = assemble(view("a", times), slow)
    assert np.diff(take.times_us).max() <= 2 * 16_667 + SAME_TIME_US
    assert (take.state[:, 1, 1] == State.SEEN).sum() >= 300
    hole = (take.times_us > 1_100_000) & (take.times_us < 9_900_000)
    assert (take.state[hole, 0] == State.NO_VIEW).all()


def test_repeated_times_do_not_make_a_clock_stand_still():
    take = assemble(view("a", [0, 0, 0, 100_000, 100_000]), view("b", even(30, 10)))
    assert len(take.times_us) == 30
    assert (np.diff(take.times_us) > 0).all()


def test_where_a_view_did_not_film_there_is_no_view():
    take = assemble(view("a", even(12, 30)), view("b", even(6, 30)))
    assert take.state[:, 1, 1].tolist() == [1] * 6 + [3] * 6
    assert take.state[:, 1, 0].tolist() == [0] * 6 + [3] * 6


def test_two_views_in_step_are_not_interpolated_where_a_hand_was_looked_for_in_vain():
    take = assemble(view("a", even(10, 30), [0, 1, 2, 3, 6, 7, 8, 9]), view("b", even(10, 30)))
    assert take.state[:, 0, 1].tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 60])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 90])
def test_a_rate_that_is_the_clips_own_changes_nothing(fps, frames):
    take = assemble(view("", even(frames, fps)), rate=fps)
    assert len(take.times_us) == frames
    assert (take.state[:, 0, 1] == State.SEEN).all()


@quick
@given(st.lists(clocks, min_size=1, max_size=3), st.floats(1, 120))
def test_an_even_clock_spans_the_take(times, rate):
    clock = take_clock([view(str(n), t) for n, t in enumerate(times)], rate)
    first, last = min(t[0] for t in times), max(t[-1] for t in times)
    assert clock[0] == first
    assert last - 1e6 / rate - SAME_TIME_US <= clock[-1] <= last + SAME_TIME_US
    assert np.diff(clock) == pytest.approx(1e6 / rate, abs=1)


def test_what_was_seen_is_not_overwritten_by_what_was_guessed():
    seen = view("", even(10), [0, 1, 2, 6, 7, 8, 9])
    between = view("", even(10), [4]).tracks[0]
    for tracks in ([seen.tracks[0], between], [between, seen.tracks[0]]):
        both = View(seen.clip, seen.times_us, SIZE, tracks, [1, 1])
        # At 60 Hz frames fall on even ticks, and in frames 3 and 5 the hand was looked for and not found.
        assert assemble(both, rate=60).state[:13, 0, 1].tolist() == [1, 2, 1, 2, 1, 2, 0, 2, 1, 2, 0, 2, 1]


def test_a_hand_without_a_slot_is_left_out():
    one = view("", even(3))
    take = assemble(View(one.clip, one.times_us, SIZE, one.tracks, [None]))
    assert (take.state == State.NONE).all()


def test_a_view_that_a_take_has_not_is_marked():
    take = assemble_take(KEY, [view("b", even(3))], options(views=2), {"a": 0, "b": 1})
    assert take.views == ("", "b")
    assert (take.state[:, 0] == State.NO_VIEW).all()
    assert (take.state[:, 1, 1] == State.SEEN).all()
    assert take.image_size.tolist() == [[0, 0], [640, 480]]


def test_a_track_is_read_between_its_ends_alone():
    track = view("", [0, 100_000, 200_000], [0, 1]).tracks[0]
    clock = np.array([-50_000, 0, 50_000, 100_000, 150_000, 200_000])
    ticks, left, weight, seen = sample_track(track, np.array([0, 100_000, 200_000]), clock, 250_000)
    assert (ticks.tolist(), left.tolist(), weight.tolist(), seen.tolist()) == (
        *([1, 2, 3], [0, 0, 1], [0, 0.5, 0], [True, False, True]),
    )


def cut(take, **fields):
    return list(cut_windows(take, options(**fields)))


def test_a_clip_is_one_window():
    (window,) = cut(assemble(view("", even(30, start_us=500_000))))
    assert (window.start_us, window.end_us) == (500_000, 1_500_000)
    np.testing.assert_allclose(window.time, np.arange(30) / 30, atol=1e-5)
    assert (window.take, window.subject, window.label, window.label_id) == ("t", "s1", "wave", 0)
    assert window.side.tolist() == [[-1, 1]]
    assert encode_window(window)


def test_an_image_is_a_window_of_one_frame():
    (window,) = cut(assemble(view("", [0])))
    assert window.time.tolist() == [0.0]
    assert len(cut(assemble(view("", [0])), window=1.0, hop=0.5)) == 1


@pytest.mark.parametrize(
    ("frames", "fps", "window", "hop", "sizes"),
    [
        (90, 30, 1.0, None, [30, 30, 30]),
        (89, 30, 1.0, None, [30, 30]),
        (90, 30, 1.0, 0.5, [30] * 5),
        (90, 29.97, 1.0, None, [30, 30, 30]),
        (20, 30, 1.0, None, [20]),
        (100, 25, 2.0, 1.0, [50] * 3),
    ],
)
def test_windows_are_cut_as_long_as_the_take_reaches(frames, fps, window, hop, sizes):
    found = cut(assemble(view("", even(frames, fps))), window=window, hop=hop)
    assert [len(one.time) for one in found] == sizes


@quick
@given(seen_views(), st.floats(0.05, 2), st.floats(0.05, 2))
def test_windows_lie_on_the_grid_and_hold_all_frames_of_their_stretch(seen, window, hop):
    take = assemble(seen)
    length, step = round(window * 1e6), round(hop * 1e6)
    for one in cut(take, window=window, hop=hop):
        assert (one.start_us - take.times_us[0]) % step == 0
        inside = (take.times_us >= one.start_us) & (take.times_us < one.start_us + length)
        np.testing.assert_array_equal(one.state, take.state[inside])
        np.testing.assert_array_equal(one.hand_landmarks, take.hand_landmarks[inside])
        np.testing.assert_allclose(one.time, (take.times_us[inside] - one.start_us) / 1e6, atol=1e-6)
        assert one.start_us < one.end_us <= one.start_us + length


@quick
@given(st.integers(1, 200), st.sampled_from([5, 24, 25, 30, 60]), st.sampled_from([0.5, 1.0, 2.0]))
def test_windows_side_by_side_hold_every_frame_once_but_the_rest(frames, fps, window):
    times = even(frames, fps)
    found = cut(assemble(view("", times)), window=window)
    held = np.concatenate([one.hand_landmarks[:, 0, 1, 0, 0] for one in found])
    np.testing.assert_allclose(held, times[: len(held)] / 1e6, atol=1e-5)
    assert frames - len(held) < window * fps


@pytest.fixture
def stored(tmp_path):
    """Puts what was detected in a file's segments into OUT; the file's clip and source for a take."""

    def put(name: str, *segments: Detections, clip: dict | None = None, **source):
        found = Source(f"/in/{name}.mp4", name * 8, segments=max(1, len(segments)), **source)
        for index, detections in enumerate(segments):
            segment = Segment(found.path, found.digest, "video", index, index == len(segments) - 1)
            data = landmarks.encode(detections, segment, DETECTION)
            storage.write_bytes(str(tmp_path), landmarks.path_of(str(tmp_path), segment, DETECTION), data)
        return Clip(found.path, f"{name}.mp4", "t", view=name, **(clip or {})), found

    return put


def hand(x: float = 0.5) -> Hand:
    landmarks = np.random.default_rng(0).uniform(-0.1, 0.1, (21, 3)).astype(np.float32) + np.float32(x)
    return Hand(0.9, landmarks, landmarks)


def detected(times, hands: int = 1, error: str = "") -> Detections:
    return Detections(
        *SIZE, error, [int(t) for t in times], [[hand(0.3 + 0.4 * n) for n in range(hands)] for _ in times]
    )


def windows(tmp_path, *clips, **fields):
    return windows_of_take(KEY, clips, str(tmp_path), DETECTION, options(**{"views": len(clips), **fields}))


def test_segments_are_stitched(stored, tmp_path):
    whole = even(600)
    take = windows(tmp_path, stored("a", detected(whole[:300]), detected(whole[300:])))
    assert [report.status for report in take.reports] == ["ok"]
    assert (take.reports[0].frames, take.reports[0].frames_with_hands) == (600, 600)
    assert take.reports[0].seconds == pytest.approx(20)
    (window,) = take.windows
    assert (window.state[:, 0, 1] == State.SEEN).all()


@pytest.mark.parametrize(
    ("clip", "length", "seconds"),
    [({}, 12.0, 12.0), ({}, None, 20.0), ({"end": 11.0}, 12.0, 11.0), ({"start": 5.0}, 12.0, 0.0), ({}, 9.0, 10.0)],
    ids=["to the file's end", "of unknown length", "to the part's end", "one frame", "longer than its header says"],
)
def test_few_frames_do_not_make_a_clip_longer_than_it_is(stored, tmp_path, clip, length, seconds):
    (report,) = windows(tmp_path, stored("a", detected([0, 10_000_000]), clip=clip, seconds=length)).reports
    assert report.seconds == pytest.approx(seconds)


def test_a_part_holds_its_own_frames_from_zero(stored, tmp_path):
    take = windows(tmp_path, stored("a", detected(even(300)), detected(()), clip={"start": 2.0, "end": 3.0}))
    (window,) = take.windows
    assert (len(window.time), window.start_us) == (30, 0)


def test_a_labelled_clip_without_hands_is_a_window_of_nan(stored, tmp_path):
    take = windows(tmp_path, stored("a", detected(even(30), hands=0)))
    assert take.reports[0].status == "no-hands"
    (window,) = take.windows
    assert len(window.time) == 30
    assert np.isnan(window.hand_landmarks).all()
    assert window.side.tolist() == [[-1, -1]]


def test_sliding_windows_without_hands_are_dropped_and_counted(stored, tmp_path):
    found = detected(even(90))
    found.hands[30:60] = [[] for _ in range(30)]
    take = windows(tmp_path, stored("a", found), window=1.0)
    assert ([one.start_us for one in take.windows], take.windows_without_hands) == ([0, 2_000_000], 1)


def test_a_third_hand_is_counted_where_it_finds_no_slot(stored, tmp_path):
    take = windows(tmp_path, stored("a", detected(even(10), hands=3)))
    assert take.reports[0].hands_dropped == 10


@pytest.mark.parametrize("names", [("a", "b"), ()])
@pytest.mark.parametrize("failed", [0, 1])
def test_a_view_that_failed_stays_empty_in_its_place(stored, tmp_path, names, failed):
    clips = [stored("a", detected(even(30))), stored("b", detected(even(30)))]
    clips[failed] = (clips[failed][0], Source(clips[failed][0].path, error="no video stream"))
    take = windows(tmp_path, *clips, view_names=names)
    assert [(r.status, r.error) for r in take.reports][failed] == ("failed", "no video stream")
    (window,) = take.windows
    assert (window.state[:, failed] == State.NO_VIEW).all()
    assert (window.state[:, 1 - failed, 1] == State.SEEN).all()


def test_a_take_of_which_all_views_failed_has_no_window(stored, tmp_path):
    take = windows(tmp_path, (stored("a")[0], Source("/in/a.mp4", error="no video stream")))
    assert (take.windows, [report.status for report in take.reports]) == ([], ["failed"])


def test_a_clip_that_breaks_off_is_partial_and_kept_if_wanted(stored, tmp_path):
    clip = stored("a", detected(even(30), error="invalid data"), detected(()))
    assert windows(tmp_path, clip).windows == []
    (kept,) = windows(tmp_path, clip, keep_partial=True).windows
    assert len(kept.time) == 30
    (report,) = windows(tmp_path, clip).reports
    assert (report.status, report.frames) == ("partial", 30)
    assert report.error == "broke off after 0.967 s, 30 frames came: invalid data"


def test_a_part_before_the_break_is_whole(stored, tmp_path):
    clip = stored("a", detected(even(60), error="invalid data"), clip={"end": 1.0})
    assert [report.status for report in windows(tmp_path, clip).reports] == ["ok"]


def test_a_part_beyond_the_end_says_how_long_the_file_is(stored, tmp_path):
    (report,) = windows(tmp_path, stored("a", detected(even(30)), clip={"start": 5.0}, seconds=1.0)).reports
    assert (report.status, report.error) == ("failed", "holds no frames between 5 s and its end; it is 1 s long")


def test_detections_that_are_not_there_fail_their_clip_alone(stored, tmp_path):
    lost, whole = stored("a"), stored("b", detected(even(30)))
    lost, rest = windows(tmp_path, lost, whole, view_names=("a", "b")).reports
    assert lost.status == "failed"
    assert "cannot be read" in lost.error
    assert rest.status == "ok"


def test_the_order_of_views_does_not_count(stored, tmp_path):
    clips = [stored("a", detected(even(30))), stored("b", detected(even(40)))]
    one, other = (windows(tmp_path, *some, view_names=("a", "b")) for some in (clips, clips[::-1]))
    assert [encode_window(w) for w in one.windows] == [encode_window(w) for w in other.windows]
