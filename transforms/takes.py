"""PlanTakes: once all segments of a take are done, where its windows go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection
from handstream.records.window import LANDMARKS
from handstream.transforms.assemble import WindowOptions
from handstream.transforms.clips import SEGMENT_US, Clip, Source, TakeKey, segments_of
from handstream.transforms.landmarks import Receipt


@dataclass(frozen=True)
class TakePlan:
    """A take that is ready to be assembled."""

    key: TakeKey
    clips: tuple[tuple[Clip, Source], ...]
    bytes: int
    """About what its windows will take up. It decides the number of shards, so it depends on the receipts alone."""


TakePart = tuple[Clip, Source] | Receipt


def plan_take(take: tuple[str, Iterable[TakePart]], options: WindowOptions) -> TakePlan:
    """The plan of a take (its key, its parts) whose clips and receipts are all here."""
    key, parts = take
    clips, frames = [], 0
    for part in parts:
        if isinstance(part, Receipt):
            frames += part.frames
        else:
            clips.append(part)
    # A short part of a long file waits for whole segments.
    asked = sum(_seconds(clip, source) for clip, source in clips)
    detected = sum(len(segments_of(source, clip)) for clip, source in clips if not source.error) * SEGMENT_US / 1e6
    frames = round(frames * min(1.0, asked / detected)) if detected else frames
    clips.sort(key=lambda pair: (pair[0].view, pair[0].path, pair[0].start_us))
    hand = 2 * LANDMARKS * 3 * 4 + 4 + 1
    overlap = options.window / (options.hop or options.window) if options.window else 1.0
    size = frames / max(len(clips), 1) * overlap * (4 + options.views * options.hands * hand)
    return TakePlan(TakeKey.decode(key), tuple(clips), round(size) + 500)


def _seconds(clip: Clip, source: Source) -> float:
    """How long a clip will be, as far as is known; a whole file as long as its segments."""
    if clip.end is None:
        return source.segments * SEGMENT_US / 1e6
    return clip.end - (clip.start or 0.0)


@dataclass(eq=False)
class PlanTakes(beam.PTransform):
    """(key of a take, a clip with its source or a receipt) in, a plan for each take out."""

    options: WindowOptions

    def expand(self, parts: PCollection[tuple[str, TakePart]]) -> PCollection[TakePlan]:
        return parts | beam.GroupByKey() | beam.Map(plan_take, self.options)
