"""DetectHands: segments in, files of landmarks out, receipts on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from handstream.transforms import landmarks, storage
from handstream.transforms.clips import IMAGE, Segment
from handstream.transforms.landmarker import HandLandmarker
from handstream.transforms.landmarks import DetectionOptions, Detections, Receipt, Recorder
from handstream.transforms.probe import content_digest
from handstream.transforms.tally import TALLY
from handstream.transforms.video import Frame, MediaError, SegmentReader, read_image

WARMUP_FRAMES = 5
AHEAD_BYTES = 24 << 20
"""How many bytes of frames a worker decodes ahead: four of 1080p; one frame always may."""


Detected = tuple[Segment, list[str], Receipt]


class ReadAhead:
    """Runs an iterator of frames in a thread of its own, as far ahead as its pictures fit into so many bytes."""

    def __init__(self, frames: Iterable[Frame], limit_bytes: int = AHEAD_BYTES) -> None:
        self._frames = frames
        self._limit = limit_bytes
        self._queue: deque[Frame] = deque()
        self._bytes = 0
        self._change = threading.Condition()
        self._done = False
        self._stopped = False
        self._error: BaseException | None = None
        self.cpu_seconds = 0.0
        """What the thread has used."""
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            for frame in self._frames:
                with self._change:
                    size = frame.picture.nbytes
                    while self._queue and self._bytes + size > self._limit and not self._stopped:
                        self._change.wait()
                    if self._stopped:
                        return
                    self._queue.append(frame)
                    self._bytes += size
                    self._change.notify_all()
        except BaseException as error:  # handed to the reader
            self._error = error
        finally:
            self.cpu_seconds = time.thread_time()
            with self._change:
                self._done = True
                self._change.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        """The frames; then the error that ended them, if any."""
        while True:
            with self._change:
                while not self._queue and not self._done:
                    self._change.wait()
                if not self._queue:
                    break
                frame = self._queue.popleft()
                self._bytes -= frame.picture.nbytes
                self._change.notify_all()
            yield frame
        if self._error is not None:
            raise self._error


@dataclass
class Cost:
    """Seconds: of the decoding thread's CPU, and of waiting for the landmarker, which has threads of its own."""

    decoding: float = 0.0
    detecting: float = 0.0


def detect_segment(landmarker: HandLandmarker, segment: Segment, options: DetectionOptions) -> tuple[Detections, Cost]:
    """The hands of a segment, and what they cost. What cannot be decoded is an error in the result.

    Args:
        landmarker: in the running mode for the segment's kind; its state before does not matter.
    """
    recorder, cost, error = Recorder(), Cost(), ""
    landmarker.reset()
    try:
        if segment.kind == IMAGE:
            begun = time.thread_time()
            picture = read_image(segment.path, segment.mirrored)
            cost.decoding = time.thread_time() - begun
            _look(landmarker, Frame(0, picture, warmup=False), recorder, cost)
        else:
            warmup = WARMUP_FRAMES if options.mode(segment.kind) == "video" else 0
            ahead = ReadAhead(SegmentReader(segment, warmup, options.sample_fps))
            try:
                with ahead:
                    for frame in ahead:
                        _look(landmarker, frame, recorder, cost)
            finally:
                cost.decoding = ahead.cpu_seconds
    except MediaError as broken:
        error = str(broken)
    return recorder.detections(error), cost


def _changed(segment: Segment) -> str:
    """Why a segment's source is no longer what was probed; empty where it is. Landmarks stand under its digest."""
    try:
        same = content_digest(segment.path, storage.metadata(segment.path).size_in_bytes) == segment.digest
    except Exception as error:  # every store's client has exceptions of its own
        return storage.reason(error)
    return "" if same else "the file changed while it was read; run again"


def _look(landmarker: HandLandmarker, frame: Frame, recorder: Recorder, cost: Cost) -> None:
    begun = time.perf_counter()
    hands = landmarker.detect(frame.picture)
    cost.detecting += time.perf_counter() - begun
    if frame.warmup:
        return
    TALLY.add(frames_seen=1)
    height, width = frame.picture.shape[:2]
    recorder.add(frame.time_us, (width, height), hands)


@dataclass(eq=False)
class DetectHands(beam.PTransform):
    """Detect the hands of segments that have no file yet.

    (segment, keys of the takes that wait for it) in; the same with a receipt out.
    """

    out: str
    options: DetectionOptions

    def expand(self, segments: beam.PCollection[tuple[Segment, list[str]]]) -> beam.PCollection[Detected]:
        return segments | beam.ParDo(_DetectHands(self.out, self.options))


class _DetectHands(beam.DoFn):
    def __init__(self, out: str, options: DetectionOptions) -> None:
        self._out = out
        self._options = options
        name = DetectHands
        self._frames = Metrics.counter(name, "frames")
        self._hands = Metrics.counter(name, "hands")
        self._failures = Metrics.counter(name, "failures")
        self._decode_ms = Metrics.counter(name, "decode_ms")
        self._detect_ms = Metrics.counter(name, "detect_ms")

    def setup(self) -> None:
        self._model = storage.read_bytes(self._options.landmarker)
        if landmarks.networks_digest(self._model) != self._options.networks_sha256:
            raise RuntimeError(f"{self._options.landmarker} is not the file that the run began with")
        self._landmarkers: dict[str, HandLandmarker] = {}
        self._landmarker(self._options.running_mode)

    def _landmarker(self, mode: str) -> HandLandmarker:
        """The landmarker of a mode. The second is made where images and videos come to one worker."""
        if mode not in self._landmarkers:
            self._landmarkers[mode] = HandLandmarker(self._model, mode, self._options.num_hands)
        return self._landmarkers[mode]

    def process(self, element: tuple[Segment, list[str]]) -> Iterator[Detected]:
        segment, takes = element
        path = landmarks.path_of(self._out, segment, self._options)
        receipt = landmarks.read_receipt(path)
        # A job that was started again from its beginning finds here what it has done.
        if receipt is None or receipt.error:
            receipt = self._detect(segment, path)
        TALLY.add(detected=1)
        yield segment, takes, receipt

    def _detect(self, segment: Segment, path: str) -> Receipt:
        mode = self._options.mode(segment.kind)
        landmarker = self._landmarker(mode)
        try:
            detections, cost = detect_segment(landmarker, segment, self._options)
        except Exception as error:
            # MediaPipe itself refuses: a new landmarker for the next segment, whatever state this one is in.
            self._landmarkers.pop(mode).close()
            detections, cost = Detections(error=f"MediaPipe failed: {storage.reason(error)}"), Cost()
        if reason := _changed(segment):
            # Not a frame of it: they may be another content's, or of both.
            detections = Detections(error=reason)
        if detections.error:
            # Another copy of the source, or another attempt, may have done it meanwhile.
            done = landmarks.read_receipt(path)
            if done is not None and not done.error:
                return done
        storage.write_bytes(self._out, path, landmarks.encode(detections, segment, self._options))
        receipt = Receipt(len(detections.times_us), detections.hand_count, detections.error)
        self._frames.inc(receipt.frames)
        self._hands.inc(receipt.hands)
        self._failures.inc(bool(receipt.error))
        self._decode_ms.inc(round(cost.decoding * 1000))
        self._detect_ms.inc(round(cost.detecting * 1000))
        TALLY.add(failed_segments=bool(receipt.error))
        return receipt

    def teardown(self) -> None:
        for landmarker in getattr(self, "_landmarkers", {}).values():
            landmarker.close()
        self._landmarkers = {}
