"""A run of extract: what is decided before work starts, and what is said at its end."""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult
from handstream.pipelines.messages import say
from handstream.pipelines.output import Output
from handstream.pipelines.progress import ExtractionProgress
from handstream.pipelines.runner import Runner, carry_out
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

AGAIN = "The same command carries on where this run stopped."


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


def execute(
    build: Callable[[beam.Pipeline], object],
    out: str,
    prepared: Prepared,
    runner: Runner,
    args: argparse.Namespace,
) -> int:
    """Run the pipeline and say what came out; the exit status."""
    sources = {clip.path for clip in prepared.clips if not clip.skipped}
    clips = sum(not clip.skipped for clip in prepared.clips)
    say(f"{clips} clips to {out} on {runner}.", args)
    begun = time.monotonic()
    count = TALLY.read if runner.threads else receipts_counter(out, len(sources))
    show = functools.partial(ExtractionProgress, quiet=args.quiet, count=count, sources=len(sources))
    result = carry_out(build, out, runner, show, AGAIN)
    if result is None:
        return 1
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
