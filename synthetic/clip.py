"""Pictures to mp4, by PyAV."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction

import av
from handstream.synthetic.render import Picture

CRF = "18"
"""x264's quality: hardly to be told from the picture."""


def encode_video(pictures: Iterable[Picture], width: int, height: int, frames_per_second: float) -> bytes:
    """An H.264 mp4 of RGB pictures; the same bytes each time. Sizes are even."""
    file = io.BytesIO()
    rate = Fraction(frames_per_second).limit_denominator(1001)
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Of several threads each would cut its own slices, by how many cores there are.
        stream.options = {"crf": CRF, "preset": "superfast", "threads": "1"}
        stream.codec_context.time_base = 1 / rate
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return file.getvalue()
