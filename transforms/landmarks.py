"""OUT/landmarks/: what the detector saw in each segment, a Parquet file each, whole or not at all.

OUT/landmarks/XX/SOURCE/K-OPTIONS.parquet holds segment K of the source with digest SOURCE (XX are its first two
digits), detected under options whose digest is OPTIONS: a changed file or another option is another name, so nothing
stale is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from handstream.records.window import LANDMARKS
from handstream.transforms import storage
from handstream.transforms.clips import IMAGE, Segment
from numpy.typing import NDArray

FORMAT = 1
"""Raised when the same frames would give other rows or files."""


@dataclass(frozen=True)
class DetectionOptions:
    """All that decides what is detected in a frame."""

    landmarker: str
    """Where hand_landmarker.task is, for every worker to read."""
    networks_sha256: str
    """`networks_digest` of that file."""
    running_mode: str = "video"
    num_hands: int = 2
    sample_fps: float | None = None

    def mode(self, kind: str) -> str:
        return "image" if kind == IMAGE else self.running_mode

    def provenance(self) -> dict[str, Any]:
        """As it stands in dataset.json and in the metadata of every file: no path, nothing of this machine."""
        return {
            "format": FORMAT,
            "running_mode": self.running_mode,
            "num_hands": self.num_hands,
            "sample_fps": self.sample_fps,
            "networks_sha256": self.networks_sha256,
            "versions": versions(),
        }

    def digest(self, kind: str, mirrored: bool) -> str:
        """12 hex digits that name these options in file names; an image does not depend on those for video."""
        values = {**self.provenance(), "running_mode": self.mode(kind), "mirrored": mirrored, "kind": kind}
        if kind == IMAGE:
            values["sample_fps"] = None
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def networks_digest(bundle: bytes) -> str:
    """SHA-256 over the networks in a task bundle, by name: the same however the bundle was zipped.

    Raises:
        ValueError: it is no zip archive, as task bundles are.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            digests = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise ValueError(f"not a MediaPipe task bundle ({error})") from error
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


@cache
def versions() -> dict[str, str]:
    """The libraries that decide what is decoded and detected."""
    return {name: version(name) for name in ("av", "mediapipe", "opencv-contrib-python")}


@dataclass
class Detections:
    """What the detector saw in a segment, in the order of presentation."""

    width: int = 0
    height: int = 0
    """Pixels of the upright picture; of the first frame, should it change."""
    error: str = ""
    """Why it ends early; empty where it is whole."""
    times_us: list[int] = field(default_factory=list)
    """[frames]"""
    hands: list[list[Hand]] = field(default_factory=list)
    """[frames] hands of each frame, in the detector's order, which is no identity."""

    @property
    def hand_count(self) -> int:
        return sum(map(len, self.hands))


@dataclass(frozen=True, eq=False)
class Hand:
    """A hand in one frame."""

    handedness: float
    """Score that it is a right hand, of an unmirrored picture: the person's own."""
    landmarks: NDArray[np.float32]
    """[21, 3]: x, y in [0, 1] of the upright picture, z in picture widths."""
    world: NDArray[np.float32]
    """[21, 3]: metres about the hand's own centre."""


class Recorder:
    """Collects what is detected in a segment while its frames go by.

    In one growing buffer: thousands of small arrays that are made between large pictures, and outlive them, keep the
    heap from reusing the pictures' room, which cost hundreds of megabytes.
    """

    def __init__(self) -> None:
        self.size: tuple[int, int] | None = None
        """Width and height of the first frame."""
        self._times_us: list[int] = []
        self._counts: list[int] = []
        self._handedness: list[float] = []
        self._points = bytearray()

    def add(self, time_us: int, size: tuple[int, int], hands: Sequence[Hand]) -> None:
        """The hands of the next frame."""
        self.size = self.size or size
        self._times_us.append(time_us)
        self._counts.append(len(hands))
        for hand in hands:
            self._handedness.append(hand.handedness)
            self._points += hand.landmarks.tobytes() + hand.world.tobytes()

    def detections(self, error: str = "") -> Detections:
        """All that was added, and why it ends early."""
        points = np.frombuffer(bytes(self._points), np.float32).reshape(-1, 2, LANDMARKS, 3)
        every = (Hand(p, *both) for p, both in zip(self._handedness, points, strict=True))
        hands = [list(islice(every, count)) for count in self._counts]
        return Detections(*(self.size or (0, 0)), error, self._times_us, hands)


# 63 values each; a list of fixed size with nulls does not survive Parquet in pyarrow 25.
_POINTS = pa.list_(pa.float32())
_SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("time_us", pa.int64(), nullable=False),
        pa.field("hand", pa.int8()),
        pa.field("handedness", pa.float32()),
        pa.field("landmarks", _POINTS),
        pa.field("world", _POINTS),
    ]
)
_METADATA = b"handstream"


def path_of(out: str, segment: Segment, options: DetectionOptions) -> str:
    name = f"{segment.index}-{options.digest(segment.kind, segment.mirrored)}.parquet"
    return storage.join(out, "landmarks", segment.digest[:2], segment.digest, name)


def encode(detections: Detections, segment: Segment, options: DetectionOptions) -> bytes:
    """The file of a segment."""
    rows: list[tuple[Any, ...]] = []
    for frame, (time_us, hands) in enumerate(zip(detections.times_us, detections.hands, strict=True)):
        if not hands:
            rows.append((frame, time_us, None, None, None, None))
        for i, hand in enumerate(hands):
            rows.append((frame, time_us, i, hand.handedness, hand.landmarks.ravel(), hand.world.ravel()))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_SCHEMA)
    table = pa.table(
        [pa.array(list(c), f.type) for c, f in zip(columns, _SCHEMA, strict=True)],
        schema=_SCHEMA.with_metadata(
            {
                _METADATA: json.dumps(
                    {
                        "error": detections.error,
                        "width": detections.width,
                        "height": detections.height,
                        "frames": len(detections.times_us),
                        "hands": detections.hand_count,
                        "options": {**options.provenance(), "mirrored": segment.mirrored},
                    }
                ).encode()
            }
        ),
    )
    file = io.BytesIO()
    # Landmarks hardly compress: without checksums most damage to them would be read as other landmarks.
    pq.write_table(table, file, compression="zstd", write_page_checksum=True)
    return file.getvalue()


class DamagedFile(Exception):
    """A segment's file that is there, and not as it was written."""


@dataclass(frozen=True)
class Receipt:
    """That a segment was done: all that crosses a shuffle."""

    frames: int
    hands: int
    error: str = ""


def read_receipt(path: str) -> Receipt | None:
    """What a segment's file says of itself; None where it is not there or not readable."""
    if not storage.exists(path):
        return None
    try:
        with storage.open_file(path) as file:
            metadata = json.loads(pq.read_schema(file).metadata[_METADATA])
    except Exception:
        return None  # damaged, or not to be had: as good as not there
    return Receipt(metadata["frames"], metadata["hands"], metadata["error"])


def read(path: str) -> Detections:
    """A segment's file.

    Raises:
        OSError: it cannot be read.
        DamagedFile: it is not as it was written.
    """
    try:
        data = io.BytesIO(storage.read_bytes(path))
    except OSError as error:
        raise OSError(f"{path}: {storage.reason(error)}") from error
    try:
        table = pq.read_table(data, page_checksum_verification=True)
    except (pa.lib.ArrowException, OSError) as error:
        raise DamagedFile(storage.reason(error)) from error
    metadata = json.loads(table.schema.metadata[_METADATA])
    result = Detections(metadata["width"], metadata["height"], metadata["error"])
    frames = table["frame"].to_numpy()
    times = table["time_us"].to_numpy()
    seen = table["hand"].is_valid().to_numpy()
    handedness = table["handedness"].to_numpy()
    points = {
        name: table[name].combine_chunks().drop_null().flatten().to_numpy().reshape(-1, LANDMARKS, 3)
        for name in ("landmarks", "world")
    }
    hand = 0
    for row, frame in enumerate(frames):
        if frame == len(result.times_us):
            result.times_us.append(int(times[row]))
            result.hands.append([])
        if seen[row]:
            result.hands[-1].append(Hand(float(handedness[row]), points["landmarks"][hand], points["world"][hand]))
            hand += 1
    return result
