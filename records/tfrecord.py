"""TFRecord framing: length, masked CRC-32C of the length, data, masked CRC-32C of the data.

https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c


class CorruptShard(ValueError):
    """The bytes are not TFRecords, or not all of them are there."""


def _masked_crc(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame_record(data: bytes) -> bytes:
    """One record, ready to be appended to a shard."""
    length = struct.pack("<Q", len(data))
    crcs = (struct.pack("<I", _masked_crc(part)) for part in (length, data))
    return length + next(crcs) + data + next(crcs)


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """The records of a shard, both checksums of each checked.

    Raises:
        CorruptShard: a checksum is wrong or the file ends within a record; says at which byte.
    """
    offset = 0
    while header := file.read(12):
        if len(header) < 12 or struct.unpack("<I", header[8:])[0] != _masked_crc(header[:8]):
            raise CorruptShard(f"no TFRecord at byte {offset}")
        (length,) = struct.unpack("<Q", header[:8])
        body = file.read(length + 4)
        if len(body) < length + 4:
            raise CorruptShard(f"ends within the record at byte {offset}")
        data = body[:length]
        if struct.unpack("<I", body[length:])[0] != _masked_crc(data):
            raise CorruptShard(f"wrong checksum of the record at byte {offset}")
        yield data
        offset += length + 16
