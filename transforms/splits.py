"""Which clip is in which split: groups that stay together, and OUT/splits.csv that remembers them.

A group is a subject, or where no subject is known a take. What shares a file or a take is never torn apart.
"""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from handstream.records.dataset import SPLITS
from handstream.records.errors import InputError
from handstream.transforms.clips import Clip
from handstream.transforms.layouts import split_name

BY_HASH_ABOVE = 1000
"""With more groups than this, each one's hash alone decides, so that later ones do not depend on the others."""


@dataclass(frozen=True)
class Shares:
    """Shares of train, validation and test; they add up to one."""

    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)

    @classmethod
    def parse(cls, text: str) -> Shares:
        """
        >>> Shares.parse("70,15,15").shares
        (0.7, 0.15, 0.15)
        """
        try:
            train, validation, test = (float(part) for part in text.replace("/", ",").split(","))
        except ValueError:
            raise InputError(f"--split {text!r}: three numbers are wanted, such as 80,10,10.") from None
        total = train + validation + test
        if min(train, validation, test) < 0 or not 0 < total < float("inf"):
            raise InputError(f"--split {text!r}: shares are not negative, and not all zero.")
        return cls((train / total, validation / total, test / total))


def group_hash(name: str) -> int:
    """The first 64 bits of SHA-256 of the name in NFC."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def assign_splits(clips: Iterable[Clip], shares: Shares, known: dict[str, str]) -> tuple[list[Clip], dict[str, str]]:
    """Give every clip its split.

    Args:
        clips: with the split that the layout or the manifest names, or none.
        shares: what part of the groups each split gets.
        known: group -> split as in splits.csv. Nobody in it is moved.

    Returns:
        the clips, and `known` with the groups that are new.

    Raises:
        InputError: what belongs together is in two splits, by the user's own word or by splits.csv.
    """
    clips = list(clips)
    assigned = dict(known)
    strata: dict[str, list[list[str]]] = defaultdict(list)
    for bundle in _bundles([clip for clip in clips if not clip.skipped]):
        groups = sorted({group_of(clip) for clip in bundle if not clip.split})
        if not groups:
            continue
        decided = {clip.split for clip in bundle if clip.split} | {known[group] for group in groups if group in known}
        if len(decided) > 1:
            raise InputError(
                f"{' and '.join(groups)} belong into one split, since they share a subject, a file or a take with what "
                f"is in {' and '.join(sorted(decided))} by the layout, the manifest or splits.csv. Put all into one."
            )
        if decided:
            assigned.update(dict.fromkeys(groups, decided.pop()))
        strata[_stratum(bundle)].append(groups)
    for stratum in strata.values():
        _deal(stratum, shares, assigned)
    result = [clip if clip.skipped or clip.split else replace(clip, split=assigned[group_of(clip)]) for clip in clips]
    _check_files(result)
    return result, assigned


def group_of(clip: Clip) -> str:
    """A subject, else a take: by its name, and its label where the name does not begin with it."""
    if clip.subject or not clip.label or clip.take.startswith(f"{clip.label}/"):
        return clip.subject or clip.take
    return f"{clip.label}/{clip.take}"


def _bundles(clips: list[Clip]) -> list[list[Clip]]:
    """Clips that a split must not tear apart: of one group (so of one take) or one file, however they are linked."""
    parent: dict[tuple[str, ...], tuple[str, ...]] = {}

    def find(node: tuple[str, ...]) -> tuple[str, ...]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for clip in clips:
        parent[find(("file", clip.path))] = find(("group", group_of(clip)))
    bundles: dict[tuple[str, ...], list[Clip]] = defaultdict(list)
    for clip in clips:
        bundles[find(("group", group_of(clip)))].append(clip)
    return list(bundles.values())


def _stratum(bundle: list[Clip]) -> str:
    """Takes without subjects are dealt out within each label, so that each split has all labels."""
    first = min(bundle, key=lambda clip: (clip.subject, clip.label, clip.take))
    return "" if first.subject else f"label {first.label}"


def _deal(bundles: list[list[str]], shares: Shares, assigned: dict[str, str]) -> None:
    """Extend `assigned` by the bundles that are not in it yet, in the order of their hashes."""
    bundles = sorted(bundles, key=lambda groups: (group_hash(groups[0]), groups[0]))
    if len(bundles) > BY_HASH_ABOVE:
        bounds = (shares.shares[0], shares.shares[0] + shares.shares[1])
        for groups in bundles:
            place = group_hash(groups[0]) / 2**64
            split = SPLITS[sum(place >= bound for bound in bounds)]
            for group in groups:
                assigned.setdefault(group, split)
        return
    wanted = split_sizes(len(bundles), shares)
    for groups in bundles:
        if groups[0] in assigned:
            wanted[assigned[groups[0]]] -= 1
    for groups in bundles:
        if groups[0] not in assigned:
            # The first with room left; when editing or growth has filled all, the one with the most.
            split = next((s for s in SPLITS if wanted[s] > 0), max(SPLITS, key=lambda s: wanted[s]))
            wanted[split] -= 1
            assigned.update(dict.fromkeys(groups, split))


def split_sizes(groups: int, shares: Shares) -> dict[str, int]:
    """How many groups each split gets: rounded shares, but one at least (of a share above zero) from three groups on.

    >>> split_sizes(10, Shares()), split_sizes(2, Shares())
    ({'train': 8, 'validation': 1, 'test': 1}, {'train': 2, 'validation': 0, 'test': 0})
    """
    train, validation, test = shares.shares
    least = 1 if groups >= 3 else 0
    sizes = {
        "validation": max(round(groups * validation), least if validation else 0),
        "test": max(round(groups * test), least if test else 0),
    }
    if not train:
        sizes["validation"] = min(sizes["validation"], groups - (least if test else 0))
    if train and groups:
        while groups - sum(sizes.values()) < 1:
            sizes[max(sizes, key=lambda split: sizes[split])] -= 1
    elif not train:
        sizes["test"] = groups - sizes["validation"]
    return {"train": groups - sum(sizes.values()), **sizes}


def _check_files(clips: list[Clip]) -> None:
    splits: dict[str, Clip] = {}
    for clip in clips:
        if clip.skipped:
            continue
        other = splits.setdefault(clip.path, clip)
        if other.split != clip.split:
            raise InputError(
                f"{clip.name}: its parts are in {other.split} and {clip.split}, so one would leak into the other. "
                "Give all parts of a file one split."
            )


def subjects_in_two_splits(clips: Iterable[Clip]) -> list[str]:
    """Subjects that stand in more than one split, which the user's own words can bring about."""
    splits: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.subject and not clip.skipped:
            splits[clip.subject].add(clip.split)
    return sorted(subject for subject, found in splits.items() if len(found) > 1)


def empty_split_advice(clips: Iterable[Clip]) -> str:
    """A sentence for the user where a split has no take, else an empty text."""
    active = [clip for clip in clips if not clip.skipped]
    empty = [split for split in SPLITS if not any(clip.split == split for clip in active)]
    if not empty:
        return ""
    said = f"{' and '.join(empty)} will be empty: "
    if max(Counter(map(_stratum, _bundles(active))).values(), default=0) < len(SPLITS):
        return said + (
            "three groups (subjects, or takes of one label) are needed to fill all splits. Add takes, name a split by "
            "{split} in --layout or a column of the manifest, or edit splits.csv."
        )
    return said + "--split, the layout, the manifest or splits.csv puts every group elsewhere."


def read_splits(data: bytes) -> dict[str, str]:
    """splits.csv as group -> split.

    Raises:
        InputError: it is no such table, or has a group in two splits; names the line.
    """
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))
    known: dict[str, str] = {}
    lines: dict[str, int] = {}
    for cells in reader:
        if not cells or cells == ["group", "split"]:
            continue
        where = f"splits.csv, line {reader.line_num}"
        if len(cells) != 2 or not cells[1].strip():
            raise InputError(f"{where}: two cells are wanted, group and split, not {cells!r}.")
        group = unicodedata.normalize("NFC", cells[0])
        try:
            split = split_name(cells[1].strip())
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if known.setdefault(group, split) != split:
            raise InputError(f"{where}: {group!r} is in {split}, and in {known[group]} in line {lines[group]}.")
        lines.setdefault(group, reader.line_num)
    return known


def format_splits(assigned: dict[str, str]) -> bytes:
    """splits.csv, sorted by group."""
    text = io.StringIO(newline="")
    # The module quotes a line feed, but not a lone carriage return.
    alone = any("\r" in group for group in assigned)
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if alone else csv.QUOTE_MINIMAL)
    writer.writerow(["group", "split"])
    writer.writerows(sorted(assigned.items()))
    return text.getvalue().encode()
