"""The `handstream` command. A subcommand's imports are its own, so that `inspect` starts at once."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import NoReturn

from handstream.pipelines.messages import complain
from handstream.records.errors import DatasetError, InputError, nearest

COMMANDS = {
    "extract": ("handstream.pipelines.extract", "videos and images in, a data set of hand-landmark windows out"),
    "synth": ("handstream.pipelines.synth", "render clips of hands with known 3D, to try things with"),
    "inspect": ("handstream.pipelines.inspect", "what is in a data set"),
    "train": ("handstream.model.training", "a gesture model from one or several data sets"),
    "evaluate": ("handstream.model.evaluation", "how good a model is, beside what it has to beat"),
    "fetch-model": ("handstream.pipelines.landmarker_file", "bring MediaPipe's hand_landmarker.task into your cache"),
}


def usage() -> str:
    lines = [f"handstream {version('handstream')}: gestures from videos, on Apache Beam", ""]
    lines += [f"  handstream {name:<13}{about}" for name, (_, about) in COMMANDS.items()]
    lines += ["", "Each has --help. To begin:  handstream fetch-model && handstream extract VIDEOS/ OUT"]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; its exit status."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(version("handstream"))
        return 0
    if name not in COMMANDS:
        close = nearest(name, COMMANDS)
        hint = f"Did you mean {close}?" if close else ""
        complain(f"there is no command {name!r}. {hint}\n{usage()}")
        return 2
    # Beam warns on import of extras that nobody asked for.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        status: int = import_module(COMMANDS[name][0]).run(rest)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("\nhandstream: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of standard output (head, less) has seen enough. Work says what it does on standard error.
        return 0
    except (DatasetError, InputError) as error:
        complain(str(error))
        return 2
    except OSError as error:
        complain(str(error))
        return 1


def command() -> NoReturn:
    """What the shell calls: `main`, and an end without the interpreter's.

    Threads of Beam and gRPC that are still about when the interpreter is taken down abort the process now and then,
    after all has been written and said.
    """
    open_closed_streams()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


def open_closed_streams() -> None:
    """Open nothing in place of a standard stream that the shell has closed (>&-), before a file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # The lowest number that is free, which is this one.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w" if number else "r"))


if __name__ == "__main__":
    command()
