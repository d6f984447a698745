"""`handstream train OUT... MODEL`: the command line. What it does is in `trainer`, whose imports take seconds."""

from __future__ import annotations

import argparse

from handstream.model.examples import INPUTS
from handstream.model.recipe import NETWORKS, Recipe
from handstream.records.errors import InputError
from handstream.records.usage import Parser, own_stderr, speaker

EXAMPLES = """\
examples:
  handstream train OUT MODEL
  handstream train OUT1 OUT2 MODEL --network tcn       several data sets make one model
  handstream train OUT --cross-validate 5              small sets: mean and spread over folds of subjects

The same command again carries on where it was interrupted.
"""


def parser() -> Parser:
    p = Parser(
        prog="handstream train",
        usage="handstream train OUT... MODEL [flags], or OUT... --cross-validate K",
        description="Learn gestures from windows of landmarks, and write a model that Keras and LiteRT read.",
        epilog=EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=120),
        allow_abbrev=False,
    )
    recipe = Recipe()
    p.add_argument("paths", nargs="+", metavar="OUT... MODEL", help="data sets; the last word is the model's folder")
    p.add_argument("--network", choices=NETWORKS, default=recipe.network, help=f"({recipe.network})")
    p.add_argument("--input", choices=["auto", *INPUTS], default="auto", help="what it sees (the best that is there)")
    p.add_argument("--steps", type=int, default=64, metavar="N", help="moments that a window is read at (64)")
    p.add_argument("--epochs", type=int, default=recipe.epochs, metavar="N", help=f"at most ({recipe.epochs})")
    p.add_argument("--batch", type=int, default=recipe.batch, metavar="N", help=f"({recipe.batch})")
    p.add_argument("--limit-seconds", type=float, metavar="S", help="end the training after so long")
    p.add_argument("--mirror", action="store_true", help="learn from mirrored hands too: left and right mean nothing")
    p.add_argument("--cross-validate", type=int, metavar="K", help="train K times, each tested on others; no model")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="(0)")
    p.add_argument("--quiet", action="store_true", help="only errors and figures")
    return p


def run(argv: list[str]) -> int:
    """`handstream train`: 0 done.

    Raises:
        InputError: wrong usage, or data that nothing can be learned from.
        DatasetError: a data set cannot be read.
    """
    args = _parse(argv)
    with own_stderr() as terminal:
        from handstream.model import trainer

        return trainer.train(args, speaker(terminal, args.quiet))


def _parse(argv: list[str]) -> argparse.Namespace:
    args = parser().parse_args(argv)
    if len(args.paths) < 2 and not args.cross_validate:
        raise InputError("OUT and MODEL are wanted: handstream train OUT MODEL (see handstream train --help)")
    for name, least in (("steps", 8), ("epochs", 1), ("batch", 1), ("seed", 0)):
        if getattr(args, name) < least:
            raise InputError(f"--{name} {getattr(args, name)}: {least} at least.")
    if args.cross_validate is not None and args.cross_validate < 2:
        raise InputError(f"--cross-validate {args.cross_validate}: 2 folds at least.")
    if args.limit_seconds is not None and not args.limit_seconds > 0:
        raise InputError(f"--limit-seconds {args.limit_seconds:g}: more than zero is wanted.")
    return args
