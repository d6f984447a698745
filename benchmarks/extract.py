"""Extraction against the loop that everyone writes, as ratios within one run.

    python benchmarks/extract.py [--clips 16] [--frames 300] [--rounds 3] [--workers 2] [--json FILE]
    python benchmarks/extract.py --memory

In each round the contestants run one after the other, each in processes of its own: once on a very short clip, which is
its start-up and is subtracted, once on everything. CPU is user and system time of the whole process tree, memory the
sum of its processes' proportional set sizes. All have as many cores as there are workers. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from material import FPS, make_clips, sources
from numpy.typing import NDArray

SHORT_FRAMES = 2
MEMORY_CLIPS, MEMORY_FRAMES = (10, 200), 30
SAMPLES_PER_SECOND = 4
MB, PEAK_MB = 1e6, 900


# ---- Contestants, each in a process of its own


def landmarker_of(model: str) -> tuple[Any, Any]:
    """(mediapipe, a new landmarker in VIDEO mode for two hands); TensorFlow stays out, which would slow its start."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.HandLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=model), running_mode=vision.RunningMode.VIDEO, num_hands=2
    )
    return mediapipe, vision.HandLandmarker.create_from_options(options)


def to_array(result: Any) -> NDArray[np.float32]:
    """[2, 21, 3], NaN for a hand that is not there."""
    hands = np.full((2, 21, 3), np.nan, np.float32)
    for slot, points in enumerate(result.hand_landmarks):
        hands[slot] = [(point.x, point.y, point.z) for point in points]
    return hands


def naive(model: str, out: Path, clips: list[str]) -> None:
    """The loop that everyone writes: OpenCV, a new landmarker for each clip, an array of landmarks for each clip."""
    import cv2

    for clip in clips:
        mp, landmarker = landmarker_of(model)
        capture = cv2.VideoCapture(clip)
        landmarks: list[NDArray[np.float32]] = []
        while True:
            there, picture = capture.read()
            if not there:
                break
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            landmarks.append(to_array(landmarker.detect_for_video(image, len(landmarks) * 1000 // FPS)))
        capture.release()
        landmarker.close()
        np.save(out / f"{Path(clip).stem}.npy", np.array(landmarks))


def bare(model: str, out: Path, clips: list[str]) -> None:
    """The least that must be done: PyAV's decoder in one thread, RGB, one landmarker; nothing is kept."""
    import av

    mp, landmarker = landmarker_of(model)
    time_ms = 0
    for clip in clips:
        with av.open(clip) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                image = mp.Image(image_format=mp.ImageFormat.SRGB, data=frame.to_ndarray(format="rgb24"))
                landmarker.detect_for_video(image, time_ms)
                time_ms += 1000 // FPS
    landmarker.close()


CHILDREN = {"naive": naive, "bare": bare}


@dataclass(frozen=True)
class Contestant:
    """A name, and the command that brings clips to a folder."""

    name: str
    command: Callable[[Path, list[Path]], list[str]]
    processes: int = 1
    """Each pays for a start of its own, so the short run has a clip for each."""


def contestants(workers: int) -> list[Contestant]:
    """All that compete, in their order; from here on this process and its children have a core for each worker."""
    from handstream.pipelines import landmarker_file

    model = landmarker_file.find(None)[0]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])

    def child(name: str, out: Path) -> list[str]:
        return [sys.executable, __file__, name, model, str(out)]

    def alone(name: str) -> Contestant:
        return Contestant(name, lambda out, clips: [*child(name, out), *map(str, clips)])

    def spread(out: Path, clips: list[Path]) -> list[str]:
        each = -(-len(clips) // workers)
        names = out / "names"
        names.write_text("".join(f"{clip}\n" for clip in clips))
        return ["xargs", "-a", str(names), f"-P{workers}", f"-n{each}", *child("naive", out)]

    return [
        alone("naive"),
        Contestant(f"naive x{workers}", spread, workers),
        alone("bare"),
        Contestant("handstream", lambda out, clips: extract(out, clips, workers)),
    ]


def extract(out: Path, clips: list[Path], workers: int) -> list[str]:
    command = [sys.executable, "-m", "handstream.pipelines.cli", "extract", "--quiet"]
    return [*command, "--direct_num_workers", str(workers), *map(str, clips), str(out / "dataset")]


# ---- Measuring


@dataclass(frozen=True)
class Cost:
    """Of one run, or of what a run cost beyond its start-up."""

    wall: float
    cpu: float
    """Seconds."""
    peak: int
    """Bytes."""


class PeakMemory:
    """Samples the proportional set size of all processes of a group in a thread while the block runs."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.bytes = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(1 / SAMPLES_PER_SECOND):
            self.bytes = max(self.bytes, sum(map(self._pss, map(int, filter(str.isdigit, os.listdir("/proc"))))))

    def _pss(self, process: int) -> int:
        try:
            if os.getpgid(process) != self._group:
                return 0
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # it has ended
            return 0
        return next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:")), 0)


def measure(command: list[str]) -> Cost:
    """What a command and all its children cost; ends the benchmark where it fails."""
    with tempfile.TemporaryFile("w+") as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, process_group=0)
        try:
            with PeakMemory(process.pid) as peak:
                _, status, usage = os.wait4(process.pid, 0)
                wall = time.perf_counter() - begun
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)[:300]} failed:\n{said.read()[-3000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak.bytes)


def run(contestant: Contestant, clips: list[Path], frames: int) -> tuple[Cost, float | None]:
    """(cost, share of frames with two hands where that is told); checks that no frame was left out."""
    out = Path(tempfile.mkdtemp(prefix="handstream-benchmark-"))
    try:
        cost = measure(contestant.command(out, clips))
        found, share = counted(out)
        if found is not None and found != frames:
            sys.exit(f"{contestant.name} gave {found} frames, {frames} were there")
        return cost, share
    finally:
        shutil.rmtree(out)


def counted(out: Path) -> tuple[int | None, float | None]:
    """(frames, share of them with two hands) of what stands in a contestant's folder, as far as it tells."""
    if (table := out / "dataset" / "clips.parquet").exists():
        import pyarrow.parquet as pq

        return sum(pq.read_table(table, columns=["frames"])["frames"].to_pylist()), None
    arrays = [np.load(path) for path in out.glob("*.npy")]
    if not arrays:
        return None, None
    both = ~np.isnan(np.concatenate(arrays)).any(axis=(1, 2, 3))
    return len(both), float(both.mean())


@dataclass(frozen=True)
class Turn:
    """A contestant's turn in a round."""

    whole: Cost
    short: Cost

    def seconds(self) -> float:
        """Wall time without start-up."""
        return self.whole.wall - self.short.wall

    def cpu(self) -> float:
        """CPU time without start-up."""
        return self.whole.cpu - self.short.cpu


def judge(what: str, values: list[float], least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """The median of a figure over the rounds, and whether it keeps its target."""
    value = median(values)
    kept = (least is None or value >= least) and (most is None or value <= most)
    target = f"at least {least:g}" if least is not None else f"at most {most:g}"
    return {"what": what, "value": round(value, 3), "target": target, "pass": kept}


def judge_speed(rounds: list[dict[str, Turn]], workers: int) -> list[dict[str, Any]]:
    """What is promised, each ratio taken within a round."""
    spread = f"naive x{workers}"

    def ratios(upper: str, lower: str, of: Callable[[Turn], float]) -> list[float]:
        return [of(turns[upper]) / of(turns[lower]) for turns in rounds]

    return [
        judge("times as fast as naive", ratios("naive", "handstream", Turn.seconds), least=1.7),
        judge(f"times as fast as {spread}", ratios(spread, "handstream", Turn.seconds), least=1.15),
        judge("CPU / naive's", ratios("handstream", "naive", Turn.cpu), most=0.95),
        judge("CPU / bare's", ratios("handstream", "bare", Turn.cpu), most=1.08),
        judge("peak MB", [turns["handstream"].whole.peak / MB for turns in rounds], most=PEAK_MB),
    ]


def speed(args: argparse.Namespace, folder: Path, videos: list[Path]) -> dict[str, Any]:
    """All contestants in turn, round by round."""
    clips = make_clips(folder, videos, args.clips, args.frames)
    short = make_clips(folder, videos, args.workers, SHORT_FRAMES)
    frames, share = args.clips * args.frames, 0.0
    field = contestants(args.workers)
    rounds: list[dict[str, Turn]] = []
    for number in range(args.rounds):
        turns = {}
        for one in field:
            print(f"round {number + 1} of {args.rounds}: {one.name} ...", file=sys.stderr)
            start, _ = run(one, short[: one.processes], SHORT_FRAMES * one.processes)
            whole, told = run(one, clips, frames)
            share = share if told is None else told
            turns[one.name] = Turn(whole, start)
        rounds.append(turns)
    print(f"\n{args.clips} clips of {args.frames} frames, two hands in {share:.0%}; medians of {args.rounds} rounds\n")
    print(f"{'':<12}{'wall s':>9}{'start s':>9}{'frames/s':>10}{'CPU ms/frame':>14}{'peak MB':>10}")
    for one in field:
        print(row(one.name, [turns[one.name] for turns in rounds], frames))
    judged = judge_speed(rounds, args.workers)
    print("\nhandstream, start-up apart:")
    report(judged)
    raw = [{name: asdict(turn) for name, turn in turns.items()} for turns in rounds]
    return {"frames": frames, "share_with_two_hands": share, "targets": judged, "rounds": raw}


def row(name: str, turns: list[Turn], frames: int) -> str:
    """A line of the table."""
    seconds, cpu = median(turn.seconds() for turn in turns), median(turn.cpu() for turn in turns)
    wall, start = median(turn.whole.wall for turn in turns), median(turn.short.wall for turn in turns)
    peak = median(turn.whole.peak for turn in turns) / MB
    return f"{name:<12}{wall:>9.1f}{start:>9.1f}{frames / seconds:>10.1f}{cpu / frames * 1000:>14.1f}{peak:>10.0f}"


def memory(args: argparse.Namespace, folder: Path, videos: list[Path]) -> dict[str, Any]:
    """The peak for few and for many short clips."""
    few, many = MEMORY_CLIPS
    clips = make_clips(folder, videos, many, MEMORY_FRAMES)
    *_, handstream = contestants(args.workers)
    peaks: dict[int, list[float]] = {few: [], many: []}
    for number in range(args.rounds):
        for count in peaks:
            print(f"round {number + 1} of {args.rounds}: {count} clips ...", file=sys.stderr)
            cost, _ = run(handstream, clips[:count], count * MEMORY_FRAMES)
            peaks[count].append(cost.peak / MB)
    judged = [judge(f"peak MB, {count} clips", values, most=PEAK_MB) for count, values in peaks.items()]
    growth = [more / less for less, more in zip(peaks[few], peaks[many], strict=True)]
    judged.append(judge(f"peak of {many} / of {few} clips", growth, most=1.1))
    print(f"\nhandstream, clips of {MEMORY_FRAMES} frames, medians of {args.rounds} rounds:")
    report(judged)
    return {"targets": judged, "peaks_mb": peaks}


def report(judged: list[dict[str, Any]]) -> None:
    for line in judged:
        verdict = "pass" if line["pass"] else "FAIL"
        print(f"  {line['what']:<28}{line['value']:>9.2f}   {line['target']:<16}{verdict}")


def machine(workers: int) -> dict[str, Any]:
    """What the figures depend on."""
    names = ("handstream", "apache-beam", "mediapipe", "opencv-contrib-python", "av")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "workers": workers,
        "versions": {name: version(name) for name in names},
    }


def main() -> None:
    if sys.argv[1:2] and (contestant := CHILDREN.get(sys.argv[1])):
        model, out, *clips = sys.argv[2:]
        contestant(model, Path(out), clips)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # Beam warns on import of extras that nobody asked for.
    logging.getLogger().setLevel(logging.ERROR)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--frames", type=int, default=300, help="of each clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="also the cores that each contestant has")
    parser.add_argument("--source", type=Path, nargs="+", help="one or two videos, a hand in each")
    parser.add_argument("--memory", action="store_true", help="peak memory for few and many clips instead of speed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there, too")
    args = parser.parse_args()
    videos = sources(args.source)
    key = hashlib.sha256(b"".join(video.read_bytes() for video in videos)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"handstream-benchmark-{os.getuid()}" / key
    result = (memory if args.memory else speed)(args, folder, videos)
    if args.json:
        args.json.write_text(json.dumps(machine(args.workers) | result, indent=1) + "\n")


if __name__ == "__main__":
    main()
