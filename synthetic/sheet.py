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
    cells = {}
    with av.open(io.BytesIO(video), "r") as file:
        last = file.streams.video[0].frames - 1
        chosen = np.linspace(0, last, COLUMNS + 2).round().astype(int)[1:-1].tolist()
        for number, frame in enumerate(file.decode(video=0)):
            if number in chosen:
                height = round(frame.height * CELL_WIDTH / frame.width)
                picture = frame.to_ndarray(format="rgb24")
                cells[number] = cv2.resize(picture, (CELL_WIDTH, height), interpolation=cv2.INTER_AREA)
    # Of a short clip some twice: all rows are of one width.
    return np.concatenate([cells[number] for number in chosen], axis=1)
