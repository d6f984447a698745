"""Manifests: a table (csv or parquet) that names the clips, one a row."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from typing import Any

import pyarrow.lib
import pyarrow.parquet as pq
from handstream.records.errors import InputError, nearest
from handstream.transforms import storage
from handstream.transforms.clips import Clip, TakeKey
from handstream.transforms.layouts import clean, path_without_view, split_name, stem

COLUMNS = (
    "path",
    "label",
    "subject",
    "take",
    "view",
    "split",
    "start",
    "end",
    "calibration",
    "mirrored",
)
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


def read_manifest(path: str, mirrored: bool = False) -> list[Clip]:
    """The clips that a manifest names; relative paths are relative to it.

    Args:
        path: the manifest, on any file system.
        mirrored: what holds where the manifest has no such column.

    Raises:
        InputError: it is no table, a row cannot be understood (names the line), or the views of a take are in two
            splits.
    """
    path = storage.absolute(path)
    try:
        data = storage.read_bytes(path)
    except OSError as error:
        raise InputError(f"{path}: cannot read the manifest ({error}).") from error
    rows = _parquet_rows(path, data) if path.lower().endswith(".parquet") else _csv_rows(path, data)
    clips = []
    for place, row in rows:
        try:
            clips.append(_clip(path, row, mirrored))
        except InputError as error:
            raise InputError(f"{path}, {place}: {error}") from None
    if not clips:
        raise InputError(f"{path}: the manifest has no rows.")
    _check_splits(path, clips)
    return clips


def _check_splits(path: str, clips: list[Clip]) -> None:
    """Raise InputError where the views of one take are in two splits. Takes with views of one name are two takes."""
    takes: dict[TakeKey, list[Clip]] = {}
    for clip in clips:
        if clip.split:
            takes.setdefault(clip.key._replace(split=""), []).append(clip)
    for views in takes.values():
        other = next((clip for clip in views if clip.split != views[0].split), None)
        if other and len({clip.view for clip in views}) == len(views):
            raise InputError(
                f"{path}: {views[0].name} and {other.name} are views of take {other.take!r}, and in {views[0].split} "
                f"and {other.split}. Give all views of a take one split, or takes that differ different names."
            )


def _csv_rows(path: str, data: bytes) -> list[tuple[str, dict[str, str]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8. Save the table as CSV in UTF-8, or as Parquet.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, dict[str, str]]] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_header(path, header)
            elif len(cells) != len(header):
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, and the header has {len(header)}. "
                    "Quote a cell that holds a comma."
                )
            else:
                rows.append((f"line {reader.line_num}", dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: no CSV ({error}).") from error
    return rows


def _parquet_rows(path: str, data: bytes) -> list[tuple[str, dict[str, str]]]:
    try:
        table = pq.read_table(io.BytesIO(data))
    except pyarrow.lib.ArrowException as error:
        raise InputError(f"{path}: no Parquet table ({storage.reason(error)}).") from error
    _check_header(path, table.column_names)
    return [(f"row {i}", {k: _text(v) for k, v in row.items()}) for i, row in enumerate(table.to_pylist(), 1)]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value)


def _check_header(path: str, header: list[str]) -> None:
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path}: two columns are called {name!r}.")
    if "path" not in header:
        close = nearest("path", header) or next((n for n in header if n.lower() == "path"), "")
        hint = f" Rename {close!r}?" if close else ""
        for separator in ";\t":
            if len(header) == 1 and separator in header[0]:
                hint = f" Its cells are separated by {separator!r}: save the table with commas."
        raise InputError(f"{path}: no column 'path' in {', '.join(header)}.{hint}")
    for name in header:
        if name not in COLUMNS and (close := nearest(name.lower(), COLUMNS, cutoff=0.8)):
            raise InputError(
                f"{path}: column {name!r} looks like a misspelt {close!r}: rename it (if it means something else, "
                "to something less alike)."
            )


def _clip(manifest: str, row: dict[str, str], mirrored: bool) -> Clip:
    name = row["path"]
    if not name.strip():
        raise InputError("the path is empty.")
    folder = manifest.rpartition("/")[0]
    absolute = not storage.is_local(name) or name.startswith("/")
    start, end = (_seconds(column, row.get(column, "")) for column in ("start", "end"))
    if start is not None and end is not None and start >= end:
        raise InputError(f"start {start:g} is not before end {end:g}.")
    path = storage.absolute(name if absolute else storage.join(folder, name))
    if storage.is_local(path):
        # Two spellings of one file are one file.
        path = os.path.normpath(path)
    take = row.get("take", "").strip()
    view = row.get("view", "").strip()
    if not take:
        # Views of one take lie beside each other but for the view's word: cam0/a.mp4 and cam1/a.mp4.
        word = re.search(rf"(?<![^/_. -]){re.escape(view)}(?![^/_. -])", name) if view else None
        take = path_without_view(name, *word.span()) if word else stem(name)
        if start is not None or end is not None:
            take += f"#{_stamp(start)}-{_stamp(end)}"
    return Clip(
        path=path,
        name=clean(name),
        take=clean(take),
        view=clean(view),
        label=clean(row.get("label", "").strip()),
        subject=clean(row.get("subject", "").strip()),
        split=split_name(row.get("split", "").strip()),
        start=start,
        end=end,
        mirrored=_flag(row["mirrored"]) if "mirrored" in row else mirrored,
        columns={k: v for k, v in row.items() if k not in COLUMNS or k == "calibration"},
    )


def _seconds(column: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise InputError(f"{column} is {text!r}, not a number of seconds.")
    return seconds


def _stamp(seconds: float | None) -> str:
    """Seconds to the microsecond, without needless zeros."""
    return "" if seconds is None else f"{seconds:.6f}".rstrip("0").rstrip(".")


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise InputError(f"mirrored is {text!r}, neither true nor false.")
    return word in _TRUE
