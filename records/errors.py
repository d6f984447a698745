"""What a user can mend, and how it is said."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DatasetError(Exception):
    """A data set that cannot be read, with what to do about it."""


class InputError(Exception):
    """Wrong usage or input, found before work starts: what is wrong and the way out, for a person."""


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like this one, or an empty text."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, cutoff)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence to end an error with: the nearest known word, else all of them."""
    known = list(known)
    close = nearest(word, known)
    return f"Did you mean {close}?" if close else f"Known: {', '.join(known)}."


def printable(name: str) -> str:
    """A name on one line: newlines and other control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
