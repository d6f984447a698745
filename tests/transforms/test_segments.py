import pytest
from handstream.transforms.clips import Clip, Segment, Source, SourceClips
from handstream.transforms.landmarks import DetectionOptions, Receipt
from handstream.transforms.segments import expected_frames, receipts_by_take, split_source

PATH = "/in/a.mp4"
VIDEO = Source(PATH, "0123", seconds=25.0, frames_per_second=30.0, segments=3)


def clip(take: str, start=None, end=None, **fields) -> Clip:
    return Clip(PATH, "a.mp4", take, start=start, end=end, **fields)


def split(*clips: Clip, source: Source = VIDEO) -> dict[Segment, list[str]]:
    return split_source(source, SourceClips(PATH, clips))


def by_index(needed: dict[Segment, list[str]]) -> dict[int, list[str]]:
    return {segment.index: takes for segment, takes in needed.items()}


def test_a_whole_file_needs_all_its_segments():
    whole = clip("t")
    assert by_index(split(whole)) == {k: [whole.key.encode()] for k in range(3)}


def test_a_segment_that_two_takes_share_is_detected_once():
    one, two = clip("1", 5.0, 12.0), clip("2", 12.0, 15.0)
    keys = [one.key.encode(), two.key.encode()]
    assert by_index(split(one, two)) == {0: keys[:1], 1: keys}


def test_a_take_waits_for_a_segment_once():
    assert by_index(split(clip("t", 1.0, 2.0, view="a"), clip("t", 3.0, 4.0, view="b"))) == {
        0: [clip("t").key.encode()]
    }


def test_mirrored_parts_are_detected_apart():
    needed = split(clip("1", 0.0, 5.0), clip("2", 5.0, 9.0, mirrored=True))
    assert [(segment.mirrored, len(takes)) for segment, takes in needed.items()] == [(False, 1), (True, 1)]


def test_a_file_that_cannot_be_read_has_no_segments():
    assert split(clip("t"), source=Source(PATH, error="no video")) == {}


def test_every_take_gets_the_receipt():
    segment, receipt = next(iter(split(clip("t")))), Receipt(300, 200)
    assert list(receipts_by_take((segment, ["t", "u"], receipt))) == [("t", receipt), ("u", receipt)]


@pytest.mark.parametrize(
    ("source", "index", "fps", "frames"),
    [
        (VIDEO, 0, None, 300),
        (VIDEO, 2, None, 150),
        (VIDEO, 1, 5.0, 50),
        (VIDEO, 0, 60.0, 300),
        (Source(PATH, "0", seconds=0.001, frames_per_second=30.0), 0, None, 1),
        (Source(PATH, "0"), 0, None, 300),
        (Source(PATH, "0", kind="image"), 0, None, 1),
    ],
)
def test_the_expected_frames_follow_the_header(source, index, fps, frames):
    segment = Segment(PATH, "0", source.kind, index, index == source.segments - 1)
    assert expected_frames(source, segment, DetectionOptions("", "", sample_fps=fps)) == frames
