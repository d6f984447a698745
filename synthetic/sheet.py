"""A picture of what was rendered: a row for each clip, its frames from left to right."""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
import cv2
import numpy as np
from handstream.synthetic.render import Picture

COLUMNS, ROWS = 6, 24
CELL_WIDTH = 200


def contact_sheet(videos: Sequence[bytes]) -> bytes:
    """A PNG of frames spread evenly over each of the first videos."""
    rows = [_row(video) for video in videos[:ROWS]]
    done, png = cv2.imencode(".png", np.concatenate(rows)[..., ::-1])
    if not done:
        raise ValueError("OpenCV cannot write a PNG")
    return png.tobytes()


def _row(video: bytes) -> Picture:
    with av.open(io.BytesIO(video), "r") as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, COLUMNS + 2).round().astype(int)[1:-1]]
    height = round(frames[0].shape[0] * CELL_WIDTH / frames[0].shape[1])
    cells = [cv2.resize(frame, (CELL_WIDTH, height), interpolation=cv2.INTER_AREA) for frame in chosen]
    return np.concatenate(cells, axis=1)
