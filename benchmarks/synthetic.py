"""The detector against the truth of rendered hands, and what rendering costs.

    python benchmarks/synthetic.py [--subjects 4] [--running-mode video] [-- --light low ...]

Renders a data set (what follows -- goes to `handstream synth`), extracts it, and compares: visible hands that were
found, sides that the track's vote got right, hands found where none is, and the error of landmarks in pixels, by
gesture and by what of the hand is seen. Each clip is a take of its own, so that each frame stands for itself.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from handstream.records.dataset import SPLITS, load_dataset, read_windows
from handstream.synthetic import folders, truth
from handstream.synthetic.measure import WRIST, Frame, Score, frames_of_window, measure
from handstream.synthetic.stage import film
from handstream.synthetic.takes import Options, make_take, plan_takes
from rich.console import Console
from rich.table import Table

CLASPED = 0.25
"""Metres between two wrists: nearer, the hands of two people touch."""
FACINGS = ("palm", "back", "side")


def handstream(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "handstream.pipelines.cli", *map(str, words)], check=True)


def frames_of(clips: Path, out: Path) -> Iterator[tuple[str, str, list[Frame]]]:
    """(gesture, view, frames) of each clip."""
    dataset = load_dataset(str(out))
    windows = {(w["label"], w["subject"], w["take"]): w for split in SPLITS for w in read_windows(dataset, split)}
    for (label, subject, take_view), window in sorted(windows.items()):
        take, _, view = take_view.partition("_")
        true = truth.read_true_hands((clips / f"truth/{subject}_{label}_{take}.parquet").read_bytes())[view]
        window["views"] = [view]
        yield label, view, list(frames_of_window(window, view, true))


def phase(frame: Frame) -> str:
    """Whether hands of two people touch."""
    wrists = [(hand.person, hand.world[WRIST]) for hand in frame[0] if hand.right]
    near = (np.linalg.norm(a - b) < CLASPED for (p, a), (q, b) in combinations(wrists, 2) if p != q)
    return "clasped" if any(near) else "apart"


def report(clips: Path, out: Path) -> None:
    """The tables."""
    by_gesture: dict[str, dict[str, Score]] = defaultdict(lambda: defaultdict(Score))
    by_view: dict[str, Score] = defaultdict(Score)
    for label, view, frames in frames_of(clips, out):
        parts = {label: frames}
        if label == "handshake":
            parts = {f"handshake, {p}": [f for f in frames if phase(f) == p] for p in ("apart", "clasped")}
        for name, some in parts.items():
            for facing, score in measure(some).items():
                by_gesture[name][facing] += score
                by_gesture["all"][facing] += score
        by_view[view] += measure(frames).get("all", Score())
    table = Table("", "hands", "found", *(f"found, {f}" for f in FACINGS), "side right", "false", "error, px")
    rows = sorted(by_gesture.items(), key=lambda item: item[0] == "all")
    for name, scores in rows + [(view, {"all": score}) for view, score in by_view.items()]:
        score = scores.get("all", Score())
        shares = [score.found_share, *(scores[f].found_share if f in scores else np.nan for f in FACINGS)]
        cells = [f"{share:.1%}" if share == share else "" for share in [*shares, score.side_share, score.false_share]]
        table.add_row(name, str(score.visible), *cells, f"{score.median_error:.1f}")
    console = Console(width=120)
    console.print(table)
    clear = by_gesture["all"]["palm"] + by_gesture["all"]["back"]
    console.print(
        f"palm and back: {clear.found_share:.2%} found, side right {clear.side_share:.2%}, "
        f"error {clear.median_error:.2f} px; false {by_gesture['all']['all'].false_share:.2%} of detections"
    )


def rendering_speed() -> str:
    """Frames a second on one core, of a gesture of one hand, pictures and truth and no video."""
    options = Options(gestures=("wave",), subjects=1, cameras=("cam0",))
    take = make_take(options, plan_takes(options)[0])
    rates = []
    for _ in range(3):
        begun = time.process_time()
        frames = sum(
            1 for _ in film(take.performance, take.views[0], take.seed, take.exposure, take.light, take.room(0))
        )
        rates.append(frames / (time.process_time() - begun))
    return f"{np.median(rates[1:]):.0f} one-hand frames a second of CPU at 640x480"


def main() -> None:
    argv = sys.argv[1:]
    own, synth = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--running-mode", choices=["video", "image"], default="video")
    parser.add_argument("--folder", help="keep the clips there, and use those that are there")
    args = parser.parse_args(own)
    with tempfile.TemporaryDirectory() as folder:
        clips, out = Path(args.folder or folder) / "clips", Path(folder) / "out"
        if not (clips / folders.MANIFEST).exists():
            handstream("synth", clips, "--subjects", str(args.subjects), *synth)
        # View and take in one word: each clip is a take of its own.
        layout = "{label}/{subject:[^_]+}_{take}.mp4"
        mode = ("--running-mode", args.running_mode)
        handstream("extract", clips / "videos", out, "--layout", layout, "--quiet", *mode)
        report(clips, out)
    print(rendering_speed())


if __name__ == "__main__":
    main()
