import json
from itertools import pairwise

import pytest
from handstream.transforms.clips import (
    SEGMENT_US,
    Clip,
    Segment,
    Source,
    SourceClips,
    TakeKey,
    kind_of,
    segments_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=60)
texts = st.text(max_size=8)
names = st.text(min_size=1, max_size=8)
seconds = st.none() | st.floats(0, 100)
clips = st.builds(
    Clip,
    path=names,
    name=names,
    take=names,
    view=texts,
    label=texts,
    subject=texts,
    split=st.sampled_from(["", "train", "test"]),
    start=seconds,
    end=seconds,
    mirrored=st.booleans(),
    columns=st.dictionaries(texts, texts, max_size=2),
    skipped=texts,
)


def clip(start=None, end=None) -> Clip:
    return Clip("a.mp4", "a.mp4", "a", start=start, end=end)


def test_images_are_known_by_their_endings():
    assert [kind_of(name) for name in ("a.PNG", "b.jpeg", "c.mp4", "noending", "jpg.mov")] == [
        *("image", "image", "video", "video", "video")
    ]


@quick
@given(st.builds(TakeKey, texts, texts, texts, texts))
def test_a_key_survives_its_text(key):
    assert TakeKey.decode(key.encode()) == key


@quick
@given(st.tuples(texts, texts, texts, texts), st.tuples(texts, texts, texts, texts))
def test_keys_are_equal_where_their_texts_are(one, other):
    assert (TakeKey(*one).encode() == TakeKey(*other).encode()) == (one == other)


@quick
@given(st.lists(clips, max_size=3))
def test_a_plan_line_gives_the_clips_back_and_is_one_line(some):
    line = SourceClips("p", tuple(some)).to_line()
    assert "\n" not in line
    assert SourceClips.from_line(line) == SourceClips("p", tuple(some))


def test_a_name_that_is_no_utf8_survives_a_plan_line():
    path = b"/in/\xff.mp4".decode("utf-8", "surrogateescape")
    line = SourceClips(path, (Clip(path, "\\xff.mp4", "a"),)).to_line()
    assert SourceClips.from_line(line.encode().decode()).path == path


def test_a_plan_line_leaves_out_what_is_empty():
    assert set(json.loads(SourceClips("p", (clip(),)).to_line())["clips"][0]) == {"path", "name", "take", "mirrored"}


def test_a_clip_holds_its_start_but_not_its_end():
    part = clip(1.0, 2.0)
    assert [part.holds(t) for t in (999_999, 1_000_000, 1_999_999, 2_000_000)] == [False, True, True, False]


def test_without_a_start_frames_before_zero_belong_to_a_clip():
    assert clip().holds(-40_000)
    assert not clip(start=0.0).holds(-40_000)


@quick
@given(st.lists(st.floats(0, 50), min_size=2, max_size=6, unique=True).map(sorted), st.integers(-1000, 60_000_000))
def test_a_frame_is_in_exactly_one_of_the_parts_a_file_is_cut_into(cuts, time_us):
    edges = [None, *cuts, None]
    parts = [clip(start, end) for start, end in pairwise(edges)]
    assert sum(part.holds(time_us) for part in parts) == 1


def source(segments: int) -> Source:
    return Source("a.mp4", "0123", segments=segments)


@quick
@given(seconds, seconds, st.integers(1, 5), st.integers(-100_000, 120_000_000))
def test_the_segments_of_a_clip_hold_all_its_frames(start, end, count, time_us):
    part = clip(start, end)
    segments = segments_of(source(count), part)
    grid = [Segment("a.mp4", "0123", "video", k, k == count - 1) for k in range(count)]
    assert set(segments) <= set(grid)
    if part.holds(time_us) and (start is None or end is None or start < end):
        home = next(s for s in reversed(grid) if s.index == 0 or s.start_us <= time_us)
        assert home in segments


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (None, None, [0, 1, 2]),
        (10.0, 20.0, [1]),
        (9.999, 10.001, [0, 1]),
        (0.0, 10.0, [0]),
        (12.0, None, [1, 2]),
        (99.0, 100.0, [2]),
    ],
)
def test_a_clip_needs_no_more_segments_than_it_touches(start, end, wanted):
    assert [segment.index for segment in segments_of(source(3), clip(start, end))] == wanted


def test_only_the_last_segment_is_open_ended():
    ends = [segment.end_us for segment in segments_of(source(3), clip())]
    assert ends == [SEGMENT_US, 2 * SEGMENT_US, None]


def test_a_mirrored_clip_has_segments_of_its_own():
    plain, selfie = clip(), Clip("a.mp4", "a.mp4", "a", mirrored=True)
    assert set(segments_of(source(2), plain)).isdisjoint(segments_of(source(2), selfie))
