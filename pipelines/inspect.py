"""inspect: what is in a (local) data set. Imports neither TensorFlow nor MediaPipe nor Beam."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from handstream.pipelines.messages import complain
from handstream.records.dataset import (
    SPLITS,
    Dataset,
    load_dataset,
    read_windows,
    verify,
)
from handstream.records.errors import DatasetError, nearest, printable
from handstream.records.window import Side, State


def run(argv: list[str]) -> int:
    """`handstream inspect`: 0 fine, 1 `--verify` found something wrong or a take is not there.

    Raises:
        DatasetError: OUT is no data set that this version reads.
    """
    parser = argparse.ArgumentParser(prog="handstream inspect", description="What is in a data set.")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("--take", metavar="T", help="show one take as a table")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--verify", action="store_true", help="read every shard against dataset.json")
    args = parser.parse_args(argv)
    dataset = load_dataset(args.out)
    if args.verify:
        return _show_verify(dataset, args.json)
    if args.take is not None:
        return _show_take(dataset, args.take, args.json)
    _show_all(dataset, args.json)
    return 0


def summary(dataset: Dataset) -> dict[str, Any]:
    """dataset.json with the shards counted."""
    description = dataset.description
    splits = {}
    for split in SPLITS:
        values = dict(description["splits"][split])
        shards = values.pop("shards")
        splits[split] = {**values, "shards": len(shards), "bytes": sum(s["bytes"] for s in shards)}
    return {**{k: v for k, v in description.items() if k != "splits"}, "splits": splits}


def clip_rows(dataset: Dataset) -> list[dict[str, Any]]:
    """The rows of clips.parquet.

    Raises:
        DatasetError: it is not there, or damaged.
    """
    import pyarrow.parquet as pq

    path = os.path.join(dataset.folder, "clips.parquet")
    try:
        return list(pq.read_table(path, page_checksum_verification=True).to_pylist())
    except (OSError, ValueError) as error:
        reason = "not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise DatasetError(f"{path}: {reason}. Run the same `handstream extract` again, it writes it anew.") from error


_MEASURES: dict[str, Callable[[dict[str, Any]], object]] = {
    "takes": lambda split: split["takes"],
    "subjects": lambda split: len(split["subjects"]),
    "windows": lambda split: split["statistics"]["windows"],
    "without a hand": lambda split: split["statistics"]["windows_without_hands"],
    "frames": lambda split: split["statistics"]["frames"],
    "hands seen": lambda split: split["statistics"]["hands_seen"],
    "interpolated": lambda split: split["statistics"]["hands_interpolated"],
    "shards": lambda split: split["shards"],
    "MB": lambda split: f"{split['bytes'] / 1e6:.1f}",
}


def _show_all(dataset: Dataset, as_json: bool) -> None:
    facts = summary(dataset)
    if as_json:
        rows = clip_rows(dataset)
        facts["clips"] = dict(sorted(Counter(row["status"] for row in rows).items()))
        print(json.dumps(facts, ensure_ascii=False))
        return
    windows = facts["windows"]
    length = (
        "one window a take"
        if windows["window"] is None
        else (f"windows of {windows['window']:g} s every {windows['hop'] or windows['window']:g} s")
    )
    print(
        f"{dataset.folder}: {len(dataset.labels)} labels, {dataset.views} views, {dataset.hands} hands, {length}",
        flush=True,
    )

    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False, emoji=False)
    table = Table("", *SPLITS)
    for name, value in _MEASURES.items():
        table.add_row(name, *(str(value(facts["splits"][split])) for split in SPLITS))
    console.print(table)
    if dataset.labels:
        table = Table("label", *SPLITS, title="takes by label")
        for label in dataset.labels:
            table.add_row(
                label,
                *(str(facts["splits"][s]["takes_by_label"].get(label, 0)) for s in SPLITS),
            )
        console.print(table)
    rows = clip_rows(dataset)
    table = Table("view", "clips", "minutes", "frames", "with hands", title="clips by view")
    for view in sorted({row["view"] for row in rows}):
        mine = [row for row in rows if row["view"] == view]
        frames = sum(row["frames"] for row in mine)
        hands = sum(row["frames"] * (row["hand_share"] or 0) for row in mine)
        share = f"{hands / frames:.1%}" if frames else "-"
        minutes = sum(row["seconds"] for row in mine) / 60
        table.add_row(view or "(only one)", str(len(mine)), f"{minutes:.2f}", str(frames), share)
    console.print(table)
    status = Counter(row["status"] for row in rows)
    console.print("clips: " + ", ".join(f"{count} {name}" for name, count in sorted(status.items())))
    for row in [row for row in rows if row["status"] in ("failed", "partial")][:20]:
        console.print(f"  {row['status']}: {printable(row['path'])}: {row['error']}")


def _show_verify(dataset: Dataset, as_json: bool) -> int:
    found = dict(verify(dataset))
    if as_json:
        print(json.dumps({"shards": found}))
    else:
        for name, wrong in found.items():
            print(f"{name}: {wrong or 'whole'}")
        print(f"{len(found)} shards, {sum(map(bool, found.values()))} not as dataset.json says")
    return 1 if any(found.values()) else 0


def _show_take(dataset: Dataset, take: str, as_json: bool) -> int:
    windows = [(split, w) for split in SPLITS for w in read_windows(dataset, split) if w["take"] == take]
    if not windows:
        names = {w["take"] for split in SPLITS for w in read_windows(dataset, split)}
        close = nearest(take, names)
        hint = f" Did you mean {close!r}?" if close else ""
        complain(f"no window of take {take!r} in {dataset.folder}.{hint}")
        return 1
    if as_json:
        print(json.dumps([{"split": split, **_plain(window)} for split, window in windows], ensure_ascii=False))
        return 0

    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False, emoji=False)
    for split, window in windows:
        label = window["label"] or "(no label)"
        subject = f", subject {window['subject']}" if window["subject"] else ""
        span = f"{window['start_us'] / 1e6:.3f} to {window['end_us'] / 1e6:.3f} s"
        console.print(f"take {take}: {label}{subject}, {split}, {span}")
        console.print("each hand: x and y of the wrist, score that it is a right hand; ~ interpolated")
        table = Table("time")
        present = np.isin(window["state"], (State.SEEN, State.INTERPOLATED)).any(axis=0)
        slots = [(int(v), int(h)) for v, h in np.argwhere(present)]
        for v, h in slots:
            side = Side(int(window["side"][v, h])).name.lower()
            table.add_column(f"{window['views'][v]} slot {h} {side}".strip())
        for t, time in enumerate(window["time"]):
            table.add_row(f"{time:.3f}", *(_cell(window, t, v, h) for v, h in slots))
        console.print(table)
    return 0


def _cell(window: dict[str, Any], t: int, v: int, h: int) -> str:
    state = State(int(window["state"][t, v, h]))
    if state not in (State.SEEN, State.INTERPOLATED):
        return ""
    x, y = window["hand_landmarks"][t, v, h, 0, :2]
    mark = "~" if state == State.INTERPOLATED else ""
    return f"{mark}{x:.3f} {y:.3f} {window['handedness'][t, v, h]:.2f}"


def _plain(window: dict[str, Any]) -> dict[str, Any]:
    """Arrays as lists, NaN as null."""
    return {k: _nested(v) if isinstance(v, np.ndarray) else v for k, v in window.items()}


def _nested(array: np.ndarray) -> Any:
    if array.dtype.kind != "f":
        return array.tolist()
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()
