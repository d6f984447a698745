"""--dry-run: what would be done, without doing it."""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from handstream.pipelines import options, runs
from handstream.pipelines.output import check_contents
from handstream.pipelines.progress import duration
from handstream.records.errors import printable
from handstream.records.usage import own_stderr
from handstream.transforms import landmarks, storage
from handstream.transforms.clips import IMAGE, VIDEO, Clip, Segment, Source, SourceClips
from handstream.transforms.landmarker import HandLandmarker
from handstream.transforms.landmarks import DetectionOptions
from handstream.transforms.match import Matched, check_clips, group_by_source
from handstream.transforms.probe import probe
from handstream.transforms.segments import expected_frames, split_source
from handstream.transforms.video import MediaError, Picture, SegmentReader, read_image

TRIALS = {VIDEO: 4, IMAGE: 30}
"""How many segments the time of a run is judged by."""
TRIAL_FRAMES = 30
MOST_SKIPPED = 60
"""Frames of a segment before those that are tried; to decode them takes time, too."""


def show(args: argparse.Namespace, matched: Matched, landmarker: tuple[str, str] | None) -> int:
    """Print what would be done; 0, or 1 where a file cannot be read.

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
    print(f"{duration(_seconds(active, {source.path: source for source, _ in probed}))} of video")
    status = 1 if bad else 0
    if landmarker is None:
        print("no detector yet: `handstream fetch-model` brings it; then the time can be estimated")
        return status
    detection = options.detection(args, matched, landmarker)
    missing, done = _work(probed, out, detection)
    frames = sum(missing.values())
    print(f"about {frames} frames and images to look at" + (f"; {done} segments were done before" if done else ""))
    if missing:
        cores = len(os.sched_getaffinity(0))
        print(f"about {duration(_estimate(missing, detection))} on the {cores} cores of this machine")
    return status


def _probe(path: str) -> Source:
    try:
        return probe(path, storage.metadata(path).size_in_bytes)
    except OSError as error:
        return Source(path, error=storage.reason(error))


def _seconds(clips: list[Clip], sources: dict[str, Source]) -> float:
    """Seconds of video in the clips; of a file without a length in its header, none."""
    seconds = 0.0
    for clip in clips:
        length = sources[clip.path].seconds or 0.0
        seconds += max(min(clip.end if clip.end is not None else length, length) - (clip.start or 0.0), 0.0)
    return seconds


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


def _estimate(missing: dict[Segment, int], detection: DetectionOptions) -> float:
    """Seconds that a run takes for these segments, with the frames that each may have, on this machine.

    A run starts up as this command did. Then CPU time is spread over the cores, but a segment is one worker's.
    """
    start, spread, longest = time.process_time(), 0.0, 0.0
    for kind in {segment.kind for segment in missing}:
        frames = {segment: count for segment, count in missing.items() if segment.kind == kind}
        cpu, wall = _trial(frames, detection)
        spread += sum(frames.values()) * cpu / len(os.sched_getaffinity(0))
        longest = max(longest, max(frames.values()) * wall)
    return start + max(spread, longest)


def _trial(frames: dict[Segment, int], detection: DetectionOptions) -> tuple[float, float]:
    """(CPU seconds of all threads, seconds) that a frame takes, tried on some segments of one kind."""
    cpu, wall, seen = 0.0, 0.0, 0
    kind = next(iter(frames)).kind
    model = storage.read_bytes(detection.landmarker)
    with (
        own_stderr(),
        contextlib.closing(HandLandmarker(model, detection.mode(kind), detection.num_hands)) as landmarker,
    ):
        for segment in list(frames)[:: -(-len(frames) // TRIALS[kind])]:
            landmarker.reset()
            pictures = _middle(segment, frames[segment], detection)
            with contextlib.suppress(MediaError):
                # What lies before the middle is not counted, nor is that hands are found, which takes longer than to
                # follow them.
                for picture in islice(pictures, 1 if kind == VIDEO else 0):
                    landmarker.detect(picture)
                begun_cpu, begun = time.process_time(), time.perf_counter()
                for picture in pictures:
                    landmarker.detect(picture)
                    seen += 1
                cpu += time.process_time() - begun_cpu
                wall += time.perf_counter() - begun
    return cpu / max(seen, 1), wall / max(seen, 1)


def _middle(segment: Segment, frames: int, detection: DetectionOptions) -> Iterator[Picture]:
    """Some pictures from the middle of a segment of so many frames: at its beginning there may be no hand yet."""
    if segment.kind == IMAGE:
        yield read_image(segment.path, segment.mirrored)
        return
    before = min(frames // 2, MOST_SKIPPED)
    for frame in islice(SegmentReader(segment, 0, detection.sample_fps), before, before + 1 + TRIAL_FRAMES):
        yield frame.picture
