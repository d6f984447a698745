"""OUT: the folder of a data set, checked, and locked where it is local."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from handstream.records.errors import InputError
from handstream.transforms import storage
from handstream.transforms.layouts import clean

LOCK = ".lock"
MARKER = ("plan", "writable")
"""Written first into every folder of ours, to see that it can be, and to know it again."""


@contextlib.contextmanager
def opened(path: str) -> Iterator[Output]:
    """OUT, checked and (where it is local) locked; what a killed run left half-written is removed.

    Raises:
        InputError: it is a file, holds something else, cannot be written, or another run writes to it.
    """
    out = storage.absolute(path).rstrip("/") or "/"
    with contextlib.ExitStack() as stack:
        try:
            if storage.is_local(out):
                stack.enter_context(_locked(out))
            else:
                check_contents(out)
            storage.write_bytes(out, storage.join(out, *MARKER), b"")
        except OSError as error:
            raise InputError(f"{path}: cannot be written to ({storage.reason(error)}).") from error
        yield Output(out)


@dataclass(frozen=True)
class Output:
    """The folder of a data set, ours for the time of a run."""

    path: str

    def file(self, *parts: str) -> str:
        return storage.join(self.path, *parts)

    def read(self, name: str) -> bytes | None:
        path = self.file(name)
        return storage.read_bytes(path) if storage.exists(path) else None

    def write(self, name: str, data: bytes) -> None:
        storage.write_bytes(self.path, self.file(name), data)


@contextlib.contextmanager
def _locked(out: str) -> Iterator[None]:
    check_contents(out)
    os.makedirs(out, exist_ok=True)
    # The kernel gives the lock back however the process ends.
    with open(os.path.join(out, LOCK), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{out} is being written by another run. Wait for it, or choose another OUT.") from None
        remove_temporaries(out)
        try:
            yield
        finally:
            remove_temporaries(out)


def check_contents(out: str) -> None:
    """Raise InputError where OUT is a file, holds something that is not ours, or has a name that Beam cannot send."""
    try:
        out.encode()
    except UnicodeEncodeError:
        raise InputError(f"{clean(out)}: its name is not UTF-8. Choose another name for OUT.") from None
    if storage.is_local(out) and not os.path.isdir(out):
        if os.path.exists(out):
            raise InputError(f"{out} is a file; a folder is wanted for the data set.")
        return
    # Somebody may have removed plan/; one of the two others alone could be anybody's.
    if storage.exists(storage.join(out, *MARKER)) or all(
        storage.exists(storage.join(out, name)) for name in ("labels.json", "splits.csv")
    ):
        return
    ours = (LOCK, f"{storage.TEMPORARY}/", "plan/")
    for path in storage.list_folder(out):
        name = path[len(out) :].lstrip("/")
        if not name.startswith(ours):
            raise InputError(f"{out} holds something else ({name}). Choose an empty or a new folder for OUT.")


def remove_temporaries(out: str) -> None:
    """What a killed run left half-written. Only under the lock: they could be another run's."""
    shutil.rmtree(os.path.join(out, storage.TEMPORARY), ignore_errors=True)
