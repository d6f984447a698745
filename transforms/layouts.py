"""Layouts: what a file's path says about label, subject, take, view and split."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from handstream.records.errors import InputError, did_you_mean

SEPARATORS = tuple("/_-. ")
FIELDS = ("split", "subject", "label", "take", "view")
_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def split_name(text: str) -> str:
    """train, validation or test, also by their usual short names; empty stays empty.

    Raises:
        InputError: for any other word.
    """
    if not text:
        return ""
    try:
        return _SPLITS[text.lower()]
    except KeyError:
        raise InputError(f"split {text!r} is none of train, validation, test (or val, valid, dev).") from None


def clean(text: str) -> str:
    """Unicode's composed form (NFC); bytes of a file name that are no UTF-8 as backslash escapes."""
    raw = text.encode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", raw.decode("utf-8", "backslashreplace"))


def stem(name: str) -> str:
    """A path without its ending, never empty.

    >>> stem("wave/a.b.mp4"), stem(".mp4")
    ('wave/a.b', '.mp4')
    """
    return os.path.splitext(name)[0]


@dataclass(frozen=True)
class Folders:
    """LABEL/clip.mp4: the first folder is the label; a file outside any folder has none."""

    def read(self, name: str) -> dict[str, str]:
        label, _, rest = name.partition("/")
        return {"label": label if rest else "", "take": stem(name)}


@dataclass(frozen=True)
class Pattern:
    """A path with fields in braces, such as '{split}/{subject}/{view}/{label}_{take}.mp4'.

    A field stands for one or more characters other than '/'; {field:REGEX} for what the regular expression matches;
    '*' for anything but '/', '**' for anything. Where no {take} is named, it is the path without view and ending.

    >>> Pattern("{view}_{take}.mp4").read("cam0_test.mp4")
    {'take': 'test', 'view': 'cam0'}
    """

    text: str

    def __post_init__(self) -> None:
        self._expressions  # noqa: B018 - errors at once, not at the first file

    @cached_property
    def _expressions(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """As long as can be from the left, and as short: where the two differ, the pattern is ambiguous."""
        greedy, lazy, seen = "", "", set()
        for token in re.findall(r"\{(?:[^{}]|\{[^{}]*\})*\}|\*\*|\*|[^{*]+|.", self.text, re.S):
            if token in ("*", "**"):
                part = "[^/]*" if token == "*" else ".*"
                greedy, lazy = greedy + part, lazy + part + "?"
            elif token.startswith("{") and token.endswith("}"):
                name, colon, expression = token[1:-1].partition(":")
                if name not in FIELDS:
                    raise InputError(
                        f"--layout {self.text!r}: there is no field {token}. {did_you_mean(name, FIELDS)} "
                        "Use * for a part that says nothing."
                    )
                if name in seen:
                    raise InputError(f"--layout {self.text!r}: {{{name}}} stands in it twice.")
                seen.add(name)
                greedy += f"(?P<{name}>{expression if colon else '[^/]+'})"
                lazy += f"(?P<{name}>{expression if colon else '[^/]+?'})"
            else:
                greedy, lazy = greedy + re.escape(token), lazy + re.escape(token)
        if not seen:
            raise InputError(
                f"--layout {self.text!r} names no field. Fields: "
                + ", ".join(f"{{{name}}}" for name in FIELDS)
                + "; or 'folders' for LABEL/clip.mp4."
            )
        try:
            return re.compile(greedy, re.S), re.compile(lazy, re.S)
        except re.error as error:
            raise InputError(f"--layout {self.text!r}: {error}.") from error

    def read(self, name: str) -> dict[str, str] | None:
        """The fields of a path, None where the pattern does not fit it.

        Raises:
            InputError: the pattern can be read in two ways for this path.
        """
        greedy, lazy = (expression.fullmatch(name) for expression in self._expressions)
        if greedy is None or lazy is None:
            return None
        found = {k: v for k, v in greedy.groupdict().items() if v is not None}
        for field, value in found.items():
            if lazy.group(field) != value:
                raise InputError(
                    f"--layout {self.text!r} is ambiguous for {name!r}: {field} is {lazy.group(field)!r} or {value!r}. "
                    "Say what a field looks like by a regular expression, such as {take:[0-9]+} or {subject:[^_]+}."
                )
        if not found.get("take"):
            view = greedy.span("view") if "view" in found else (0, 0)
            found["take"] = path_without_view(name, *view) if any(view) else stem(name)
        return {field: found[field] for field in FIELDS if field in found}


def path_without_view(name: str, start: int, end: int) -> str:
    """A take's name where nothing names it: the path without its ending and the view's word at start..end.

    >>> path_without_view("cam0/wave_1.mp4", 0, 4), path_without_view("wave_cam0.mp4", 5, 9)
    ('wave_1', 'wave')
    """
    before, after = name[:start], stem(name)[end:]
    # The separator that held the word goes with it: a/VIEW/b, a_VIEW, VIEW_b.
    if after[:1] in SEPARATORS and (not before or before[-1] in SEPARATORS):
        after = after[1:]
    elif not after and before[-1:] in SEPARATORS:
        before = before[:-1]
    return before + after or "take"


def parse_layout(text: str) -> Folders | Pattern:
    """The layout that --layout names."""
    if text == "folders":
        return Folders()
    if "{" not in text:
        raise InputError(f"--layout {text!r} is neither 'folders' nor a pattern such as '{{view}}_{{take}}.mp4'.")
    return Pattern(text)
