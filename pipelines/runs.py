"""A run: the folder it writes to, what is decided before work starts, the runner, and what is said at the end."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import fcntl
import io
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

import apache_beam as beam
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from handstream.pipelines.progress import Progress
from handstream.records.errors import InputError, printable
from handstream.transforms import storage
from handstream.transforms.assemble import WindowOptions
from handstream.transforms.clips import Clip
from handstream.transforms.dataset import CLIPS_PARQUET
from handstream.transforms.match import Matched, group_by_source, write_plan
from handstream.transforms.splits import (
    assign_splits,
    empty_split_advice,
    format_splits,
    read_splits,
    subjects_in_two_splits,
)
from handstream.transforms.tally import TALLY

LOCAL_RUNNERS = ("DirectRunner", "FnApiRunner")
LOCK = ".lock"
M_ARENA_MAX, ARENAS = -8, 2
"""The first is malloc.h's; see `limit_arenas`."""
LONG_CLIP_SECONDS, COARSE_STEP_SECONDS = 15.0, 0.1


@contextlib.contextmanager
def opened(path: str) -> Iterator[Output]:
    """OUT, checked and (where it is local) locked; what a killed run left half-written is removed.

    Raises:
        InputError: it is a file, holds something else, cannot be written, or another run writes to it.
    """
    out = storage.absolute(path).rstrip("/") or "/"
    with contextlib.ExitStack() as stack:
        try:
            if storage.is_local(out):
                stack.enter_context(_locked(out))
            else:
                _check_contents(out)
            _remove_temporaries(out)
            storage.write_bytes(out, storage.join(out, "plan", "writable"), b"")
        except OSError as error:
            raise InputError(f"{path}: cannot be written to ({storage.reason(error)}).") from error
        yield Output(out)
        _remove_temporaries(out)


@dataclass(frozen=True)
class Output:
    """The folder of a data set, ours for the time of a run."""

    path: str

    def file(self, *parts: str) -> str:
        return storage.join(self.path, *parts)

    def read(self, name: str) -> bytes | None:
        path = self.file(name)
        return storage.read_bytes(path) if storage.exists(path) else None

    def write(self, name: str, data: bytes) -> None:
        storage.write_bytes(self.path, self.file(name), data)


@contextlib.contextmanager
def _locked(out: str) -> Iterator[None]:
    if os.path.exists(out) and not os.path.isdir(out):
        raise InputError(f"{out} is a file; a folder is wanted for the data set.")
    if os.path.isdir(out):
        _check_contents(out)
    os.makedirs(out, exist_ok=True)
    # The kernel gives the lock back however the process ends.
    with open(os.path.join(out, LOCK), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{out} is being written by another run. Wait for it, or choose another OUT.") from None
        yield


def _check_contents(out: str) -> None:
    if any(storage.exists(storage.join(out, *parts)) for parts in (("plan", "writable"), ("dataset.json",))):
        return
    ours = (LOCK, f"{storage.TEMPORARY}/", "plan/")
    for meta in storage.list_files(storage.join(storage.literal(out), "**")):
        name = meta.path[len(out) :].lstrip("/")
        if not name.startswith(ours):
            raise InputError(f"{out} holds something else ({name}). Choose an empty or a new folder for OUT.")


def _remove_temporaries(out: str) -> None:
    for meta in storage.list_files(storage.join(storage.literal(out), storage.TEMPORARY, "**")):
        storage.remove(meta.path)
    if storage.is_local(out):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(out, storage.TEMPORARY))


@dataclass(frozen=True)
class Prepared:
    """What is decided before the pipeline starts."""

    plan: str
    windows: WindowOptions
    clips: list[Clip]


def split_clips(matched: Matched, args: argparse.Namespace, known: bytes | None) -> tuple[list[Clip], dict[str, str]]:
    """Clips with their splits, and the groups' splits to remember."""
    return assign_splits(matched.clips, args.shares, read_splits(known or b""))


def advice(clips: list[Clip], passed_over: Counter[str], args: argparse.Namespace) -> Iterator[str]:
    """What a user should know before a run begins."""
    if passed_over:
        kinds = ", ".join(f"{count} {ending}" for ending, count in passed_over.most_common(4))
        yield f"passed over {passed_over.total()} files that are neither video nor image ({kinds})."
    skipped = Counter(clip.skipped for clip in clips if clip.skipped)
    for reason, count in skipped.items():
        example = next(clip.name for clip in clips if clip.skipped == reason)
        yield f"skipped {count} files: {reason}, for example {example!r}."
    torn = subjects_in_two_splits(clips)
    if torn:
        yield f"{len(torn)} subjects are in two splits by your own word, such as {torn[0]!r}: training refuses that."
    if text := empty_split_advice(clips):
        yield text


def prepare(out: Output, matched: Matched, args: argparse.Namespace) -> Prepared:
    """Decide splits, labels and shapes, and write them down."""
    clips, splits = split_clips(matched, args, out.read("splits.csv"))
    for line in advice(clips, matched.passed_over, args):
        say(line, args)
    active = [clip for clip in clips if not clip.skipped]
    known = json.loads(out.read("labels.json") or b"[]")
    labels = known + sorted({clip.label for clip in active if clip.label} - set(known))
    names = sorted({clip.view for clip in active})
    views = max(Counter(clip.key for clip in active).values(), default=1)
    windows = WindowOptions(
        labels=tuple(labels),
        views=views,
        view_names=tuple(names) if len(names) <= views else (),
        hands=args.num_hands,
        by_side=args.slots == "side",
        window=args.window,
        hop=args.hop,
        rate=args.rate,
        keep_partial=args.keep_partial,
    )
    plan = out.file("plan", "clips.jsonl")
    write_plan(out.path, plan, group_by_source(clips))
    out.write("labels.json", (json.dumps(labels, ensure_ascii=False, indent=1) + "\n").encode())
    out.write("splits.csv", format_splits(splits))
    return Prepared(plan, windows, clips)


def beam_options(flags: list[str]) -> tuple[PipelineOptions, Any]:
    """(options, runner). Locally the FnApiRunner, named outright: DirectRunner would try to download another one."""
    options = PipelineOptions(flags)
    name = options.view_as(StandardOptions).runner or "DirectRunner"
    if name not in LOCAL_RUNNERS:
        return options, name
    direct = options.view_as(DirectOptions)
    given = {flag.partition("=")[0] for flag in flags}
    if "--direct_num_workers" not in given or direct.direct_num_workers < 1:
        direct.direct_num_workers = len(os.sched_getaffinity(0))
    if "--direct_running_mode" not in given:
        direct.direct_running_mode = "multi_threading"
    return options, FnApiRunner()


def execute(
    build: Callable[[beam.Pipeline], object],
    out: str,
    prepared: Prepared,
    beam_flags: list[str],
    args: argparse.Namespace,
) -> int:
    """Run the pipeline and say what came out; the exit status."""
    limit_arenas()
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    options, runner = beam_options(beam_flags)
    name = runner if isinstance(runner, str) else type(runner).__name__
    direct = options.view_as(DirectOptions)
    local = name == "FnApiRunner"
    how = f", {direct.direct_num_workers} workers, {direct.direct_running_mode}" if local else ""
    active = [clip for clip in prepared.clips if not clip.skipped]
    say(f"{len(active)} clips to {out} on {name}{how}.", args)
    TALLY.clear()
    failure: Exception | None = None
    begun = time.monotonic()
    sources = len({clip.path for clip in active})
    with own_stderr() as terminal, _interruptible(terminal), Progress(terminal, args.quiet, sources):
        try:
            pipeline = beam.Pipeline(runner=runner, options=options)
            build(pipeline)
            pipeline.run().wait_until_finish()
        except Exception as error:
            failure = error
    if failure is not None:
        return _failed(failure, out)
    return summarize(out, time.monotonic() - begun, args)


def limit_arenas() -> None:
    """Have glibc keep two heaps, not eight a core: frames freed by one thread are there for the next.

    Decoded pictures come and go in a dozen threads, and each heap keeps what it once held. Elsewhere it does nothing.
    """
    os.environ["MALLOC_ARENA_MAX"] = str(ARENAS)  # for worker processes
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


@contextlib.contextmanager
def own_stderr() -> Iterator[TextIO]:
    """Standard error for us alone, while MediaPipe, TensorFlow Lite and Beam's workers chatter into nothing.

    Their libraries write to the file descriptor itself and cannot be told not to; what matters of it is raised, too.
    """
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w", buffering=1) as ours, open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            with contextlib.redirect_stderr(nothing):
                yield ours
        finally:
            os.dup2(ours.fileno(), 2)


@contextlib.contextmanager
def _interruptible(terminal: TextIO) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once: what is written is whole, and what is not has no final name."""

    def stop(number: int, _: object) -> NoReturn:
        line = "\nhandstream: interrupted. The same command carries on where this run stopped.\n"
        os.write(terminal.fileno(), line.encode())
        os._exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failed(error: Exception, out: str) -> int:
    text = str(error)
    if "Traceback" not in text:
        text = "".join(traceback.format_exception(error))
    full = os.strerror(errno.ENOSPC)
    if full in text or os.strerror(errno.EDQUOT) in text:
        complain(f"{out}: {full}. Free some space; the same command carries on where this run stopped.")
    else:
        complain(f"the run failed; the same command carries on where it stopped.\n{text.rstrip()}")
    return 1


def summarize(out: str, seconds: float, args: argparse.Namespace) -> int:
    """Say what was done, what failed and why, where things are and how fast; the exit status."""
    table = pq.read_table(io.BytesIO(storage.read_bytes(storage.join(out, CLIPS_PARQUET))))
    rows = table.select(["path", "status", "error", "frames", "seconds", "hands_dropped"]).to_pylist()
    description = json.loads(storage.read_bytes(storage.join(out, "dataset.json")))
    counts = TALLY.read()
    status = Counter(row["status"] for row in rows)
    bad = [row for row in rows if row["status"] in ("failed", "partial")]
    for row in bad[:20]:
        complain(f"{row['status']}: {printable(row['path'])}: {row['error']}")
    if len(bad) > 20:
        complain(f"... and {len(bad) - 20} more; all are in {storage.join(out, CLIPS_PARQUET)}.")
    for line in warnings(rows, description, args):
        say(line, args)
    windows = {split: values["statistics"]["windows"] for split, values in description["splits"].items()}
    say(f"clips:   {len(rows)}: " + ", ".join(f"{n} {s}" for s, n in sorted(status.items())), args)
    if counts["segments"] or counts["kept"]:
        speed = f", {counts['frames'] / seconds:.1f} frames a second" if counts["frames"] else ""
        say(
            f"frames:  {counts['frames']} detected in {seconds:.1f} s{speed}; "
            f"{counts['kept_frames']} were there already",
            args,
        )
    say(f"windows: {sum(windows.values())}: " + ", ".join(f"{n} {split}" for split, n in windows.items()), args)
    say(f"in {out}; look with: handstream inspect {out}", args)
    return 1 if bad else 0


def warnings(rows: list[dict[str, Any]], description: dict[str, Any], args: argparse.Namespace) -> Iterator[str]:
    """What is allowed, but rarely meant."""
    steps = [split["statistics"]["step_us"] for split in description["splits"].values()]
    coarsest = max((step["max"] for step in steps if step), default=0) / 1e6
    if coarsest > COARSE_STEP_SECONDS:
        yield (
            f"some windows have {coarsest:.2f} s between frames: quick movement is lost between them. "
            "Film faster, or look at more frames (--sample-fps, --rate)."
        )
    long = [row for row in rows if row["seconds"] > LONG_CLIP_SECONDS and row["status"] != "failed"]
    if args.window is None and long:
        yield (
            f"{len(long)} clips are longer than {LONG_CLIP_SECONDS:g} s and one window each ({long[0]['path']}: "
            f"{long[0]['seconds']:.0f} s): for continuous video use --window SECONDS --hop SECONDS."
        )
    dropped = sum(row["hands_dropped"] for row in rows)
    if dropped:
        yield f"{dropped} detections found no free slot: --num-hands {args.num_hands + 2} has room for more."


def say(text: str, args: argparse.Namespace) -> None:
    if not args.quiet:
        print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    print(f"handstream: {text}", file=sys.stderr, flush=True)
