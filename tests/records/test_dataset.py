import hashlib
import json

import numpy as np
import pytest
from handstream.records.dataset import load_dataset, parse_spec, read_windows, verify
from handstream.records.errors import DatasetError
from handstream.records.example import encode_window
from handstream.records.tfrecord import frame_record
from handstream.records.window import FEATURES, SCHEMA, Window


def write_shard(folder, name: str, windows: list[Window]) -> dict:
    data = b"".join(frame_record(encode_window(one)) for one in windows)
    (folder / name).write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return {"name": name, "windows": len(windows), "bytes": len(data), "sha256": sha256}


def describe(folder, **shards) -> None:
    splits = {split: {"shards": shards.get(split, [])} for split in ("train", "validation", "test")}
    description = {"schema": SCHEMA, "labels": ["wave"], "views": 2, "hands": 2, "splits": splits}
    (folder / "dataset.json").write_text(json.dumps(description))


@pytest.fixture
def folder(tmp_path, make_window):
    """A data set of three windows, 3, 5 and 4 frames long, in two shards and an empty one."""
    folder = tmp_path / "out [1] 'é' 🖐"
    folder.mkdir()
    shards = [
        write_shard(folder, "train-00000-of-00003.tfrecord", [make_window("a", 3), make_window("b", 5)]),
        write_shard(folder, "train-00001-of-00003.tfrecord", []),
        write_shard(folder, "train-00002-of-00003.tfrecord", [make_window("c", 4)]),
    ]
    describe(folder, train=shards)
    return folder


def test_windows_are_read_in_order_and_shape(folder, make_window):
    windows = list(read_windows(load_dataset(str(folder)), "train"))
    assert [one["take"] for one in windows] == ["a", "b", "c"]
    assert [one["hand_landmarks"].shape for one in windows] == [(n, 2, 2, 21, 3) for n in (3, 5, 4)]
    assert windows[0]["views"] == ["cam0", ""]
    np.testing.assert_array_equal(windows[1]["hand_landmarks"], make_window("b", 5).hand_landmarks)


def test_a_split_without_shards_has_no_windows(folder):
    assert list(read_windows(load_dataset(str(folder)), "test")) == []


def test_only_shards_that_dataset_json_names_are_read(folder, make_window):
    write_shard(folder, "train-00003-of-00004.tfrecord", [make_window("stale", 3)])
    assert "stale" not in [one["take"] for one in read_windows(load_dataset(str(folder)), "train")]


def test_an_unfinished_data_set_says_how_to_carry_on(tmp_path):
    with pytest.raises(DatasetError, match=r"dataset\.json: not there.*run the same `handstream extract` again"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[(text, "cannot be read") for text in ("", "{", "\xff")],
        *[(text, "not a description of a data set") for text in ("{}", "[]", "null", f'{{"schema": {SCHEMA}}}')],
    ],
)
def test_a_broken_dataset_json_is_named(tmp_path, text, reason):
    (tmp_path / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=rf"dataset\.json: {reason}.*handstream extract"):
        load_dataset(str(tmp_path))


def test_another_schema_is_refused(folder):
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": SCHEMA + 1}))
    with pytest.raises(DatasetError, match=f"schema {SCHEMA + 1}, and this version reads {SCHEMA}.*extract"):
        load_dataset(str(folder))


def test_a_whole_data_set_verifies(folder):
    assert [wrong for _, wrong in verify(load_dataset(str(folder)))] == ["", "", ""]


def flipped(data: bytes) -> bytes:
    return data[:50] + bytes([data[50] ^ 1]) + data[51:]


@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        (lambda data: data[:-1], "bytes, and dataset.json says"),
        (flipped, "checksum of the record at byte 0"),
        (lambda data: frame_record(b"x" * (len(data) - 16)), "1 windows, and dataset.json says 2"),
        (lambda data: frame_record(b"x" * 84) + frame_record(b"y" * (len(data) - 116)), "another sha256"),
    ],
    ids=["shorter", "flipped", "other windows", "other contents"],
)
def test_a_damaged_shard_is_found(folder, damage, wrong):
    path = folder / "train-00000-of-00003.tfrecord"
    path.write_bytes(damage(path.read_bytes()))
    found = dict(verify(load_dataset(str(folder))))
    assert wrong in found.pop(path.name)
    assert set(found.values()) == {""}


def test_a_missing_shard_is_found(folder):
    (folder / "train-00002-of-00003.tfrecord").unlink()
    assert "No such file" in dict(verify(load_dataset(str(folder))))["train-00002-of-00003.tfrecord"]


def test_a_padded_batch_of_tensorflows_is_what_tfrecord_lite_reads(folder, tf):
    dataset = load_dataset(str(folder))
    spec = parse_spec(dataset)
    records = tf.data.TFRecordDataset(dataset.shard_paths("train")).batch(3)
    (batch,) = [tf.io.parse_example(serialized, spec) for serialized in records]
    assert set(batch) == set(FEATURES)
    for row, one in enumerate(read_windows(dataset, "train")):
        for name, feature in FEATURES.items():
            value = batch[name][row].numpy()
            if feature.kind == "bytes":
                assert np.char.decode(np.array(value).astype(bytes)).tolist() == one[name]
                continue
            frames = len(one["time"]) if feature.shape[:1] == ("T",) else len(np.atleast_1d(value))
            np.testing.assert_array_equal(np.atleast_1d(value)[:frames], np.atleast_1d(one[name]), name)
            padding = np.atleast_1d(value)[frames:]
            assert np.isnan(padding).all() if feature.kind == "float" else (padding == 0).all()
