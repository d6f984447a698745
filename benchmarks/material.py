"""The benchmark's material, made from a real video with hands: 1920x1080, 30 fps, H.264, two hands in most frames."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 1920, 1080, 30
SIDE, CORNERS = 720, ((160, 180), (1040, 180))
"""The two pictures' size and where they stand (x, y)."""
EDGE_FRAMES = 15
"""Left out at both ends of the source: hands come and go there."""


def sources(given: list[Path] | None) -> list[Path]:
    """The videos to make clips from: one for the left, one for the right half of the picture."""
    data = Path(os.environ.get("HANDSTREAM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    found = given or [data / "two_view" / name for name in ("cam0_test.mp4", "cam1_test.mp4")]
    for path in found:
        if not path.is_file():
            sys.exit(f"{path}: no such file. Name one or two videos with a hand in each by --source VIDEO [VIDEO].")
    return [found[0], found[-1]]


def make_clips(folder: Path, videos: list[Path], count: int, frames: int) -> list[Path]:
    """Clips that differ in content, made where they are not there from an earlier run."""
    clips = [folder / f"{frames:04d}" / f"{index:03d}.mp4" for index in range(count)]
    missing = [index for index, clip in enumerate(clips) if not clip.exists()]
    if not missing:
        return clips
    print(f"making {len(missing)} clips of {frames} frames in {folder} ...", file=sys.stderr)
    clips[0].parent.mkdir(parents=True, exist_ok=True)
    pictures = [read_squares(video) for video in videos]
    noise = noisy_backgrounds()
    for index in missing:
        growing = clips[index].with_suffix(".part.mp4")
        write_clip(growing, compose(pictures, noise, index, frames))
        growing.replace(clips[index])
    return clips


def read_squares(video: Path) -> list[NDArray[np.uint8]]:
    """The middle square of each frame, as JPEG: whole they would fill a gigabyte."""
    import av
    import cv2

    squares: list[Any] = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="bgr24")
            height, width = picture.shape[:2]
            size = min(height, width)
            top, left = (height - size) // 2, (width - size) // 2
            square = cv2.resize(picture[top : top + size, left : left + size], (SIDE, SIDE))
            squares.append(cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])
    return squares[EDGE_FRAMES:-EDGE_FRAMES]


def noisy_backgrounds(count: int = 8) -> list[NDArray[np.uint8]]:
    """Soft patches of colour under a camera's noise, which costs a decoder what real video does."""
    import cv2

    rng = np.random.default_rng(0)
    patches = cv2.resize(rng.uniform(60, 180, (9, 16, 3)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    noise = (rng.normal(0, 4, (HEIGHT, WIDTH, 3)).astype(np.float32) for _ in range(count))
    return [np.clip(patches + grain, 0, 255).astype(np.uint8) for grain in noise]


def compose(
    pictures: list[list[NDArray[np.uint8]]], noise: list[NDArray[np.uint8]], index: int, frames: int
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip: both pictures, to and fro through the source, from a start that is the clip's own."""
    import cv2

    for step in range(frames):
        canvas = np.roll(noise[step % len(noise)], 97 * index, axis=1)
        for squares, (x, y) in zip(pictures, CORNERS, strict=True):
            place = (79 * index + step) % (2 * len(squares) - 2)
            square = squares[min(place, 2 * len(squares) - 2 - place)]
            picture: Any = cv2.imdecode(square, cv2.IMREAD_COLOR)
            canvas[y : y + SIDE, x : x + SIDE] = picture
        yield canvas


def write_clip(path: Path, frames: Iterator[NDArray[np.uint8]]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
