"""synth: rendered hands with known 3D.

`build` is the way of the data; `run` parses, checks and says what happened.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import TextIO

import apache_beam as beam
from apache_beam.pvalue import PCollection
from handstream.pipelines.messages import say
from handstream.pipelines.options import separate
from handstream.pipelines.output import remove_temporaries
from handstream.pipelines.progress import Progress, duration
from handstream.pipelines.runner import carry_out, choose_runner
from handstream.records.errors import InputError
from handstream.records.usage import Parser
from handstream.synthetic import ci3d, folders
from handstream.synthetic.gestures import DEFAULT, gestures_named
from handstream.synthetic.layouts import LAYOUTS, Layout
from handstream.synthetic.rendering import RenderTakes
from handstream.synthetic.sheet import ROWS, contact_sheet
from handstream.synthetic.studio import DEFAULT_PALM
from handstream.synthetic.takes import LIGHTS, Options, make_take, plan_takes
from handstream.transforms import storage

LARGEST = 4096
MOST_VIEWS = 16
LONGEST_SECONDS = 600
"""Of a clip: all that is true of it is kept in memory while it is made, 0.1 MB a second and view."""
AGAIN = "What is there is not whole: remove it, and begin again."
EXAMPLES = """\
examples:
  handstream synth CLIPS                                  13 gestures, 4 subjects, 2 cameras
  handstream synth CLIPS --gestures wave,clap --takes 5
  handstream synth CLIPS --continuous 60                  long clips, parts named by CLIPS/manifest.csv
  handstream synth CLIPS --layout ci3d                    two people far away, four cameras, CI3D's folders
  handstream extract --manifest CLIPS/manifest.csv OUT    what comes next
"""


class RenderProgress(Progress):
    """How far rendering is."""

    unit = "takes"


def build(p: beam.Pipeline, out: str, layout: Layout) -> PCollection[str]:
    """Wire the pipeline; the paths of the truth about each take."""
    return p | beam.Create(plan_takes(layout.options)) | RenderTakes(out, layout)


def run(argv: list[str]) -> int:
    """`handstream synth`: 0 done, 1 it failed.

    Raises:
        InputError: wrong usage, found before work starts.
    """
    args, beam_flags = parse(argv)
    if not args.out:
        raise InputError("OUT is an empty word: is a variable of your shell not set?")
    layout = Layout(args.layout, options_of(args))
    runner = choose_runner(beam_flags, "multi_processing")
    out = storage.absolute(args.out).rstrip("/") or "/"
    _check_empty(out)
    takes = [make_take(layout.options, plan) for plan in plan_takes(layout.options)]
    clips = sum(len(layout.views(take)) for take in takes)
    frames = sum(len(take.views[v].times(take.performance.seconds)) for take in takes for v in layout.views(take))
    say(f"{clips} clips of {len(takes)} takes to {out} on {runner}.", args)
    begun = time.monotonic()

    def count() -> Counter[str]:
        # Other processes do the work: what they have done is seen by its files.
        done = len(storage.list_files(storage.join(storage.literal(out), "truth", "*")))
        return Counter(takes_seen=done, takes_expected=len(takes))

    def show(terminal: TextIO) -> Progress:
        return RenderProgress(terminal, args.quiet, count)

    if carry_out(lambda p: build(p, out, layout), out, runner, show, AGAIN) is None:
        return 1
    if args.picture:
        videos = [layout.video_path(take.plan, take.views[v].camera.name) for take in takes for v in layout.views(take)]
        sheet = contact_sheet([storage.read_bytes(storage.join(out, video)) for video in videos[:ROWS]])
        Path(args.picture).write_bytes(sheet)
    for path, data in layout.files_of_all().items():
        storage.write_bytes(out, storage.join(out, path), data)
    remove_temporaries(out)
    seconds = time.monotonic() - begun
    say(
        f"{frames} frames in {duration(seconds)}, {frames / seconds:.0f} a second; what is true in them: {out}/truth",
        args,
    )
    say(f"next: handstream extract {_next_words(args.layout, out)} OUT", args)
    return 0


def _next_words(layout: str, out: str) -> str:
    if layout == "ci3d":
        return f"{shlex.quote(out + '/chi3d/train')} --layout {shlex.quote(ci3d.PATTERN)}"
    return f"--manifest {shlex.quote(storage.join(out, folders.MANIFEST))}"


def parser() -> Parser:
    p = Parser(
        prog="handstream synth",
        usage="handstream synth OUT [flags]",
        description="Render clips of hands whose 3D joints are known: gestures of one and two hands and of two people.",
        epilog=EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=120),
        allow_abbrev=False,
    )
    p.add_argument("out", metavar="OUT", help="a new or empty folder")
    p.add_argument("--gestures", metavar="A,B", help=f"default: {', '.join(DEFAULT)}")
    p.add_argument("--takes", type=int, default=1, metavar="N", help="of each gesture and subject (1)")
    p.add_argument("--subjects", type=int, default=4, metavar="N", help="people (4)")
    p.add_argument("--views", type=int, metavar="N", help="cameras (2; ci3d: 4)")
    p.add_argument("--size", metavar="WxH", help="of the pictures (640x480; ci3d: 900x900)")
    p.add_argument("--fps", metavar="HZ[,HZ]", help="frames a second, of all views or of each (30; ci3d: 50)")
    p.add_argument("--offsets", default="0", metavar="S[,S]", help="seconds that each view begins after the take (0)")
    p.add_argument("--seconds", type=float, default=2.0, metavar="S", help="length of a clip (2)")
    p.add_argument("--continuous", type=float, metavar="S", help="clips of this length with many gestures in each")
    p.add_argument("--palm", type=float, metavar="PIXELS", help=f"how wide a palm is ({DEFAULT_PALM:g}; ci3d: 25)")
    p.add_argument("--light", choices=list(LIGHTS), default="normal", help="normal (default) or low")
    p.add_argument("--distortion", type=float, default=0.0, metavar="K1", help="of the lenses, such as -0.2 (0)")
    p.add_argument("--hard", action="store_true", help="also clenched, hidden and edge-on hands, seen from all sides")
    p.add_argument("--layout", choices=LAYOUTS, default="folders", help="folders (default), or as CI3D lies on disk")
    p.add_argument("--picture", metavar="PNG", help="also a picture of the first clips, some frames of each")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="another one gives other people and takes (0)")
    p.add_argument("--quiet", action="store_true", help="only errors")
    return p


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """(our arguments, Beam's flags).

    Raises:
        InputError: wrong usage.
    """
    flags = parser()
    own, beam_flags = separate(argv, flags)
    return flags.parse_args(own), beam_flags


def options_of(args: argparse.Namespace) -> Options:
    """What the arguments ask for.

    Raises:
        InputError: a value that cannot be rendered.
    """
    like_ci3d = args.layout == "ci3d"
    if like_ci3d and args.continuous:
        raise InputError("--continuous and --layout ci3d are given: CI3D's clips hold one action each.")
    views = args.views if args.views is not None else (4 if like_ci3d else 2)
    for name, value, most in (
        ("takes", args.takes, 10**4),
        ("subjects", args.subjects, 10**4),
        ("views", views, MOST_VIEWS),
    ):
        if not 1 <= value <= most:
            raise InputError(f"--{name} {value}: 1 to {most} are wanted.")
    if like_ci3d and (args.offsets != "0" or "," in (args.fps or "")):
        raise InputError("--layout ci3d: its cameras run together, so that --offsets and several --fps have no place.")
    if like_ci3d and views > len(ci3d.CAMERAS):
        raise InputError(f"--views {views}: CI3D has {len(ci3d.CAMERAS)} cameras.")
    size = _size(args.size or ("900x900" if like_ci3d else "640x480"))
    palm = args.palm if args.palm is not None else (25.0 if like_ci3d else DEFAULT_PALM)
    if not 5 <= palm <= size[0] / 3:
        raise InputError(f"--palm {palm:g}: 5 to {size[0] / 3:.0f} pixels are wanted, a third of the picture's width.")
    for name in ("seconds", "continuous"):
        value = getattr(args, name)
        if value is not None and not 0.5 <= value <= LONGEST_SECONDS:
            raise InputError(f"--{name} {value:g}: 0.5 to {LONGEST_SECONDS} seconds are wanted.")
    if args.seed < 0:
        raise InputError(f"--seed {args.seed}: 0 or more is wanted.")
    if not -0.5 <= args.distortion <= 0.5:
        raise InputError(f"--distortion {args.distortion:g}: -0.5 to 0.5 is wanted.")
    if args.picture and not Path(args.picture).absolute().parent.is_dir():
        raise InputError(f"--picture {args.picture}: there is no such folder.")
    length = args.continuous or args.seconds
    gestures = args.gestures.split(",") if args.gestures is not None else DEFAULT
    options = Options(
        gestures=tuple(gesture.name for gesture in gestures_named(gestures)),
        subjects=args.subjects,
        first_subject=ci3d.FIRST_SUBJECT if like_ci3d else 1,
        takes=args.takes,
        cameras=ci3d.CAMERAS[:views] if like_ci3d else tuple(f"cam{i}" for i in range(views)),
        size=size,
        frames_per_second=_numbers("fps", args.fps or ("50" if like_ci3d else "30"), views, 1, 240),
        offsets=_numbers("offsets", args.offsets, views, 0, length - 0.2),
        seconds=args.seconds,
        palm=palm,
        light=args.light,
        distortion=args.distortion,
        hard=args.hard,
        continuous=args.continuous,
        always_two=like_ci3d,
        seed=args.seed,
    )
    if args.continuous:
        for plan in plan_takes(options):
            if not make_take(options, plan).performance.acts:
                raise InputError(f"--continuous {args.continuous:g}: no gesture has room in that.")
    return options


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError(f"--size {text!r}: width and height are wanted, such as 640x480.") from None
    if not (64 <= width <= LARGEST and 64 <= height <= LARGEST) or width % 2 or height % 2:
        raise InputError(f"--size {text}: even numbers from 64 to {LARGEST} are wanted (H.264 takes no odd ones).")
    return width, height


def _numbers(name: str, text: str, views: int, least: float, most: float) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--{name} {text!r}: a number, or one a view with commas between, is wanted.") from None
    if len(values) not in (1, views):
        raise InputError(f"--{name} {text}: {len(values)} numbers for {views} views; one, or one a view, is wanted.")
    if not all(least <= value <= most for value in values):
        raise InputError(f"--{name} {text}: {least:g} to {most:g} is wanted.")
    return values


def _check_empty(out: str) -> None:
    if storage.is_local(out) and os.path.exists(out) and not os.path.isdir(out):
        raise InputError(f"{out} is a file; a folder is wanted.")
    if not storage.is_local(out) or os.path.isdir(out):
        for path in storage.list_folder(out):
            raise InputError(f"{out} is not empty ({path[len(out) :].lstrip('/')}). Choose a new folder, or remove it.")
