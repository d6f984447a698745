"""--dry-run: what would be done, without doing it."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from handstream.pipelines import landmarker_file, runs
from handstream.pipelines.progress import duration
from handstream.records.errors import InputError
from handstream.transforms import storage
from handstream.transforms.clips import IMAGE, Clip, Segment, Source
from handstream.transforms.landmarker import HandLandmarker
from handstream.transforms.match import Matched
from handstream.transforms.probe import probe
from handstream.transforms.video import MediaError, SegmentReader, read_image

TRIAL_FRAMES = 30


def show(args: argparse.Namespace, matched: Matched) -> int:
    """Print what would be done; 0."""
    out = storage.absolute(args.out)
    known = storage.join(out, "splits.csv")
    clips, _ = runs.split_clips(matched, args, storage.read_bytes(known) if storage.exists(known) else None)
    active = [clip for clip in clips if not clip.skipped]
    for line in runs.advice(clips, matched.passed_over, args):
        print(line)
    print(f"{len(active)} clips, {len({clip.key for clip in active})} takes would go to {out}")
    for what in ("split", "label", "subject", "view"):
        counts = Counter(getattr(clip, what) or "(none)" for clip in active)
        shown = ", ".join(f"{name} {count}" for name, count in counts.most_common(12))
        print(f"  by {what:8}{len(counts):5}: {shown}{', ...' if len(counts) > 12 else ''}")
    sources = _probe(sorted({clip.path for clip in active}))
    frames, hours = _amount(active, sources, args)
    bad = [source for source in sources.values() if source.error]
    for source in bad[:10]:
        print(f"  cannot be read: {source.path}: {source.error}")
    if len(bad) > 10:
        print(f"  ... and {len(bad) - 10} more")
    print(f"{hours:.2f} hours of video, about {frames} frames and images to look at")
    cost = _trial(next((source for source in sources.values() if not source.error), None), args)
    if cost is None:
        print("no estimate of the time: handstream fetch-model, or --landmarker, brings the detector")
    else:
        cores = len(os.sched_getaffinity(0))
        print(f"about {duration(frames * cost / cores)} on the {cores} cores of this machine")
    return 0


def _probe(paths: list[str]) -> dict[str, Source]:
    def one(path: str) -> Source:
        files = storage.list_files(storage.literal(path))
        return probe(path, files[0].size_in_bytes) if files else Source(path, error="no such file")

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(paths, pool.map(one, paths), strict=True))


def _amount(clips: list[Clip], sources: dict[str, Source], args: argparse.Namespace) -> tuple[int, float]:
    """(frames to look at, hours of video); a part counted twice is detected once, so this is the most."""
    frames, seconds = 0.0, 0.0
    for clip in clips:
        source = sources[clip.path]
        if source.kind == IMAGE:
            frames += 1
        elif not source.error:
            end = min(clip.end or float("inf"), source.seconds or 10.0)
            length = max(end - (clip.start or 0.0), 0.0)
            rate = source.frames_per_second or 30.0
            seconds += length
            frames += length * min(rate, args.sample_fps or rate)
    return round(frames), seconds / 3600


def _trial(source: Source | None, args: argparse.Namespace) -> float | None:
    """Seconds that one frame takes on one core, tried on some frames from its middle."""
    if source is None:
        return None
    try:
        path, _ = landmarker_file.find(args.landmarker)
    except InputError:
        return None
    middle = Segment(source.path, source.digest, source.kind, source.segments // 2, last=True)
    with runs.own_stderr():
        landmarker = HandLandmarker(storage.read_bytes(path), args.running_mode, args.num_hands)
        try:
            begun, seen = time.perf_counter(), 0
            if source.kind == IMAGE:
                landmarker.detect(read_image(source.path))
                return time.perf_counter() - begun
            for frame in islice(SegmentReader(middle, 0), TRIAL_FRAMES):
                landmarker.detect(frame.picture)
                seen += 1
        except MediaError:
            pass
        finally:
            landmarker.close()
        return (time.perf_counter() - begun) / max(seen, 1)
