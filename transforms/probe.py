"""ProbeSources: a look at each file's header and samples of its content, remembered in OUT/plan/."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from handstream.transforms import storage
from handstream.transforms.clips import IMAGE, Source, SourceClips, kind_of
from handstream.transforms.landmarks import FORMAT, versions
from handstream.transforms.tally import TALLY
from handstream.transforms.video import count_segments, media_reason, read_header

ENDS, BLOCKS, BLOCK = 64 << 10, 8, 16 << 10


def content_digest(path: str, size: int) -> str:
    """What a file is known by: SHA-256 (first 32 hex digits) of its size, its first and last 64 KiB and eight blocks of
    16 KiB spread evenly between. Name, folder and time do not count.
    """
    digest = hashlib.sha256(str(size).encode())
    with storage.open_file(path) as file:
        if size <= 2 * ENDS + BLOCKS * BLOCK:
            digest.update(file.read())
        else:
            digest.update(file.read(ENDS))
            step = (size - 2 * ENDS - BLOCK) // (BLOCKS - 1)
            for block in range(BLOCKS):
                file.seek(ENDS + block * step)
                digest.update(file.read(BLOCK))
            file.seek(size - ENDS)
            digest.update(file.read(ENDS))
    return digest.hexdigest()[:32]


def probe(path: str, size: int) -> Source:
    """What a file's header and content tell; never raises for a bad file."""
    kind = kind_of(path)
    try:
        digest = content_digest(path, size)
        if kind == IMAGE:
            return Source(path, digest, kind)
        header = read_header(path)
    except Exception as error:  # every store's client has exceptions of its own
        return Source(path, kind=kind, error=media_reason(error))
    return Source(path, digest, kind, header.seconds, header.frames_per_second, count_segments(header, size))


def probe_once(path: str, out: str) -> Source:
    """`probe`, or what OUT/plan/ remembers of the same path, size and time of change."""
    try:
        meta = storage.metadata(path)
    except OSError as error:
        return Source(path, error=storage.reason(error))
    identity = json.dumps([path, meta.size_in_bytes, meta.last_updated_in_seconds, FORMAT, versions()])
    key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    index = storage.join(out, "plan", "sources", key[:2], f"{key}.json")
    try:
        if storage.exists(index):
            return Source(**json.loads(storage.read_bytes(index)))
    except (OSError, ValueError, TypeError):
        pass  # not readable: probe anew
    source = probe(path, meta.size_in_bytes)
    if not source.error:
        storage.write_bytes(out, index, json.dumps(asdict(source)).encode())
    return source


@dataclass(eq=False)
class ProbeSources(beam.PTransform):
    """(source, its clips) for each file. What was learnt is written before any barrier, so that a resume reads it."""

    out: str

    def expand(self, files: beam.PCollection[SourceClips]) -> beam.PCollection[tuple[Source, SourceClips]]:
        return files | beam.ParDo(_ProbeSources(self.out))


class _ProbeSources(beam.DoFn):
    def __init__(self, out: str) -> None:
        self._out = out
        self._sources = Metrics.counter(ProbeSources, "sources")
        self._failures = Metrics.counter(ProbeSources, "failures")

    def process(self, file: SourceClips) -> Iterator[tuple[Source, SourceClips]]:
        if all(clip.skipped for clip in file.clips):
            return
        source = probe_once(file.path, self._out)
        self._sources.inc()
        self._failures.inc(bool(source.error))
        TALLY.add(sources=1, failed_sources=bool(source.error))
        yield source, file
