"""What is said at the end of a run."""

from __future__ import annotations

import argparse
import io
import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
from handstream.pipelines.messages import complain, say
from handstream.records.errors import printable
from handstream.transforms import storage
from handstream.transforms.dataset import CLIPS_PARQUET

LONG_CLIP_SECONDS, COARSE_STEP_SECONDS = 15.0, 0.1


def summarize(out: str, seconds: float, counters: dict[str, int], args: argparse.Namespace) -> int:
    """Say what was done, what failed and why, where things are and how fast; the exit status.

    Args:
        seconds: that the pipeline ran.
        counters: Beam's, by name: frames, and frames_done_before.
    """
    table = pq.read_table(io.BytesIO(storage.read_bytes(storage.join(out, CLIPS_PARQUET))))
    rows = table.to_pylist()
    description = json.loads(storage.read_bytes(storage.join(out, "dataset.json")))
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
    frames, before = counters.get("frames", 0), counters.get("frames_done_before", 0)
    speed = f", {frames / seconds:.1f} frames a second" if frames else ""
    say(f"frames:  {frames} detected in {seconds:.1f} s{speed}; {before} were there already", args)
    say(f"windows: {sum(windows.values())}: " + ", ".join(f"{n} {split}" for split, n in windows.items()), args)
    say(f"in {out}; look with: handstream inspect {shlex.quote(out)}", args)
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
    # Half a frame does not count: windows are cut on frames.
    short = [
        row
        for row in rows
        if args.window and row["status"] == "ok" and row["seconds"] * (1 + 0.5 / row["frames"]) < args.window
    ]
    if short:
        yield (
            f"{len(short)} clips are shorter than --window {args.window:g} and one shorter window each "
            f"({printable(short[0]['path'])}: {short[0]['seconds']:.1f} s)."
        )
    dropped = sum(row["hands_dropped"] for row in rows)
    if dropped:
        yield f"{dropped} detections found no free slot: --num-hands {args.num_hands + 2} has room for more."
    splits = defaultdict(set)
    for row in rows:
        if row["source"]:
            splits[row["source"]].add(row["split"])
    copies = [row["path"] for row in rows if len(splits[row["source"]]) > 1]
    if copies:
        yield (
            f"{len(copies)} clips are copies of one another in different splits ({printable(copies[0])}), so that a "
            "model would be tested on what it has learnt: remove them, or put them into one split in splits.csv."
        )
