import io

import pytest
from handstream.records.tfrecord import CorruptShard, frame_record, read_records
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=100)
records = st.lists(st.binary(max_size=40), max_size=5)


def read(data: bytes) -> list[bytes]:
    return list(read_records(io.BytesIO(data)))


@quick
@given(records)
def test_what_is_framed_is_read(data):
    assert read(b"".join(map(frame_record, data))) == data


def test_the_frame_is_tensorflows():
    # tf.io.TFRecordWriter wrote this.
    assert frame_record(b"hand") == bytes.fromhex("04000000000000004245520468616e648e12a214")


@quick
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
def test_a_flipped_byte_is_found(data, draw):
    shard = bytearray(b"".join(map(frame_record, data)))
    place = draw.draw(st.integers(0, len(shard) - 1))
    shard[place] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(CorruptShard, match="at byte"):
        read(bytes(shard))


@quick
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
def test_a_shard_cut_within_a_record_is_found(data, draw):
    frames = [frame_record(record) for record in data]
    ends = {sum(map(len, frames[:n])) for n in range(len(frames) + 1)}
    cut = draw.draw(st.integers(0, max(ends)).filter(lambda n: n not in ends))
    with pytest.raises(CorruptShard):
        read(b"".join(frames)[:cut])


def test_the_error_says_where_the_bad_record_begins():
    first, second = frame_record(b"first"), frame_record(b"second")
    with pytest.raises(CorruptShard, match=f"at byte {len(first)}"):
        read(first + second[:-1])
    with pytest.raises(CorruptShard, match="byte 0"):
        read(b"no tfrecord at all")


def test_records_before_the_bad_one_are_read():
    reader = read_records(io.BytesIO(frame_record(b"good") + b"bad"))
    assert next(reader) == b"good"
    with pytest.raises(CorruptShard):
        next(reader)
