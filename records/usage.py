"""Command lines: how they are parsed, and standard error for us alone."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn, TextIO

from handstream.records.errors import InputError


class Parser(argparse.ArgumentParser):
    """Wrong usage is an InputError, which the command prints."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def speaker(terminal: TextIO, quiet: bool) -> Callable[[str], None]:
    """What says a line on a terminal; a reader that has gone is no reason to stop."""

    def say(text: str) -> None:
        if not quiet:
            with contextlib.suppress(OSError):
                print(text, file=terminal, flush=True)

    return say


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
