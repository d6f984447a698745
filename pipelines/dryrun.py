"""--dry-run: what would be done, without doing it."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from handstream.pipelines import options, runs
from handstream.pipelines.output import check_contents
from handstream.pipelines.progress import duration
from handstream.records.errors import printable
from handstream.transforms import landmarks, storage
from handstream.transforms.clips import IMAGE, Clip, Segment, Source, SourceClips
from handstream.transforms.landmarker import HandLandmarker
from handstream.transforms.landmarks import DetectionOptions
from handstream.transforms.match import Matched, check_clips, group_by_source
from handstream.transforms.probe import probe
from handstream.transforms.segments import expected_frames, split_source
from handstream.transforms.video import MediaError, SegmentReader, read_image

TRIAL_FRAMES = 30


def show(args: argparse.Namespace, matched: Matched, landmarker: tuple[str, str] | None) -> int:
    """Print what would be done; 0.

    Args:
        landmarker: path and digest, None where there is none yet: then nothing is known of what was done, nor of time.

    Raises:
        InputError: OUT is no place for a data set.
    """
    out = storage.absolute(args.out).rstrip("/")
    check_contents(out)
    known = storage.join(out, "splits.csv")
    clips, _ = runs.split_clips(matched, args, storage.read_bytes(known) if storage.exists(known) else None)
    check_clips(clips)
    active = [clip for clip in clips if not clip.skipped]
    for line in runs.advice(clips, matched.passed_over, args):
        print(line)
    print(f"{len(active)} clips, {len({clip.key for clip in active})} takes would go to {out}")
    for what in ("split", "label", "subject", "view"):
        counts = Counter(getattr(clip, what) or "(none)" for clip in active)
        shown = ", ".join(f"{printable(name)} {count}" for name, count in counts.most_common(12))
        print(f"  by {what:8}{len(counts):5}: {shown}{', ...' if len(counts) > 12 else ''}")
    files = group_by_source(active)
    with ThreadPoolExecutor(8) as pool:
        probed = list(zip(pool.map(_probe, (file.path for file in files)), files, strict=True))
    bad = [source for source, _ in probed if source.error]
    for source in bad[:10]:
        print(f"  cannot be read: {printable(source.path)}: {source.error}")
    if len(bad) > 10:
        print(f"  ... and {len(bad) - 10} more")
    print(f"{_hours(active, {source.path: source for source, _ in probed}):.2f} hours of video")
    if landmarker is None:
        print("no detector yet: `handstream fetch-model` brings it; then the time can be estimated")
        return 0
    detection = options.detection(args, matched, landmarker)
    missing, done = _work(probed, out, detection)
    frames = sum(missing.values())
    print(f"about {frames} frames and images to look at" + (f"; {done} segments were done before" if done else ""))
    if missing:
        cores = len(os.sched_getaffinity(0))
        cost = _trial(next(iter(missing)), detection)
        print(f"about {duration(frames * cost / cores)} on the {cores} cores of this machine")
    return 0


def _probe(path: str) -> Source:
    try:
        return probe(path, storage.metadata(path).size_in_bytes)
    except OSError as error:
        return Source(path, error=storage.reason(error))


def _hours(clips: list[Clip], sources: dict[str, Source]) -> float:
    """Hours of video in the clips; of a file without a length in its header, none."""
    seconds = 0.0
    for clip in clips:
        length = sources[clip.path].seconds or 0.0
        seconds += max(min(clip.end if clip.end is not None else length, length) - (clip.start or 0.0), 0.0)
    return seconds / 3600


def _work(
    files: list[tuple[Source, SourceClips]], out: str, detection: DetectionOptions
) -> tuple[dict[Segment, int], int]:
    """(segments to detect with the frames that each may have, number of segments that were done before)."""
    missing, done = {}, 0
    for source, clips in files:
        for segment in split_source(source, clips):
            receipt = landmarks.read_receipt(landmarks.path_of(out, segment, detection))
            if receipt is None or receipt.error:
                missing[segment] = expected_frames(source, segment, detection)
            else:
                done += 1
    return missing, done


def _trial(segment: Segment, detection: DetectionOptions) -> float:
    """Seconds that a frame takes on one core, tried on some frames of a segment."""
    begun = seen = 0.0
    with runs.own_stderr():
        model = storage.read_bytes(detection.landmarker)
        landmarker = HandLandmarker(model, detection.mode(segment.kind), detection.num_hands)
        try:
            begun = time.perf_counter()
            if segment.kind == IMAGE:
                landmarker.detect(read_image(segment.path))
                return time.perf_counter() - begun
            for frame in islice(SegmentReader(segment, 0), TRIAL_FRAMES):
                landmarker.detect(frame.picture)
                seen += 1
        except MediaError:
            pass
        finally:
            landmarker.close()
    return (time.perf_counter() - begun) / max(seen, 1)
