"""How far a run is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

TERMINAL_SECONDS, PLAIN_SECONDS = 0.25, 15.0


def duration(seconds: float) -> str:
    """
    >>> duration(3725), duration(65), duration(3)
    ('1:02:05', '1:05', '0:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """Shows how far it is in a thread of its own while the block runs."""

    unit = "frames"

    def __init__(self, file: TextIO, quiet: bool, count: Callable[[], Counter[str]]) -> None:
        """
        Args:
            count: frames_seen, of frames_expected; or what else the unit is.
        """
        self._count = count
        self._file = file
        self._console = Console(file=file)
        self._terminal = self._console.is_terminal
        self._ended = threading.Event()
        self._thread = None if quiet else threading.Thread(target=self._run, name="progress", daemon=True)
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Progress:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        # Where nobody reads it any more, it ends, and the run does not.
        with contextlib.suppress(OSError):
            self._show()

    def _show(self) -> None:
        if self._terminal:
            with Live(console=self._console, refresh_per_second=4, transient=True) as live:
                while not self._ended.wait(TERMINAL_SECONDS):
                    live.update(self._bar(self._count()))
        else:
            while not self._ended.wait(PLAIN_SECONDS):
                print(self.line(self._count()), file=self._file, flush=True)

    def _bar(self, counts: Counter[str]) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=16)
        grid.add_column(no_wrap=True)
        seen, expected = self._done(counts)
        grid.add_row(ProgressBar(total=max(expected, seen, 1), completed=seen, width=16), self.line(counts))
        return grid

    def line(self, counts: Counter[str]) -> str:
        """One line about how far it is."""
        seen, expected = self._done(counts)
        now = time.monotonic()
        if self._first is None:
            self._first = (now, seen)
        since, done = now - self._first[0], seen - self._first[1]
        speed = done / since if since > 1 else 0.0
        ahead = f", {speed:.3g}/s, {duration(max(expected - seen, 0) / speed)} left" if speed else ""
        return f"{seen} of {expected} {self.unit}{ahead}"

    def _done(self, counts: Counter[str]) -> tuple[int, int]:
        return counts[f"{self.unit}_seen"], counts[f"{self.unit}_expected"]


class ExtractionProgress(Progress):
    """How far an extraction is."""

    def __init__(self, file: TextIO, quiet: bool, count: Callable[[], Counter[str]], sources: int) -> None:
        """
        Args:
            count: the tally of this process, or one of receipts where the work is done in others.
            sources: how many files there are.
        """
        super().__init__(file, quiet, count)
        self._sources = sources

    def line(self, counts: Counter[str]) -> str:
        """One line about how far it is."""
        failures = counts["failed_sources"] + counts["failed_segments"]
        failed = f", {failures} failures" if failures else ""
        if "receipts" in counts:
            return f"{counts['receipts']} segments of {self._sources} files detected"
        if not counts["frames_seen"]:
            if counts["detected"] < counts["segments"] or counts["sources"] < self._sources:
                return f"looked at {counts['sources']} of {self._sources} files{failed}"
            return f"writing windows: {counts['takes']} takes{failed}"
        if counts["detected"] >= counts["segments"]:
            return f"{counts['frames_seen']} frames, writing windows: {counts['takes']} takes{failed}"
        return f"{counts['detected']} of {counts['segments']} segments, {super().line(counts)}{failed}"
