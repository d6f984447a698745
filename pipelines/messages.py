"""What the command says on standard error. Where nobody listens any more (a closed pipe), work goes on."""

from __future__ import annotations

import argparse
import contextlib
import sys


def say(text: str, args: argparse.Namespace) -> None:
    """A line that --quiet leaves out."""
    if not args.quiet:
        _print(text)


def complain(text: str) -> None:
    """What is wrong."""
    _print(f"handstream: {text}")


def _print(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
