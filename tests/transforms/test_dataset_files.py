import io
import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from handstream.records.window import Statistics
from handstream.transforms.assemble import ClipReport, WindowOptions
from handstream.transforms.clips import Clip, SourceClips, TakeKey
from handstream.transforms.dataset import (
    SHARD_BYTES,
    ShardReceipt,
    all_shards,
    count_shards,
    describe,
    encode_clips,
    finish,
    retire,
    shard_of,
)
from handstream.transforms.landmarks import DetectionOptions
from handstream.transforms.match import write_plan
from handstream.transforms.takes import TakePlan
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=40)
DETECTION = DetectionOptions("/models/hand_landmarker.task", "ab12")
OPTIONS = WindowOptions(labels=("wave", "push"), views=2, view_names=("cam0", "cam1"), hands=2, by_side=True)


def receipt(name: str, windows: int = 1, label: str = "wave", subject: str = "s1", reports=()) -> ShardReceipt:
    digest = Statistics(windows, 30 * windows, 20, 0, 0, {33333: windows}, {30: windows})
    count = Counter({label: windows} if windows else {})
    return ShardReceipt(
        name, name.split("-")[0], windows, 99, f"sha of {name}", digest, count, Counter(count), {subject}, 2, [*reports]
    )


RECEIPTS = [
    receipt("train-00000-of-00002.tfrecord"),
    receipt("train-00001-of-00002.tfrecord", 2, "push", "s2"),
    receipt("test-00000-of-00001.tfrecord", 1, "wave", ""),
]


def report(name: str, status: str = "ok", error: str = "", frames: int = 0, **columns: str) -> ClipReport:
    clip = Clip(f"/in/{name}", name, name, label="wave", columns=columns)
    return ClipReport(clip, status, error, frames, frames // 2)


def rows(reports) -> list[dict]:
    return pq.read_table(io.BytesIO(encode_clips(reports))).to_pylist()


@given(st.dictionaries(st.sampled_from(["train", "validation", "test"]), st.integers(1, 10 * SHARD_BYTES)))
def test_shards_hold_64_mib_at_most_and_are_no_more_than_needed(sizes):
    for split, count in count_shards(sizes).items():
        assert (count - 1) * SHARD_BYTES < sizes[split] <= count * SHARD_BYTES


@quick
@given(st.text(max_size=6), st.text(max_size=6), st.integers(1, 5))
def test_a_take_falls_to_a_shard_that_there_is(take, label, count):
    plan = TakePlan(TakeKey("train", "s1", label, take), (), 9)
    shards = {"train": count, "test": 1}
    name, found = shard_of(plan, shards)
    assert (name, None) in list(all_shards(None, shards))
    assert found == plan


def test_every_shard_is_there_once():
    assert [name for name, _ in all_shards(None, {"test": 1, "train": 2})] == [
        "test-00000-of-00001.tfrecord",
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
    ]


def test_dataset_json_is_gone_before_a_shard_changes(tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    assert retire({"train": 1}, str(tmp_path)) == {"train": 1}
    assert not (tmp_path / "dataset.json").exists()
    assert retire({"train": 1}, str(tmp_path)) == {"train": 1}


def test_clips_are_rows_with_the_manifests_own_columns():
    one, two = rows([report("b.mp4", "failed", "no video", weather="rain"), report("a\n🖐.mp4", frames=10)])
    assert (one["path"], one["status"], one["frames"], one["hand_share"], one["weather"]) == (
        *("a\n🖐.mp4", "ok", 10, 0.5, None),
    )
    assert (two["path"], two["status"], two["error"], two["hand_share"], two["weather"]) == (
        *("b.mp4", "failed", "no video", None, "rain"),
    )


def test_a_column_called_like_one_of_ours_keeps_its_contents():
    clip = Clip("/in/a", "a", "a", columns={"frames": "many", "status": "draft"})
    (row,) = rows([ClipReport(clip, "ok", frames=10)])
    assert (row["frames"], row["manifest_frames"], row["status"], row["manifest_status"]) == (10, "many", "ok", "draft")


@quick
@given(st.permutations([report("a"), report("b"), report("c", weather="rain"), report("d", "skipped")]))
def test_the_order_of_reports_does_not_count(reports):
    assert encode_clips(reports) == encode_clips(sorted(reports, key=lambda r: r.clip.name))


def test_no_clips_are_a_table_too():
    assert rows([]) == []


@quick
@given(st.permutations(RECEIPTS))
def test_the_order_of_receipts_does_not_count(receipts):
    assert json.dumps(describe(receipts, DETECTION, OPTIONS)) == json.dumps(describe(RECEIPTS, DETECTION, OPTIONS))


def test_dataset_json_says_what_is_in_a_split():
    description = describe(RECEIPTS, DETECTION, OPTIONS)
    assert (description["labels"], description["views"], description["hands"], description["slots"]) == (
        *(["wave", "push"], 2, 2, "side"),
    )
    train = description["splits"]["train"]
    assert train["subjects"] == ["s1", "s2"]
    assert train["windows_by_label"] == {"push": 2, "wave": 1}
    assert train["statistics"]["windows"] == 3
    assert train["windows_dropped_without_hands"] == 4
    assert [shard["name"] for shard in train["shards"]] == [r.name for r in RECEIPTS[:2]]
    assert description["splits"]["validation"]["shards"] == []
    assert description["splits"]["test"]["subjects"] == []


def test_dataset_json_holds_nothing_of_this_machine():
    assert "/models" not in json.dumps(describe(RECEIPTS, DETECTION, OPTIONS))


def test_another_shard_is_another_data_set():
    others = [*RECEIPTS[:2], receipt("test-00000-of-00002.tfrecord")]
    assert describe(others, DETECTION, OPTIONS)["sha256"] != describe(RECEIPTS, DETECTION, OPTIONS)["sha256"]


@pytest.fixture
def finished(tmp_path):
    """A finished folder, into which the named files were put before."""

    def run(*before: str):
        out = tmp_path / "out [1]"
        out.mkdir()
        for name in before:
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(b"before")
        plan = f"{out}/plan/clips.jsonl"
        skipped = Clip("/in/._b.mp4", "._b.mp4", "._b.mp4", skipped="macOS metadata, not a video")
        write_plan(str(out), plan, [SourceClips(skipped.path, (skipped,))])
        receipts = [receipt("train-00000-of-00001.tfrecord", reports=[report("a.mp4")])]
        assert finish(receipts, str(out), plan, DETECTION, OPTIONS) == f"{out}/dataset.json"
        return out

    return run


def test_finishing_writes_dataset_json_and_a_row_for_every_clip(finished):
    out = finished()
    description = json.loads((out / "dataset.json").read_text())
    assert description["splits"]["train"]["shards"][0]["name"] == "train-00000-of-00001.tfrecord"
    table = pq.read_table(out / "clips.parquet").to_pylist()
    assert [(row["path"], row["status"], row["error"]) for row in table] == [
        ("._b.mp4", "skipped", "macOS metadata, not a video"),
        ("a.mp4", "ok", ""),
    ]


def test_shards_of_earlier_runs_are_removed(finished):
    out = finished("train-00000-of-00001.tfrecord", "train-00001-of-00002.tfrecord", "test-00000-of-00001.tfrecord")
    assert [path.name for path in out.glob("*.tfrecord")] == ["train-00000-of-00001.tfrecord"]


def test_files_that_are_no_shards_of_ours_stay(finished):
    out = finished("mine.tfrecord", "notes.txt", "other/train-00001-of-00002.tfrecord")
    assert (out / "mine.tfrecord").exists()
    assert (out / "notes.txt").exists()
    assert (out / "other/train-00001-of-00002.tfrecord").exists()
