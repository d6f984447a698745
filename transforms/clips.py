"""The words everything else is written in: source, clip, take, segment."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

SEGMENT_US = 10_000_000
"""Length of a segment in microseconds of presentation time."""

VIDEO, IMAGE = "video", "image"
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")
VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv"),
)


def kind_of(path: str) -> str:
    """Whether a file is taken for a video or an image, by its ending."""
    return IMAGE if path.lower().endswith(IMAGE_ENDINGS) else VIDEO


class TakeKey(NamedTuple):
    """What identifies a take in a data set."""

    split: str
    subject: str
    label: str
    take: str

    def encode(self) -> str:
        """A text that is equal where the keys are: a deterministic key to group by."""
        return json.dumps(self, ensure_ascii=False)

    @classmethod
    def decode(cls, text: str) -> TakeKey:
        return cls(*json.loads(text))


@dataclass(frozen=True)
class Clip:
    """A source, or its part start..end: what one view saw of one take."""

    path: str
    """Where the file is, on any file system."""
    name: str
    """Its path as the user knows it: below the input, or as the manifest has it."""
    take: str
    view: str = ""
    label: str = ""
    subject: str = ""
    split: str = ""
    start: float | None = None
    end: float | None = None
    """Seconds of presentation time in the source; None: from its start, to its end."""
    mirrored: bool = False
    """Selfie footage, where left is right: flipped before detection."""
    columns: dict[str, str] = field(default_factory=dict)
    """The manifest's other columns."""
    skipped: str = ""
    """Why nothing is done with it; empty: it is extracted."""

    @property
    def key(self) -> TakeKey:
        return TakeKey(self.split, self.subject, self.label, self.take)

    @property
    def kind(self) -> str:
        return kind_of(self.path)

    @property
    def start_us(self) -> int:
        return 0 if self.start is None else round(self.start * 1e6)

    @property
    def end_us(self) -> int | None:
        return None if self.end is None else round(self.end * 1e6)

    def holds(self, time_us: int) -> bool:
        """Whether a frame of the source at this time belongs to the clip. Without start, frames before zero do."""
        after_start = self.start is None or time_us >= self.start_us
        return after_start and (self.end_us is None or time_us < self.end_us)

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in ("", None, {})}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Clip:
        return cls(**values)


@dataclass(frozen=True)
class SourceClips:
    """A file and all clips that are cut out of it: the element that the pipeline begins with."""

    path: str
    clips: tuple[Clip, ...]

    def to_line(self) -> str:
        """A line of OUT/plan/clips.jsonl."""
        return json.dumps(
            {"path": self.path, "clips": [clip.to_json() for clip in self.clips]},
        )

    @classmethod
    def from_line(cls, line: str) -> SourceClips:
        values = json.loads(line)
        return cls(values["path"], tuple(map(Clip.from_json, values["clips"])))


@dataclass(frozen=True)
class Source:
    """What a look at a file's header told."""

    path: str
    digest: str = ""
    """SHA-256 (hex, 32 digits) over its size and samples of its content."""
    kind: str = VIDEO
    seconds: float | None = None
    """Length as the header says, which may be wrong or missing."""
    frames_per_second: float | None = None
    segments: int = 1
    error: str = ""
    """Why nothing can be read of it; empty where all is well."""


@dataclass(frozen=True)
class Segment:
    """A stretch [index * 10 s, (index + 1) * 10 s) of a source's presentation time: the unit of work."""

    path: str
    digest: str
    kind: str
    index: int
    last: bool
    """The last segment is open-ended, since durations lie both ways."""
    mirrored: bool = False

    @property
    def start_us(self) -> int:
        return self.index * SEGMENT_US

    @property
    def end_us(self) -> int | None:
        return None if self.last else self.start_us + SEGMENT_US


def segments_of(source: Source, clip: Clip) -> list[Segment]:
    """The segments of a source that a clip needs."""
    last = source.segments - 1
    first_needed = min(clip.start_us // SEGMENT_US, last)
    end_us = clip.end_us
    last_needed = last if end_us is None else min(max(0, -(-end_us // SEGMENT_US) - 1), last)
    return [
        Segment(source.path, source.digest, source.kind, k, k == last, clip.mirrored)
        for k in range(first_needed, max(first_needed, last_needed) + 1)
    ]
