"""MatchClips: inputs and a layout, or a manifest, to clips.

The list is made and checked before the pipeline starts, so that wrong usage is said before work begins, and stands in
OUT/plan/clips.jsonl, so that a job description stays small however many clips there are.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from handstream.records.errors import InputError
from handstream.transforms import storage
from handstream.transforms.clips import (
    IMAGE_ENDINGS,
    VIDEO_ENDINGS,
    Clip,
    SourceClips,
)
from handstream.transforms.layouts import Folders, Pattern, clean, split_name


@dataclass(frozen=True)
class Matched:
    """What the inputs hold."""

    clips: list[Clip]
    passed_over: Counter[str]
    """Files that are neither video nor image, counted by ending."""


def match_inputs(inputs: list[str], layout: Folders | Pattern, mirrored: bool = False) -> Matched:
    """The clips in files, folders (recursively) and globs.

    Raises:
        InputError: an input matches nothing, or no file fits the layout.
    """
    clips: dict[str, Clip] = {}
    passed_over: Counter[str] = Counter()
    for text in inputs:
        root, paths = _expand(text)
        named = len(paths) == 1 and paths[0] == storage.absolute(text)
        media = [path for path in paths if named or _is_media(path)]
        others = Counter(map(_ending, set(paths).difference(media)))
        passed_over += others
        if not media:
            only = f", only {_count(others)}" if others else ""
            raise InputError(
                f"{text}: holds no video and no image{only}. "
                f"Videos end in {' '.join(VIDEO_ENDINGS)}, images in {' '.join(IMAGE_ENDINGS)}."
            )
        for path in media:
            clips.setdefault(path, _clip(path, root, layout, mirrored))
    found = list(clips.values())
    if all(clip.skipped for clip in found) and isinstance(layout, Pattern):
        raise InputError(
            f"--layout {layout.text!r} fits none of the {len(found)} files, for example {found[0].name!r}. "
            "It is held against the path below the input folder."
        )
    return Matched(found, passed_over)


def _expand(text: str) -> tuple[str, list[str]]:
    """(the folder that names are relative to, the files) of an input."""
    path = storage.absolute(text)
    try:
        below = storage.list_folder(path) if not storage.is_local(path) or os.path.isdir(path) else []
        if below or (storage.is_local(path) and os.path.isdir(path)):
            return path.rstrip("/"), below
        if storage.exists(path):
            return path.rpartition("/")[0], [path]
        files = storage.list_files(path) if re.search(r"[*?\[]", path) else []
    except (BeamIOError, OSError, ValueError) as error:
        raise InputError(f"{text}: cannot be listed ({storage.reason(error)}).") from error
    if not files:
        raise InputError(f"{text}: no such file or folder, and no file matches it.")
    fixed = re.split(r"[*?\[]", path, maxsplit=1)[0]
    return fixed.rpartition("/")[0], [meta.path for meta in files]


def _clip(path: str, root: str, layout: Folders | Pattern, mirrored: bool) -> Clip:
    relative = path[len(root) :].lstrip("/")
    name = clean(relative)
    if relative.rpartition("/")[2].startswith("._"):
        return Clip(path, name, take=name, skipped="macOS metadata, not a video")
    values = layout.read(name)
    if values is None:
        return Clip(path, name, take=name, skipped="does not fit --layout")
    try:
        split = split_name(values.get("split", ""))
    except InputError as error:
        raise InputError(f"{name}: {error} Write * for a part that says nothing, or {{split:REGEX}}.") from None
    return Clip(
        path,
        name,
        take=values["take"],
        view=values.get("view", ""),
        label=values.get("label", ""),
        subject=values.get("subject", ""),
        split=split,
        mirrored=mirrored,
    )


def _is_media(path: str) -> bool:
    return path.lower().endswith((*VIDEO_ENDINGS, *IMAGE_ENDINGS))


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    return f".{name.rpartition('.')[2]}" if "." in name[1:] else "no ending"


def _count(endings: Counter[str]) -> str:
    return ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))


def check_clips(clips: Iterable[Clip]) -> None:
    """Raise InputError where two clips are the same part of a file, or claim one view of one take."""
    parts: dict[tuple[str, int, int | None], Clip] = {}
    views: dict[tuple[tuple[str, ...], str], Clip] = {}
    for clip in clips:
        if clip.skipped:
            continue
        other = parts.setdefault((clip.path, clip.start_us, clip.end_us), clip)
        if other is not clip:
            raise InputError(f"{clip.name}: stands in the manifest twice with the same start and end. Remove one row.")
        other = views.setdefault((clip.key, clip.view), clip)
        if other is not clip:
            view = f"view {clip.view!r}" if clip.view else "the only view"
            raise InputError(
                f"{other.name} and {clip.name} both claim {view} of take {clip.take!r}. "
                "Tell them apart by {view} or {take} in --layout, or by these columns of a manifest; "
                "or choose files by a glob such as 'FOLDER/**.mp4'."
            )


def group_by_source(clips: Iterable[Clip]) -> list[SourceClips]:
    """Clips grouped by the file that they are cut out of, both sorted."""
    sources: dict[str, list[Clip]] = {}
    for clip in clips:
        sources.setdefault(clip.path, []).append(clip)
    return [
        SourceClips(path, tuple(sorted(sources[path], key=lambda c: (c.start_us, c.end_us or 0, c.view, c.take))))
        for path in sorted(sources)
    ]


def read_plan(path: str) -> Iterator[SourceClips]:
    """The lines of OUT/plan/clips.jsonl."""
    with storage.open_file(path) as file:
        for line in file:
            yield SourceClips.from_line(line.decode())


def write_plan(out: str, path: str, sources: Iterable[SourceClips]) -> None:
    """Write OUT/plan/clips.jsonl."""
    with storage.writing(out, path) as file:
        for source in sources:
            file.write((source.to_line() + "\n").encode())


@dataclass(eq=False)
class MatchClips(beam.PTransform):
    """The files of a plan with their clips, spread over the workers: what `match_inputs` or a manifest found."""

    plan: str

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[SourceClips]:
        return pbegin | beam.Create([self.plan]) | beam.FlatMap(read_plan) | beam.Reshuffle()
