"""`handstream evaluate MODEL OUT...`: the command line. What it does is in `evaluator`, whose imports take seconds."""

from __future__ import annotations

import argparse

from handstream.records.dataset import SPLITS
from handstream.records.usage import Parser, own_stderr


def run(argv: list[str]) -> int:
    """`handstream evaluate`: 0 done.

    Raises:
        InputError: wrong usage, or the model and the data set do not fit together.
        DatasetError: a data set cannot be read.
    """
    args = _parse(argv)
    with own_stderr():
        from handstream.model import evaluator

        return evaluator.evaluate(args)


def _parse(argv: list[str]) -> argparse.Namespace:
    p = Parser(
        prog="handstream evaluate",
        usage="handstream evaluate MODEL OUT... [flags]",
        description="How good a model is on takes that it has not seen, beside what it has to beat.",
        allow_abbrev=False,
    )
    p.add_argument("model", metavar="MODEL")
    p.add_argument("out", nargs="+", metavar="OUT")
    p.add_argument("--split", choices=SPLITS, default="test", help="(test)")
    p.add_argument("--by", action="append", default=[], metavar="COLUMN", help="also by a column of clips.parquet")
    p.add_argument("--no-baselines", action="store_true", help="without training what it is held against")
    p.add_argument("--json", action="store_true", help="for machines")
    return p.parse_args(argv)
