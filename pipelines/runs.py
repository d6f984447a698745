"""A run: what is decided before work starts, the runner, and how it ends."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import io
import json
import logging
import os
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn, TextIO

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, create_runner
from handstream.pipelines.messages import complain, say
from handstream.pipelines.output import Output
from handstream.pipelines.progress import Progress
from handstream.pipelines.summary import summarize
from handstream.records.errors import InputError
from handstream.transforms import storage
from handstream.transforms.assemble import WindowOptions
from handstream.transforms.clips import Clip
from handstream.transforms.match import Matched, check_clips, group_by_source, write_plan
from handstream.transforms.splits import (
    assign_splits,
    empty_split_advice,
    format_splits,
    read_splits,
    subjects_in_two_splits,
)
from handstream.transforms.tally import TALLY

LOCAL_RUNNERS = ("direct", "fnapi")
WAYS_OUT = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EACCES: "Give yourself the right to write there",
    errno.EROFS: "Have it mounted for writing",
    errno.EISDIR: "Remove that folder",
    errno.ENOTDIR: "Remove the file that stands in a folder's place",
}
"""What OUT may refuse, and what a user can do about it."""
M_ARENA_MAX, ARENAS = -8, 2
"""The first is malloc.h's; see `limit_arenas`."""


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
    if args.layout in (None, "folders") and args.inputs and not any(clip.label for clip in clips):
        yield "no clip has a label: it is the first folder below an INPUT, so give the folder that holds the labels'."


def read_labels(data: bytes | None) -> list[str]:
    """The labels of earlier runs, in the order of their numbers.

    Raises:
        InputError: it is no list of different texts.
    """
    try:
        labels = json.loads(data or b"[]")
    except ValueError:
        labels = None
    if (
        not isinstance(labels, list)
        or not all(isinstance(label, str) for label in labels)
        or len(set(labels)) < len(labels)
    ):
        raise InputError(
            "labels.json: a list of different texts is wanted. Mend it, or remove it to have labels numbered anew."
        )
    return labels


def prepare(out: Output, matched: Matched, args: argparse.Namespace) -> Prepared:
    """Decide splits, labels and shapes, and write them down."""
    clips, splits = split_clips(matched, args, out.read("splits.csv"))
    check_clips(clips)
    for line in advice(clips, matched.passed_over, args):
        say(line, args)
    active = [clip for clip in clips if not clip.skipped]
    known = read_labels(out.read("labels.json"))
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


@dataclass(frozen=True)
class Runner:
    """Where a pipeline runs."""

    runner: PipelineRunner
    options: PipelineOptions
    local: bool

    def __str__(self) -> str:
        name = type(self.runner).__name__
        direct = self.options.view_as(DirectOptions)
        how = f", {direct.direct_num_workers} workers, {direct.direct_running_mode}"
        return name + how if self.local else name

    @property
    def threads(self) -> bool:
        """Whether all work is done in this process."""
        return self.local and self.options.view_as(DirectOptions).direct_running_mode != "multi_processing"


def choose_runner(flags: list[str]) -> Runner:
    """The runner that Beam's flags name. Locally the FnApiRunner: DirectRunner would try to download another one.

    Raises:
        InputError: a flag has a value that Beam does not know.
    """
    said, name = io.StringIO(), ""
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(flags)
            name = options.view_as(StandardOptions).runner or "DirectRunner"
            options.get_all_options()
        if name.lower().removesuffix("runner") not in LOCAL_RUNNERS:
            return Runner(create_runner(name), options, local=False)
    except SystemExit:
        raise InputError(said.getvalue().strip().splitlines()[-1].partition("error: ")[2]) from None
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(f"--runner {name}: {storage.reason(error)}") from error
    direct = options.view_as(DirectOptions)
    given = {flag.partition("=")[0] for flag in flags}
    if "--direct_num_workers" not in given or direct.direct_num_workers < 1:
        direct.direct_num_workers = len(os.sched_getaffinity(0))
    if "--direct_running_mode" not in given:
        direct.direct_running_mode = "multi_threading"
    return Runner(FnApiRunner(), options, local=True)


def execute(
    build: Callable[[beam.Pipeline], object],
    out: str,
    prepared: Prepared,
    runner: Runner,
    args: argparse.Namespace,
) -> int:
    """Run the pipeline and say what came out; the exit status."""
    limit_arenas()
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    sources = {clip.path for clip in prepared.clips if not clip.skipped}
    clips = sum(not clip.skipped for clip in prepared.clips)
    say(f"{clips} clips to {out} on {runner}.", args)
    TALLY.clear()
    failure: Exception | None = None
    begun = time.monotonic()
    count = TALLY.read if runner.threads else receipts_counter(out, len(sources))
    with own_stderr() as terminal, _interruptible(terminal, runner):
        with Progress(terminal, args.quiet, len(sources), count):
            try:
                pipeline = beam.Pipeline(runner=runner.runner, options=runner.options)
                build(pipeline)
                result = pipeline.run()
                result.wait_until_finish()
            except Exception as error:
                failure = error
    if failure is not None:
        return _failed(failure, out)
    return summarize(out, time.monotonic() - begun, committed(result), args)


def committed(result: PipelineResult) -> dict[str, int]:
    """Beam's counters by name."""
    totals = Counter[str]()
    for counter in result.metrics().query(MetricsFilter())["counters"]:
        totals[counter.key.metric.name] += counter.committed or counter.attempted or 0
    return dict(totals)


def receipts_counter(out: str, sources: int) -> Callable[[], Counter[str]]:
    """Counts segments by their files, where the work is done in other processes."""
    pattern = storage.join(storage.literal(out), "landmarks", "**")
    before = len(storage.list_files(pattern))

    def count() -> Counter[str]:
        return Counter(sources=sources, receipts=len(storage.list_files(pattern)) - before)

    return count


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
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    ours = os.fdopen(os.dup(2), "w", buffering=1)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            with contextlib.redirect_stderr(nothing):
                yield ours
        finally:
            os.dup2(ours.fileno(), 2)
            # A reader that has gone is no reason to stop.
            with contextlib.suppress(OSError):
                ours.close()


@contextlib.contextmanager
def _interruptible(terminal: TextIO, runner: Runner) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once: what is written is whole, and what is not has no final name."""
    line = "interrupted. The same command carries on where this run stopped."
    if not runner.local:
        line = f"no longer watching. What {runner} has begun goes on there until you cancel it there."
    show_cursor = "\x1b[?25h" if terminal.isatty() else ""

    def stop(number: int, _: object) -> NoReturn:
        with contextlib.suppress(OSError):
            os.write(terminal.fileno(), f"{show_cursor}\nhandstream: {line}\n".encode())
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
    for number, way_out in WAYS_OUT.items():
        reason = os.strerror(number)
        said = [line for line in text.splitlines() if reason in line]
        if said:
            places = re.findall(rf"{re.escape(out)}/[^'\"]*", said[-1]) or [out]
            complain(f"{places[-1]}: {reason}. {way_out}; the same command carries on where this run stopped.")
            return 1
    complain(f"the run failed; the same command carries on where it stopped.\n{text.rstrip()}")
    return 1
