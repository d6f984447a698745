"""SplitSources: sources to segments on the fixed grid, what is done already left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput
from handstream.transforms import landmarks
from handstream.transforms.clips import SEGMENT_US, Segment, Source, SourceClips, segments_of
from handstream.transforms.landmarks import DetectionOptions, Receipt
from handstream.transforms.tally import TALLY

DONE, MISSING, CLIPS = "done", "missing", "clips"


def split_source(source: Source, clips: SourceClips) -> dict[Segment, list[str]]:
    """The segments that a file's clips need, each with the keys of the takes that wait for it."""
    needed: dict[Segment, list[str]] = {}
    if source.error:
        return needed
    for clip in clips.clips:
        for segment in segments_of(source, clip):
            takes = needed.setdefault(segment, [])
            if clip.key.encode() not in takes:
                takes.append(clip.key.encode())
    return needed


@dataclass(eq=False)
class SplitSources(beam.PTransform):
    """Three outputs, each keyed by what comes next.

    missing: (segment, keys of takes), spread over the workers; done: the same with the receipt that was found;
    clips: (key of the take, (clip, source)).
    """

    out: str
    options: DetectionOptions

    def expand(self, sources: PCollection[tuple[Source, SourceClips]]) -> dict[str, PCollection]:
        outputs = sources | beam.ParDo(_SplitSources(self.out, self.options)).with_outputs(DONE, MISSING, CLIPS)
        return {DONE: outputs[DONE], CLIPS: outputs[CLIPS], MISSING: outputs[MISSING] | beam.Reshuffle()}


class _SplitSources(beam.DoFn):
    def __init__(self, out: str, options: DetectionOptions) -> None:
        self._out = out
        self._options = options
        self._segments = Metrics.counter(SplitSources, "segments")
        self._kept = Metrics.counter(SplitSources, "frames_done_before")

    def process(self, element: tuple[Source, SourceClips]) -> Iterator[TaggedOutput]:
        source, file = element
        for clip in file.clips:
            if not clip.skipped:
                yield TaggedOutput(CLIPS, (clip.key.encode(), (clip, source)))
        for segment, takes in split_source(source, file).items():
            self._segments.inc()
            receipt = landmarks.read_receipt(landmarks.path_of(self._out, segment, self._options))
            if receipt is not None and not receipt.error:
                self._kept.inc(receipt.frames)
                yield TaggedOutput(DONE, (segment, takes, receipt))
            else:
                TALLY.add(segments=1, frames_expected=expected_frames(source, segment, self._options))
                yield TaggedOutput(MISSING, (segment, takes))


def expected_frames(source: Source, segment: Segment, options: DetectionOptions) -> int:
    """How many frames a segment will have, as far as the header tells."""
    if not source.seconds or not source.frames_per_second:
        return 1 if source.kind == "image" else 300
    end_us = source.seconds * 1e6 if segment.last else segment.start_us + SEGMENT_US
    rate = min(source.frames_per_second, options.sample_fps or source.frames_per_second)
    return max(1, round((end_us - segment.start_us) * rate / 1e6))


def receipts_by_take(element: tuple[Segment, list[str], Receipt]) -> Iterator[tuple[str, Receipt]]:
    """A segment's receipt for each take that waits for it."""
    _, takes, receipt = element
    for take in takes:
        yield take, receipt
