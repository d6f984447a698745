"""Where a pipeline runs, and how a run ends: done, failed or interrupted."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import logging
import os
import re
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn, TextIO

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, create_runner
from handstream.pipelines.messages import complain
from handstream.pipelines.progress import Progress
from handstream.records.errors import InputError
from handstream.records.usage import own_stderr
from handstream.transforms import storage
from handstream.transforms.tally import TALLY

LOCAL_RUNNERS = ("direct", "fnapi")
WAYS_OUT = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EACCES: "Give yourself the right to write there",
    errno.EROFS: "Have it mounted for writing",
    errno.EISDIR: "Remove that folder",
    errno.ENOTDIR: "Remove the file that stands in a folder's place",
}
"""What OUT may refuse, and what a user can do about it."""
M_ARENA_MAX, ARENAS = -8, 2
"""The first is malloc.h's; see `limit_arenas`."""


@dataclass(frozen=True)
class Runner:
    """Where a pipeline runs."""

    runner: PipelineRunner
    options: PipelineOptions
    local: bool

    def __str__(self) -> str:
        name = type(self.runner).__name__
        direct = self.options.view_as(DirectOptions)
        how = f", {direct.direct_num_workers} workers, {direct.direct_running_mode}"
        return name + how if self.local else name

    @property
    def threads(self) -> bool:
        """Whether all work is done in this process."""
        return self.local and self.options.view_as(DirectOptions).direct_running_mode != "multi_processing"


def choose_runner(flags: list[str], mode: str = "multi_threading") -> Runner:
    """The runner that Beam's flags name. Locally the FnApiRunner: DirectRunner would try to download another one.

    Args:
        mode: how the local one runs where the flags do not say: by threads where the work is done without Python's
            lock, else multi_processing.

    Raises:
        InputError: a flag has a value that Beam does not know.
    """
    said, name = io.StringIO(), ""
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(flags)
            name = options.view_as(StandardOptions).runner or "DirectRunner"
            options.get_all_options()
        if name.lower().removesuffix("runner") not in LOCAL_RUNNERS:
            return Runner(create_runner(name), options, local=False)
    except SystemExit:
        raise InputError(said.getvalue().strip().splitlines()[-1].partition("error: ")[2]) from None
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(f"--runner {name}: {storage.reason(error)}") from error
    direct = options.view_as(DirectOptions)
    given = {flag.partition("=")[0] for flag in flags}
    if "--direct_num_workers" not in given or direct.direct_num_workers < 1:
        direct.direct_num_workers = len(os.sched_getaffinity(0))
    if "--direct_running_mode" not in given:
        direct.direct_running_mode = mode
    return Runner(FnApiRunner(), options, local=True)


def carry_out(
    build: Callable[[beam.Pipeline], object],
    out: str,
    runner: Runner,
    show: Callable[[TextIO], Progress],
    again: str,
) -> PipelineResult | None:
    """Run a pipeline to its end; None where it failed, which has been said then.

    Args:
        build: wires it.
        out: where it writes to.
        show: how far it is, on a terminal.
        again: what to do where it was broken off; a sentence.
    """
    limit_arenas()
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    TALLY.clear()
    failure: Exception | None = None
    with own_stderr() as terminal, _interruptible(terminal, runner, again), show(terminal):
        try:
            pipeline = beam.Pipeline(runner=runner.runner, options=runner.options)
            build(pipeline)
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:
            failure = error
    if failure is None:
        return result
    _say_why(failure, out, again)
    return None


def limit_arenas() -> None:
    """Have glibc keep two heaps, not eight a core: frames freed by one thread are there for the next.

    Decoded pictures come and go in a dozen threads, and each heap keeps what it once held. Elsewhere it does nothing.
    """
    os.environ["MALLOC_ARENA_MAX"] = str(ARENAS)  # for worker processes
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


@contextlib.contextmanager
def _interruptible(terminal: TextIO, runner: Runner, again: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once: what is written is whole, and what is not has no final name."""
    gone_on = f"no longer watching. What {runner} has begun goes on there until you cancel it there."
    line = f"interrupted. {again}" if runner.local else gone_on
    show_cursor = "\x1b[?25h" if terminal.isatty() else ""

    def stop(number: int, _: object) -> NoReturn:
        with contextlib.suppress(OSError):
            os.write(terminal.fileno(), f"{show_cursor}\nhandstream: {line}\n".encode())
        os._exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_why(error: Exception, out: str, again: str) -> None:
    text = str(error)
    if "Traceback" not in text:
        text = "".join(traceback.format_exception(error))
    for number, way_out in WAYS_OUT.items():
        reason = os.strerror(number)
        said = [line for line in text.splitlines() if reason in line]
        if said:
            places = re.findall(rf"{re.escape(out)}/[^'\"]*", said[-1]) or [out]
            complain(f"{places[-1]}: {reason}. {way_out}. {again}")
            return
    complain(f"the run failed. {again}\n{text.rstrip()}")
