"""How far a run in this process is, for its progress line: Beam's own counters come only at the end of a local run."""

from __future__ import annotations

import threading
from collections import Counter


class Tally:
    """Counts that several threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)

    def read(self) -> Counter[str]:
        with self._lock:
            return Counter(self._counts)

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()


TALLY = Tally()
"""sources, failed_sources: looked at; segments, frames_expected: to be detected; detected, failed_segments,
frames_seen: done of these; takes: written."""
