"""WriteDataset and Finish: takes to shards, and what they hold to clips.parquet and dataset.json."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection
from handstream.records.dataset import DATASET_JSON, SPLITS
from handstream.records.example import encode_window
from handstream.records.tfrecord import frame_record
from handstream.records.window import SCHEMA, Statistics
from handstream.transforms import storage
from handstream.transforms.assemble import ClipReport, WindowOptions, windows_of_take
from handstream.transforms.landmarks import DetectionOptions
from handstream.transforms.match import read_plan
from handstream.transforms.splits import group_hash
from handstream.transforms.takes import TakePlan
from handstream.transforms.tally import TALLY

SHARD_BYTES = 64 << 20
SHARD_NAME = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.tfrecord")
CLIPS_PARQUET = "clips.parquet"


@dataclass
class ShardReceipt:
    """What stands in a shard."""

    name: str
    split: str
    windows: int
    bytes: int
    sha256: str
    statistics: Statistics
    labels: Counter[str]
    """Windows by label."""
    takes: Counter[str]
    """Takes by label."""
    subjects: set[str]
    dropped: int
    """Sliding windows without hands, which were left out."""
    reports: list[ClipReport] = field(default_factory=list)


def count_shards(bytes_by_split: dict[str, int]) -> dict[str, int]:
    """How many shards of about 64 MiB each split needs."""
    return {split: -(-size // SHARD_BYTES) for split, size in sorted(bytes_by_split.items())}


def retire(bytes_by_split: dict[str, int], out: str) -> dict[str, int]:
    """Delete dataset.json before the first shard changes: from here on until Finish, OUT is no data set."""
    storage.remove(storage.join(out, DATASET_JSON))
    return count_shards(bytes_by_split)


def shard_name(split: str, index: int, count: int) -> str:
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord"


def shard_of(plan: TakePlan, shards: dict[str, int]) -> tuple[str, TakePlan | None]:
    """(name of the shard, take)"""
    count = shards[plan.key.split]
    return shard_name(plan.key.split, group_hash(plan.key.encode()) % count, count), plan


def all_shards(_: object, shards: dict[str, int]) -> Iterator[tuple[str, TakePlan | None]]:
    """Every shard, so that one to which no take falls is there too."""
    for split, count in shards.items():
        for index in range(count):
            yield shard_name(split, index, count), None


@dataclass(eq=False)
class WriteDataset(beam.PTransform):
    """Take plans to shards; a receipt for each. What a shard holds does not depend on how the work was spread."""

    out: str
    detection: DetectionOptions
    options: WindowOptions

    def expand(self, plans: PCollection[TakePlan]) -> PCollection[ShardReceipt]:
        shards = beam.pvalue.AsSingleton(
            plans
            | "SizeOfTake" >> beam.Map(lambda plan: (plan.key.split, plan.bytes))
            | "SizeOfSplit" >> beam.CombinePerKey(sum)
            | "Sizes" >> beam.combiners.ToDict()
            | "Retire" >> beam.Map(retire, out=self.out)
        )
        takes = plans | "Shard" >> beam.Map(shard_of, shards)
        empty = plans.pipeline | beam.Create([None]) | "AllShards" >> beam.FlatMap(all_shards, shards)
        return (
            (takes, empty)
            | beam.Flatten()
            | "GroupByShard" >> beam.GroupByKey()
            | beam.ParDo(_WriteShard(self.out, self.detection, self.options))
        )


class _WriteShard(beam.DoFn):
    def __init__(self, out: str, detection: DetectionOptions, options: WindowOptions) -> None:
        self._out = out
        self._detection = detection
        self._options = options
        self._windows = Metrics.counter(WriteDataset, "windows")
        self._without_hands = Metrics.counter(WriteDataset, "windows_dropped_without_hands")

    def process(self, element: tuple[str, Iterable[TakePlan | None]]) -> Iterator[ShardReceipt]:
        name, plans = element
        takes = sorted((plan for plan in plans if plan is not None), key=lambda plan: plan.key)
        receipt = ShardReceipt(name, name.split("-")[0], 0, 0, "", Statistics(), Counter(), Counter(), set(), 0)
        sha256 = hashlib.sha256()
        with storage.writing(self._out, storage.join(self._out, name)) as file:
            for plan in takes:
                take = windows_of_take(plan.key, plan.clips, self._out, self._detection, self._options)
                for window in take.windows:
                    record = frame_record(encode_window(window))
                    file.write(record)
                    sha256.update(record)
                    receipt.bytes += len(record)
                    receipt.statistics.add(window)
                    receipt.labels[window.label] += 1
                if take.windows:
                    receipt.takes[plan.key.label] += 1
                    receipt.subjects.add(plan.key.subject)
                receipt.dropped += take.windows_without_hands
                receipt.reports += take.reports
                self._windows.inc(len(take.windows))
                self._without_hands.inc(take.windows_without_hands)
                TALLY.add(takes=1)
        receipt.windows = receipt.statistics.windows
        receipt.sha256 = sha256.hexdigest()
        yield receipt


@dataclass(eq=False)
class Finish(beam.PTransform):
    """Shard receipts to clips.parquet, then dataset.json; after that, shards of earlier runs are removed."""

    out: str
    plan: str
    detection: DetectionOptions
    options: WindowOptions

    def expand(self, receipts: PCollection[ShardReceipt]) -> PCollection[str]:
        return receipts | beam.combiners.ToList() | beam.Map(finish, self.out, self.plan, self.detection, self.options)


def finish(
    receipts: list[ShardReceipt], out: str, plan: str, detection: DetectionOptions, options: WindowOptions
) -> str:
    """Write clips.parquet and dataset.json; the path of the latter."""
    reports = [report for receipt in receipts for report in receipt.reports]
    for source in read_plan(plan):
        reports += [ClipReport(clip, "skipped", clip.skipped) for clip in source.clips if clip.skipped]
    storage.write_bytes(out, storage.join(out, CLIPS_PARQUET), encode_clips(reports))
    description = describe(receipts, detection, options)
    path = storage.join(out, DATASET_JSON)
    storage.write_bytes(out, path, (json.dumps(description, indent=1, ensure_ascii=False) + "\n").encode())
    named = {receipt.name for receipt in receipts}
    for meta in storage.list_files(storage.join(storage.literal(out), "*.tfrecord")):
        name = meta.path.rpartition("/")[2]
        if SHARD_NAME.fullmatch(name) and name not in named:
            storage.remove(meta.path)
    return path


def encode_clips(reports: Iterable[ClipReport]) -> bytes:
    """clips.parquet: a row for every clip, sorted; the manifest's own columns last, as text."""
    ordered = sorted(reports, key=lambda r: (r.clip.name, r.clip.start_us, r.clip.take, r.clip.view))
    own = sorted({column for report in ordered for column in report.clip.columns})
    rows: dict[str, tuple[pa.DataType, list[Any]]] = {
        "path": (pa.string(), [r.clip.name for r in ordered]),
        "take": (pa.string(), [r.clip.take for r in ordered]),
        "view": (pa.string(), [r.clip.view for r in ordered]),
        "label": (pa.string(), [r.clip.label for r in ordered]),
        "subject": (pa.string(), [r.clip.subject for r in ordered]),
        "split": (pa.string(), [r.clip.split for r in ordered]),
        "start": (pa.float64(), [r.clip.start for r in ordered]),
        "end": (pa.float64(), [r.clip.end for r in ordered]),
        "mirrored": (pa.bool_(), [r.clip.mirrored for r in ordered]),
        "source": (pa.string(), [r.source for r in ordered]),
        "status": (pa.string(), [r.status for r in ordered]),
        "error": (pa.string(), [r.error for r in ordered]),
        "frames": (pa.int64(), [r.frames for r in ordered]),
        "hand_share": (pa.float64(), [r.frames_with_hands / r.frames if r.frames else None for r in ordered]),
        "seconds": (pa.float64(), [r.seconds for r in ordered]),
        "hands_dropped": (pa.int64(), [r.hands_dropped for r in ordered]),
    }
    for column in own:
        # A column of the user's that is called like one of ours keeps its contents under another name.
        name = column
        while name in rows:
            name = f"manifest_{name}"
        rows[name] = (pa.string(), [r.clip.columns.get(column) for r in ordered])
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in rows.items()})
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd", write_page_checksum=True)
    return file.getvalue()


def describe(receipts: list[ShardReceipt], detection: DetectionOptions, options: WindowOptions) -> dict[str, Any]:
    """dataset.json: no clock, no path, nothing that depends on the order of the receipts."""
    splits: dict[str, Any] = {}
    for split in SPLITS:
        mine = sorted((r for r in receipts if r.split == split), key=lambda r: r.name)
        total, labels, takes = Statistics(), Counter[str](), Counter[str]()
        for receipt in mine:
            total.merge(receipt.statistics)
            labels += receipt.labels
            takes += receipt.takes
        splits[split] = {
            "takes": takes.total(),
            "subjects": sorted(set().union(*(r.subjects for r in mine)) - {""}),
            "takes_by_label": dict(sorted(takes.items())),
            "windows_by_label": dict(sorted(labels.items())),
            "windows_dropped_without_hands": sum(r.dropped for r in mine),
            "statistics": total.summary(),
            "shards": [{"name": r.name, "windows": r.windows, "bytes": r.bytes, "sha256": r.sha256} for r in mine],
        }
    shards = [shard for split in splits.values() for shard in split["shards"]]
    windows = asdict(options)
    windows.pop("labels")
    return {
        "schema": SCHEMA,
        "handstream": version("handstream"),
        "labels": list(options.labels),
        "views": windows.pop("views"),
        "hands": windows.pop("hands"),
        "slots": "side" if windows.pop("by_side") else "track",
        "view_names": windows.pop("view_names"),
        "windows": windows,
        "detection": detection.provenance(),
        "sha256": hashlib.sha256("".join(s["sha256"] for s in shards).encode()).hexdigest(),
        "splits": splits,
    }
