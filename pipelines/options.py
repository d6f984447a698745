"""What `handstream extract` can be told, and what follows from it."""

from __future__ import annotations

import argparse
import math
from collections import Counter

from apache_beam.options.pipeline_options import PipelineOptions
from handstream.records.errors import InputError, nearest
from handstream.records.usage import Parser
from handstream.transforms.clips import VIDEO
from handstream.transforms.landmarks import DetectionOptions
from handstream.transforms.layouts import parse_layout
from handstream.transforms.manifest import read_manifest
from handstream.transforms.match import Matched, check_clips, match_inputs
from handstream.transforms.splits import Shares

FASTEST_HZ = 1000.0
"""Of a clock: faster than any camera's."""
SHORTEST_SECONDS = 0.001
"""Of a window and its hop: less than a frame of any camera."""
EXAMPLES = """\
examples:
  handstream extract videos/ OUT                        label = first folder below videos/
  handstream extract videos/ OUT --layout '{subject}/{label}_{take}.mp4'
  handstream extract takes/ OUT --layout '{view}_{take}.mp4'    several cameras
  handstream extract --manifest clips.csv OUT           path,label,subject,take,view,split,start,end,...
  handstream extract talk.mp4 OUT --window 2 --hop 0.5  windows slid over a long video

The same command again carries on where it was interrupted. Flags that are not listed go to Apache Beam, such as
--direct_num_workers 4 (default: a worker a core) or --direct_running_mode multi_processing.
"""


def parser() -> Parser:
    p = Parser(
        prog="handstream extract",
        usage="handstream extract INPUT... OUT [flags]",
        description="Find the hands in videos and images and write windows of their landmarks to OUT.",
        epilog=EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=120),
        allow_abbrev=False,
    )
    p.add_argument("paths", nargs="*", metavar="INPUT... OUT", help="files, folders, globs; the last word is OUT")
    p.add_argument(
        "--layout", help="'folders' (LABEL/clip.mp4) or a pattern of {split} {subject} {label} {take} {view}"
    )
    p.add_argument("--manifest", help="csv or parquet that names the clips; instead of INPUT")
    p.add_argument("--mirrored", action="store_true", help="selfie footage, where left is right")
    p.add_argument("--split", default="80,10,10", metavar="A,B,C", help="shares of train, validation, test (80,10,10)")
    p.add_argument("--landmarker", help="hand_landmarker.task (default: what `handstream fetch-model` brought)")
    p.add_argument(
        "--running-mode", choices=["video", "image"], help="follow hands (default), or look at each frame alone"
    )
    p.add_argument("--num-hands", type=int, default=2, metavar="N", help="most hands in a picture (2)")
    p.add_argument("--sample-fps", type=float, metavar="FPS", help="look at so many frames a second; image mode")
    p.add_argument("--slots", choices=["side", "track"], help="left hand first (default up to 2 hands), or tracks")
    p.add_argument("--window", default="clip", metavar="SECONDS", help="'clip' (default), or windows of this length")
    p.add_argument("--hop", type=float, metavar="SECONDS", help="from one window's start to the next (the length)")
    p.add_argument("--rate", type=float, metavar="HZ", help="put windows on an even clock (default: frames as sampled)")
    p.add_argument("--keep-partial", action="store_true", help="use clips whose decoding broke off, too")
    p.add_argument("--dry-run", action="store_true", help="show what would be done")
    p.add_argument("--quiet", action="store_true", help="only errors")
    return p


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """(our arguments, Beam's flags).

    Raises:
        InputError: wrong usage.
    """
    flags = parser()
    own, beam_flags = separate(argv, flags)
    args = flags.parse_intermixed_args(own)
    words = args.paths
    if not words:
        raise InputError("no OUT is given: handstream extract INPUT... OUT (see handstream extract --help)")
    *args.inputs, args.out = words
    if not all(words):
        raise InputError("an INPUT or OUT is an empty word: is a variable of your shell not set?")
    if args.rate and args.rate > FASTEST_HZ:
        raise InputError(f"--rate {args.rate:g}: at most {FASTEST_HZ:g}.")
    if bool(args.inputs) == bool(args.manifest):
        raise InputError(
            "INPUT and --manifest are given, one is wanted."
            if args.manifest
            else f"no INPUT is given, only {args.out!r}: handstream extract INPUT... OUT, or --manifest FILE OUT."
        )
    if args.manifest and args.layout:
        raise InputError("--layout and --manifest are given, one is wanted: the manifest's columns say it all.")
    if args.num_hands < 1:
        raise InputError(f"--num-hands {args.num_hands}: one at least.")
    for name in ("sample_fps", "hop", "rate"):
        value = getattr(args, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name.replace('_', '-')} {value:g}: more than zero is wanted.")
    if args.sample_fps and args.running_mode == "video":
        raise InputError("--sample-fps needs --running-mode image: hands cannot be followed over frames far apart.")
    args.running_mode = args.running_mode or ("image" if args.sample_fps else "video")
    args.window = _window(args.window)
    if args.hop and args.window is None:
        raise InputError("--hop needs --window SECONDS.")
    if args.hop and args.hop < SHORTEST_SECONDS:
        raise InputError(f"--hop {args.hop:g}: too short.")
    args.slots = args.slots or ("side" if args.num_hands <= 2 else "track")
    args.shares = Shares.parse(args.split)
    return args, beam_flags


def _window(text: str) -> float | None:
    if text == "clip":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= SHORTEST_SECONDS):
        raise InputError(f"--window {text!r}: 'clip' or a number of seconds is wanted.")
    return seconds


def separate(argv: list[str], flags: argparse.ArgumentParser) -> tuple[list[str], list[str]]:
    """(what is ours, Beam's flags as --name=value).

    Args:
        flags: our own, which win over Beam's of the same name.

    Raises:
        InputError: a flag that neither knows; names the nearest. Beam itself would swallow it.
    """
    ours = [option for action in flags._actions for option in action.option_strings]
    known = _beam_actions()
    own: list[str] = []
    beam_flags: list[str] = []
    rest = iter(argv)
    for word in rest:
        name, equals, value = word.partition("=")
        underscored = "--" + name.removeprefix("--").replace("-", "_")
        if word == "--":
            own += [word, *rest]
        elif not name.startswith("--") or name in ours:
            own.append(word)
        elif (action := known.get(name) or known.get(underscored)) is None:
            close = nearest(name, [*ours, *known])
            raise InputError(
                f"there is no flag {name}. " + (f"Did you mean {close}?" if close else f"See {flags.prog} --help.")
            )
        elif equals:
            beam_flags.append(f"{action.option_strings[0]}={value}")
        elif action.nargs == 0:
            beam_flags.append(action.option_strings[0])
        else:
            given = next(rest, None)
            if given is None:
                raise InputError(f"{name} wants a value.")
            beam_flags.append(f"{action.option_strings[0]}={given}")
    return own, beam_flags


def _beam_actions() -> dict[str, argparse.Action]:
    """All flags of Beam."""
    known: dict[str, argparse.Action] = {}
    for cls in PipelineOptions.__subclasses__():
        p = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        cls._add_argparse_args(p)
        known |= {name: action for action in p._actions for name in action.option_strings}
    return known


def match(args: argparse.Namespace) -> Matched:
    """The clips that the arguments name, checked.

    Raises:
        InputError: nothing is there, or two clips are the same.
    """
    if args.manifest:
        matched = Matched(read_manifest(args.manifest, args.mirrored), Counter())
    else:
        matched = match_inputs(args.inputs, parse_layout(args.layout or "folders"), args.mirrored)
    check_clips(matched.clips)
    return matched


def detection(args: argparse.Namespace, matched: Matched, landmarker: tuple[str, str]) -> DetectionOptions:
    """What decides what is detected. Without videos, workers make no landmarker for them."""
    videos = any(clip.kind == VIDEO for clip in matched.clips)
    path, networks = landmarker
    return DetectionOptions(
        landmarker=path,
        networks_sha256=networks,
        running_mode=args.running_mode if videos else "image",
        num_hands=args.num_hands,
        sample_fps=args.sample_fps,
    )
