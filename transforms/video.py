"""Frames of a video, upright, with their presentation times: by PyAV, on any file system."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from handstream.transforms import storage
from handstream.transforms.clips import SEGMENT_US, Segment
from numpy.typing import NDArray

# FFmpeg prints what it thinks of broken files straight to the terminal; what matters arrives as an exception.
av.logging.set_level(av.logging.PANIC)

Picture = NDArray[np.uint8]
"""[height, width, 3] RGB, contiguous."""

SEEK_BACK_US = 2_000_000
HINTS = {
    "moov atom not found": "no mp4, or its recording or copying was cut short: copy it again",
    "error reading header": "encrypted, or damaged: see whether `ffmpeg -i FILE OUT.mp4` can mend it",
}
"""What some of FFmpeg's errors mean."""
CUT_SHORT_SECONDS = 1.0
"""How much less than its header says a video may hold before it counts as cut short."""


class MediaError(Exception):
    """A file, or a part of it, that cannot be decoded; the reason in words."""


class Frame(NamedTuple):
    """A decoded frame."""

    time_us: int
    """Presentation time from the start of the stream."""
    picture: Picture
    warmup: bool
    """It lies before the segment: seen by the detector, not part of the result."""


@dataclass(frozen=True)
class Header:
    """What a container says of its first video stream."""

    seconds: float | None
    frames_per_second: float | None
    timed: bool
    """Whether frames carry presentation times; without them there is nothing to seek by."""


def media_reason(error: BaseException) -> str:
    """What FFmpeg's error means for the user."""
    if isinstance(error, MediaError):
        return str(error)
    if isinstance(error, av.error.FFmpegError):
        return f"cannot be decoded: {_said(error)}"
    return storage.reason(error)


def _said(error: av.error.FFmpegError) -> str:
    """What FFmpeg logged about an error, which says more than its name."""
    log: Any = error.log  # (level, component, message)
    said = str(log[2]).strip() if log else ""
    text = said or error.strerror or str(error)
    return f"{text} ({HINTS[text]})" if text in HINTS else text


@contextmanager
def _opened(path: str) -> Iterator[tuple[Any, Any]]:
    """(container, first video stream); one decoder thread, since every worker has a core of its own."""
    with storage.open_file(path) as file:
        file.seek(0, 2)
        if file.tell() == 0:
            raise MediaError("the file is empty (0 bytes)")
        file.seek(0)
        try:
            # A playlist disguised as a video must not make FFmpeg open other files or addresses.
            container = av.open(file, options={"protocol_whitelist": "none"}, metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise MediaError(f"no readable video: {_said(error)}") from error
        with container:
            if not container.streams.video:
                kinds = sorted({stream.type for stream in container.streams})
                raise MediaError(f"has no video stream (only {', '.join(kinds) or 'nothing'})")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise MediaError("its codec is unknown to this FFmpeg")
            stream.codec_context.thread_count = 1
            yield container, stream


def _seconds(container: Any, stream: Any) -> float | None:
    """The length that the header gives, of the stream or else of the container."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def read_header(path: str) -> Header:
    """Read a video's header and first frame.

    Raises:
        MediaError: there is no video, or nothing of it can be decoded.
        OSError: the file cannot be read.
    """
    with _opened(path) as (container, stream):
        seconds = _seconds(container, stream)
        rate = stream.average_rate or stream.guessed_rate
        try:
            first = next(container.decode(stream), None)
        except av.error.FFmpegError as error:
            # The grid still stands: later segments may be whole.
            if not seconds:
                raise MediaError(media_reason(error)) from error
            first = None
        else:
            if first is None:
                raise MediaError("holds no frames")
        timed = first is None or first.pts is not None
        return Header(seconds if seconds and seconds > 0 else None, float(rate) if rate else None, timed)


def count_segments(header: Header, size: int) -> int:
    """How many segments a video has on the grid.

    A length that the file's size makes absurd (less than 2 KiB for 10 s) is cut: the last segment is open-ended, so
    nothing is lost.
    """
    if header.seconds is None or not header.timed:
        return 1
    return max(1, min(-(-int(header.seconds * 1e6) // SEGMENT_US), 1 + size // 2048))


def upright(picture: NDArray[Any], matrix: NDArray[np.int32] | None) -> Picture:
    """Turn a picture as its display matrix says: any quarter turn, mirrored or not.

    Args:
        picture: [h, w, 3] as stored.
        matrix: 9 integers, the first two rows' first two columns in 16.16 fixed point. A stored point (x, y) is shown
            at (a x + c y, b x + d y), a b / c d being the matrix (FFmpeg, libavutil/display.h; ISO 14496-12, 6.2.2).
    """
    if matrix is None:
        return np.ascontiguousarray(picture)
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        right, down = a, d
    else:
        picture = picture.swapaxes(0, 1)
        right, down = c, b
    return np.ascontiguousarray(picture[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])


def _display_matrix(frame: Any) -> NDArray[np.int32] | None:
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return np.frombuffer(bytes(data), np.int32)
    return None


class _Pictures:
    """Frames of one stream as pictures: RGB, square pixels, upright, unmirrored."""

    def __init__(self, aspect: Fraction | None, mirrored: bool) -> None:
        self._aspect = aspect or Fraction(1)
        self._mirrored = mirrored
        self._matrix: NDArray[np.int32] | None = None
        self._first = True
        # One for all frames, and on one thread: a worker has a core, and both spare what each frame costs otherwise.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Picture:
        if self._first:
            # The container's matrix holds for the whole stream. PyAV makes a cycle of references around a frame that
            # is asked for its side data, so a small copy is asked: its picture waits long for the garbage collector.
            self._matrix, self._first = _display_matrix(frame.reformat(width=16, height=16)), False
        width = max(1, round(frame.width * self._aspect))
        rgb = self._reformatter.reformat(frame, width=width, height=frame.height, format="rgb24", threads=1)
        # The rows as FFmpeg made them, not copied; each may be padded.
        rows = np.frombuffer(memoryview(rgb.planes[0]), np.uint8).reshape(rgb.height, -1)
        picture = upright(rows[:, : 3 * width].reshape(rgb.height, width, 3), self._matrix)
        return np.ascontiguousarray(picture[:, ::-1]) if self._mirrored else picture


def read_image(path: str, mirrored: bool = False) -> Picture:
    """An image as [h, w, 3] RGB, turned upright as its EXIF data says.

    Raises:
        MediaError: it cannot be read, or is no image that OpenCV knows.
    """
    try:
        data = np.frombuffer(storage.read_bytes(path), np.uint8)
        if not data.size:
            raise MediaError("the file is empty (0 bytes)")
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    except MediaError:
        raise
    except Exception as error:
        raise MediaError(media_reason(error)) from error
    if image is None:
        raise MediaError("no readable image")
    return np.ascontiguousarray(image[:, ::-1] if mirrored else image, np.uint8)


class SegmentReader:
    """Decodes the frames of one segment, and those before it that its detector wants to have seen.

    The same segment gives the same frames whoever decodes it.
    """

    def __init__(self, segment: Segment, warmup: int, sample_fps: float | None = None) -> None:
        """
        Args:
            segment: of a video.
            warmup: how many frames before the segment are given first.
            sample_fps: give only the first frame of each of so many intervals a second.
        """
        self.segment = segment
        self.warmup = warmup
        self.sample_fps = sample_fps

    def __iter__(self) -> Iterator[Frame]:
        """Frames in the order of presentation.

        Raises:
            MediaError: reading or decoding broke off; all frames before that have been given.
        """
        try:
            yield from self._frames()
        except MediaError:
            raise
        except Exception as error:
            # FFmpeg's errors, and whatever a store's client raises when its file cannot be read.
            raise MediaError(media_reason(error)) from error

    def _frames(self) -> Iterator[Frame]:
        # One frame before the segment at least shows that decoding began early enough (an open GOP may swallow
        # the first ones after a seek), and tells whether the segment's first frame begins a new sample.
        wanted = max(self.warmup, 1) if self.segment.index else 0
        back_us = 0
        while True:
            with _opened(self.segment.path) as (container, stream):
                try:
                    rolled = _Roll(container, stream, self.segment.start_us, back_us)
                except (av.error.FFmpegError, OSError):
                    # No index to seek by, and what a failed seek leaves behind is undefined: from the beginning.
                    back_us = self.segment.start_us
                    continue
                before = rolled.before(wanted)
                if len(before) < wanted and not rolled.from_start:
                    back_us = max(SEEK_BACK_US, 4 * back_us)
                    continue
                yield from self._give(rolled, before, stream)
                return

    def _give(self, rolled: _Roll, before: list[tuple[int, av.VideoFrame]], stream: Any) -> Iterator[Frame]:
        picture = _Pictures(stream.sample_aspect_ratio, self.segment.mirrored)
        warmup = before[-self.warmup :] if self.warmup else []
        for time_us, frame in warmup:
            yield Frame(time_us, picture(frame), warmup=True)
        last_sample = self._sample(before[-1][0]) if before else None
        end_us = self.segment.end_us
        for time_us, frame in rolled.rest():
            if end_us is not None and time_us >= end_us:
                return
            if self.sample_fps:
                sample = self._sample(time_us)
                if sample == last_sample:
                    continue
                last_sample = sample
            yield Frame(time_us, picture(frame), warmup=False)
        if self.segment.last:
            rolled.check_length()

    def _sample(self, time_us: int) -> int:
        return int(time_us * (self.sample_fps or 0) // 1_000_000)


class _Roll:
    """A decoder that rolls forward to a time: first what lies before it, then the rest."""

    def __init__(self, container: Any, stream: Any, target_us: int, back_us: int) -> None:
        self._container = container
        self._stream = stream
        self._target_us = target_us
        self._start = stream.start_time
        self._first: tuple[int, av.VideoFrame] | None = None
        self._last_us: int | None = None
        self._end_us = 0
        self.from_start = target_us - back_us <= 0 or self._start is None
        if not self.from_start:
            offset = self._start + round(Fraction(target_us - back_us, 1_000_000) / stream.time_base)
            container.seek(offset, stream=stream, backward=True)
        self._decoded = self._decode()

    def before(self, keep: int) -> list[tuple[int, av.VideoFrame]]:
        """Roll to the target; the last frames before it, at most `keep`."""
        kept: deque[tuple[int, av.VideoFrame]] = deque(maxlen=keep)
        if self._target_us:
            for time_us, frame in self._decoded:
                if time_us >= self._target_us:
                    self._first = (time_us, frame)
                    break
                kept.append((time_us, frame))
        return list(kept)

    def rest(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """The frames from the target on."""
        if self._first is not None:
            yield self._first
        yield from self._decoded

    def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                # On the way to the segment a broken packet is another segment's error.
                if self._target_us and self._first is None:
                    continue
                raise
            for frame in frames:
                yield self._time_us(frame), frame

    def _time_us(self, frame: av.VideoFrame) -> int:
        """Microseconds from the start of the stream; a frame without a time follows the one before at the mean rate."""
        if frame.pts is None:
            rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(30)
            time_us = 0 if self._last_us is None else self._last_us + round(1_000_000 / rate)
        else:
            if self._start is None:
                self._start = frame.pts
            base = frame.time_base or self._stream.time_base
            time_us = round((frame.pts - self._start) * base * 1_000_000)
        self._last_us = time_us
        self._end_us = max(self._end_us, time_us + round((frame.duration or 0) * self._stream.time_base * 1_000_000))
        return time_us

    def check_length(self) -> None:
        """Raise MediaError where the file ended long before its header's word.

        A copy or a recording that was cut short ends without an error in many containers. The length of a container
        that holds sound as well says nothing about its pictures.
        """
        if self._stream.duration is None and len(self._container.streams) > 1:
            return
        seconds = _seconds(self._container, self._stream)
        if seconds is not None and self._end_us / 1e6 < seconds - CUT_SHORT_SECONDS:
            raise MediaError(
                f"the file ends after {self._end_us / 1e6:.1f} of {seconds:.1f} s: its recording or copying was cut "
                "short. Copy it again, or use what there is with --keep-partial"
            )
