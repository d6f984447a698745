from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from handstream.transforms.clips import VIDEO, Segment
from handstream.transforms.video import (
    Header,
    MediaError,
    SegmentReader,
    count_segments,
    read_header,
    read_image,
    upright,
)

FPS = 30
FRAMES = 330  # 11 s: a whole segment and the beginning of a second


def picture(i: int) -> np.ndarray:
    """Tells its number by its brightness pattern, and moves, so that frames depend on each other."""
    y, x = np.mgrid[0:96, 0:128]
    return np.stack([(x + 3 * i) % 256, (y * 2 + i) % 256, np.full_like(x, (7 * i) % 256)], -1).astype(np.uint8)


def write(
    path: Path, codec: str = "libx264", options: dict[str, str] | None = None, times: list[int] | None = None
) -> str:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 128, 96, "yuv420p", 48
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.options = options or {}
        for i, pts in enumerate(times or range(FRAMES)):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, FPS)
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("video")


def segment(path: str, index: int, last: bool = True, mirrored: bool = False) -> Segment:
    return Segment(path, "0" * 32, VIDEO, index, last, mirrored)


def sequential(path: str) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


CONTAINERS = {
    "closed.mp4": ("libx264", {}),
    "open_gop.mp4": ("libx264", {"x264-params": "open-gop=1:bframes=3"}),
    "open_gop_hevc.mp4": ("libx265", {"x265-params": "open-gop=1:bframes=4:log-level=none"}),
    "a.mkv": ("libx264", {}),
    "a.ts": ("libx264", {}),
    "a.avi": ("mpeg4", {}),
    "all_b.mp4": ("libx264", {"x264-params": "bframes=8:b-adapt=0:keyint=600"}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_segment_is_what_sequential_decoding_gives(folder, name):
    codec, options = CONTAINERS[name]
    path = write(folder / name, codec, options)
    whole = sequential(path)
    first = list(SegmentReader(segment(path, 0, last=False), warmup=5))
    second = list(SegmentReader(segment(path, 1), warmup=5))
    assert not any(frame.warmup for frame in first)
    assert [frame.warmup for frame in second[:6]] == [True] * 5 + [False]
    parts = first + second[5:]
    assert len(parts) == len(whole) == FRAMES
    times = [frame.time_us for frame in parts]
    assert times == pytest.approx([i * 1e6 / FPS for i in range(FRAMES)], abs=1001)  # Matroska counts in milliseconds
    assert first[-1].time_us < 10_000_000 <= second[5].time_us
    for i, (frame, expected) in enumerate(zip(parts, whole, strict=True)):
        assert np.array_equal(frame.picture, expected), i


def test_a_segment_past_the_end_is_empty(folder):
    path = write(folder / "short.mp4", times=list(range(30)))
    assert list(SegmentReader(segment(path, 3, last=False), warmup=0)) == []


def test_variable_frame_rate_keeps_the_times_of_the_file(folder):
    times = [0, 1, 2, 10, 11, 40, 41, 100]
    path = write(folder / "vfr.mp4", times=times)
    frames = list(SegmentReader(segment(path, 0), warmup=0))
    assert [frame.time_us for frame in frames] == [round(t * 1e6 / FPS) for t in times]


def test_sampling_takes_the_first_frame_of_each_interval_whatever_the_segment(folder):
    path = write(folder / "sampled.mp4")
    sampled = [
        frame.time_us
        for index, last in ((0, False), (1, True))
        for frame in SegmentReader(segment(path, index, last), warmup=0, sample_fps=7)
    ]
    every = [round(i * 1e6 / FPS) for i in range(FRAMES)]
    expected = [t for i, t in enumerate(every) if i == 0 or t * 7 // 1_000_000 != every[i - 1] * 7 // 1_000_000]
    assert sampled == expected
    assert len(sampled) == 77


def test_mirrored_footage_is_flipped(folder):
    path = write(folder / "mirrored.mp4", times=[0, 1])
    plain = next(iter(SegmentReader(segment(path, 0), warmup=0)))
    flipped = next(iter(SegmentReader(segment(path, 0, mirrored=True), warmup=0)))
    assert np.array_equal(flipped.picture, plain.picture[:, ::-1])
    assert flipped.picture.flags.c_contiguous


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), [[1, 2, 3], [4, 5, 6]]),
        ((-1, 0, 0, -1), [[6, 5, 4], [3, 2, 1]]),
        ((-1, 0, 0, 1), [[3, 2, 1], [6, 5, 4]]),
        ((1, 0, 0, -1), [[4, 5, 6], [1, 2, 3]]),
        ((0, 1, -1, 0), [[4, 1], [5, 2], [6, 3]]),  # a quarter clockwise
        ((0, -1, 1, 0), [[3, 6], [2, 5], [1, 4]]),
        ((0, 1, 1, 0), [[1, 4], [2, 5], [3, 6]]),
        ((0, -1, -1, 0), [[6, 3], [5, 2], [4, 1]]),
    ],
)
def test_display_matrices_turn_a_point_to_where_the_standard_says(matrix, expected):
    a, b, c, d = (value << 16 for value in matrix)
    stored = np.repeat(np.arange(1, 7, dtype=np.uint8).reshape(2, 3, 1), 3, axis=2)
    shown = upright(stored, np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32))
    assert shown[..., 0].tolist() == expected
    assert shown.flags.c_contiguous


@pytest.mark.parametrize("turned", ["video_90.mov", "video_180.mov", "video_270.mov"])
def test_rotated_files_look_as_opencv_shows_them(data, turned):
    import cv2

    path = str(data / "nasty" / turned)
    capture = cv2.VideoCapture(path)
    ok, bgr = capture.read()
    capture.release()
    assert ok
    frame = next(iter(SegmentReader(segment(path, 0), warmup=0)))
    assert frame.picture.shape == bgr.shape
    difference = np.abs(frame.picture.astype(int) - bgr[..., ::-1].astype(int))
    assert difference.mean() < 2


def test_pixels_that_are_not_square_are_made_so(data):
    path = str(data / "nasty" / "bbb_800x640_768kbps_30fps_vp9.mp4")
    frame = next(iter(SegmentReader(segment(path, 0), warmup=0)))
    assert frame.picture.shape == (640, round(800 * 64 / 45), 3)


def test_a_file_that_was_cut_short_says_so_after_its_last_frame(folder):
    whole = write(folder / "whole.mp4", "mpeg4")
    with av.open(whole) as source, av.open(str(folder / "fast.mp4"), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    cut = folder / "cut.mp4"
    cut.write_bytes((folder / "fast.mp4").read_bytes()[: (folder / "fast.mp4").stat().st_size // 2])
    seen = []
    with pytest.raises(MediaError, match=r"ends after \d\.\d of 11\.0 s"):
        seen.extend(SegmentReader(segment(str(cut), 0), warmup=0))
    assert 50 < len(seen) < FRAMES


def test_a_playlist_called_mp4_opens_no_other_file(folder):
    other = write(folder / "other.mp4", times=[0, 1])
    disguised = folder / "list.mp4"
    disguised.write_text(f"ffconcat version 1.0\nfile {other}\n")
    with pytest.raises(MediaError):
        read_header(str(disguised))
    disguised.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{other}\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        read_header(str(disguised))


def test_an_absurd_length_does_not_make_millions_of_segments():
    assert count_segments(Header(seconds=1e12, frames_per_second=30, timed=True), size=10_000) < 10
    assert count_segments(Header(seconds=95, frames_per_second=30, timed=True), size=10_000_000) == 10
    assert count_segments(Header(seconds=None, frames_per_second=30, timed=True), size=10_000_000) == 1
    assert count_segments(Header(seconds=95, frames_per_second=30, timed=False), size=10_000_000) == 1


@pytest.mark.parametrize(
    ("contents", "message"), [(b"", "empty"), (b"hello", "no readable video"), (b"\0" * 5000, "no readable video")]
)
def test_what_is_no_video_is_said(folder, contents, message):
    path = folder / "bad.mp4"
    path.write_bytes(contents)
    with pytest.raises(MediaError, match=message):
        read_header(str(path))


def test_images_are_turned_by_exif_and_alpha_is_dropped(folder):
    import cv2

    bgr = np.zeros((20, 30, 4), np.uint8)
    bgr[:, :10] = (0, 0, 255, 128)
    cv2.imwrite(str(folder / "a.png"), bgr)
    picture = read_image(str(folder / "a.png"))
    assert picture.shape == (20, 30, 3)
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert np.array_equal(read_image(str(folder / "a.png"), mirrored=True), picture[:, ::-1])
    (folder / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(MediaError, match="no readable image"):
        read_image(str(folder / "bad.jpg"))
