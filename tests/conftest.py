"""Real material, where it is: a test that needs it is skipped with the reason where it is not."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import pytest
from handstream.pipelines import landmarker_file
from handstream.pipelines.cli import main
from handstream.records.errors import InputError


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real videos and images."""
    folder = Path(os.environ.get("HANDSTREAM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real videos at {folder}; HANDSTREAM_DATA names another folder")
    return folder


@pytest.fixture(scope="session")
def landmarker() -> str:
    """Where hand_landmarker.task is."""
    try:
        return landmarker_file.find(None)[0]
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def clips(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SUBJECT_VIEW_LABEL_TAKE.mp4: short cuts of real takes of a hand, two views each, one take over two segments."""
    folder = tmp_path_factory.mktemp("clips")
    for view in ("cam0", "cam1"):
        source = data / "two_view" / f"{view}_test.mp4"
        cut_video(source, folder / f"ann_{view}_point_1.mp4", first=60, count=25)
        cut_video(source, folder / f"ben_{view}_point_2.mp4", first=150, count=25)
        cut_video(source, folder / f"cat_{view}_open_3.mp4", first=100, count=36, fps=3, step=5)
    return folder


@pytest.fixture(scope="session")
def reference(clips: Path, landmarker: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of a plain run with one worker over `clips`, to read or to copy."""
    out = tmp_path_factory.mktemp("reference") / "OUT"
    flags = ["--layout", "{subject}_{view}_{label}_{take}.mp4", "--landmarker", landmarker, "--direct_num_workers", "1"]
    assert main(["extract", str(clips), str(out), *flags]) == 0
    return out


def cut_video(source: Path, target: Path, first: int, count: int, fps: int = 30, step: int = 1) -> None:
    """Every `step`-th of `count` frames of a video, lossless, as a video of its own."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=fps)
        stream.width, stream.height = given.streams.video[0].width, given.streams.video[0].height
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "12", "preset": "ultrafast"}
        wanted = range(first, first + count * step, step)
        for i, frame in enumerate(given.decode(video=0)):
            if i in wanted:
                frame = frame.reformat(format="yuv420p")
                frame.pts, frame.time_base = wanted.index(i), Fraction(1, fps)
                for packet in stream.encode(frame):
                    out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
