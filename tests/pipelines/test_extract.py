"""The whole extraction on real clips, as a user runs it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from handstream.pipelines.cli import main
from handstream.records.dataset import load_dataset, read_windows, verify
from handstream.records.window import State
from handstream.transforms import detect
from handstream.transforms.detect import detect_segment

HERE = Path(__file__).parent
LAYOUT = ["--layout", "{subject}_{view}_{label}_{take}.mp4"]


@pytest.fixture(autouse=True)
def _model(landmarker, monkeypatch) -> None:
    monkeypatch.setenv("HANDSTREAM_LANDMARKER", landmarker)


def extract(*words: str | Path) -> int:
    return main(["extract", *map(str, words)])


def shards(out: Path) -> dict[str, bytes]:
    """The data set: what has to be the same bytes."""
    files = [*out.glob("*.tfrecord"), out / "dataset.json"]
    return {file.name: file.read_bytes() for file in files}


def rows(out: Path) -> dict[str, dict]:
    return {row["path"]: row for row in pq.read_table(out / "clips.parquet").to_pylist()}


def test_windows_hold_what_the_cameras_saw(reference):
    dataset = load_dataset(str(reference))
    assert dataset.labels == ["open", "point"]
    assert (dataset.views, dataset.hands) == (2, 2)
    assert {name for name, wrong in verify(dataset) if wrong} == set()
    windows = {w["take"]: w for split in ("train", "validation", "test") for w in read_windows(dataset, split)}
    assert set(windows) == {"1", "2", "3"}
    point = windows["1"]
    assert (point["label"], point["subject"], point["views"]) == ("point", "ann", ["cam0", "cam1"])
    assert point["label_id"] == 1
    assert point["hand_landmarks"].shape == (25, 2, 2, 21, 3)
    assert point["image_size"].tolist() == [[720, 720], [720, 720]]
    assert np.allclose(point["time"], np.arange(25) / 30, atol=1e-5)
    # One right hand, seen by both cameras all the time: in slot 1, and nothing in slot 0.
    assert point["side"].tolist() == [[-1, 1], [-1, 1]]
    assert (point["state"][:, :, 1] == State.SEEN).all()
    assert (point["state"][:, :, 0] == State.NONE).all()
    seen = point["hand_landmarks"][:, :, 1]
    assert np.isfinite(seen).all()
    assert np.isnan(point["hand_landmarks"][:, :, 0]).all()
    assert ((seen[..., :2] > 0) & (seen[..., :2] < 1)).mean() > 0.95
    # A take over two segments has all its frames.
    assert np.allclose(windows["3"]["time"], np.arange(36) / 3, atol=1e-5)


def test_each_subject_is_in_a_split_of_its_own(reference):
    description = load_dataset(str(reference)).description
    assert sorted(len(split["subjects"]) for split in description["splits"].values()) == [1, 1, 1]
    assert (reference / "splits.csv").read_text().splitlines()[0] == "group,split"


def test_nothing_in_the_data_set_names_a_folder_or_a_time(reference, clips):
    text = (reference / "dataset.json").read_text()
    for word in (str(clips), str(reference), os.uname().nodename):
        assert word not in text


VARIANTS = {
    "two threads": ["--direct_num_workers", "2"],
    "two processes": ["--direct_num_workers", "2", "--direct_running_mode", "multi_processing"],
    "DirectRunner by name": ["--runner", "DirectRunner"],
}


@pytest.mark.parametrize("flags", VARIANTS.values(), ids=VARIANTS)
def test_the_same_bytes_whoever_does_the_work(reference, clips, tmp_path, flags):
    assert extract(clips, tmp_path / "out", *LAYOUT, *flags) == 0
    assert shards(tmp_path / "out") == shards(reference)


def test_the_same_bytes_from_another_folder_and_time(reference, clips, tmp_path):
    other = tmp_path / "another folder"
    shutil.copytree(clips, other)
    for file in other.iterdir():
        os.utime(file, (1, 1))
    assert extract(other, tmp_path / "out", *LAYOUT) == 0
    assert shards(tmp_path / "out") == shards(reference)


def test_the_same_bytes_after_three_kills(reference, clips, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "handstream.pipelines.cli", "extract", str(clips), str(out), *LAYOUT]
    chance = random.Random(7)
    for _ in range(3):
        wanted = len(list(out.glob("landmarks/*/*/*.parquet"))) + chance.randint(1, 2)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(out.glob("landmarks/*/*/*.parquet"))) < wanted:
            threading.Event().wait(0.02)
        process.kill()
        process.wait()
        for file in out.glob("landmarks/*/*/*.parquet"):
            pq.read_table(file)
    assert extract(clips, out, *LAYOUT) == 0
    assert shards(out) == shards(reference)
    assert not (out / "tmp").exists()


def test_a_second_run_detects_nothing_anew(reference, clips, tmp_path, capfd):
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    before = shards(out)
    assert extract(clips, out, *LAYOUT) == 0
    assert "0 detected" in capfd.readouterr().err
    assert shards(out) == before


def test_damaged_landmarks_are_said_and_detected_anew_by_the_same_command(reference, clips, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(reference, out)
    damaged = min(out.glob("landmarks/*/*/*.parquet"))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    assert extract(clips, out, *LAYOUT) == 1
    (error,) = (row["error"] for row in rows(out).values() if row["status"] in ("failed", "partial"))
    assert f"{damaged} was damaged" in error
    assert "the same command detects it anew" in error
    assert extract(clips, out, *LAYOUT) == 0
    assert shards(out) == shards(reference)


def test_a_changed_file_is_detected_anew_and_a_renamed_one_is_not(clips, tmp_path, capfd):
    videos, out = tmp_path / "videos", tmp_path / "out"
    (videos / "wave").mkdir(parents=True)
    shutil.copy(clips / "ann_cam0_point_1.mp4", videos / "wave" / "a.mp4")
    assert extract(videos, out) == 0
    (videos / "wave" / "a.mp4").rename(videos / "wave" / "b.mp4")
    capfd.readouterr()
    assert extract(videos, out) == 0
    assert "0 detected" in capfd.readouterr().err
    shutil.copy(clips / "ben_cam0_point_2.mp4", videos / "wave" / "b.mp4")
    assert extract(videos, out) == 0
    assert "25 detected" in capfd.readouterr().err


def test_a_file_that_is_replaced_while_it_is_read_fails_and_the_next_run_takes_the_new_one(
    clips, tmp_path, monkeypatch
):
    video, out = tmp_path / "a.mp4", tmp_path / "out"
    shutil.copy(clips / "ann_cam0_point_1.mp4", video)

    def detect_and_replace(*arguments):
        found = detect_segment(*arguments)
        shutil.copy(clips / "cat_cam0_open_3.mp4", video)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(detect, "detect_segment", detect_and_replace)
        assert extract(video, out) == 1
    assert rows(out)["a.mp4"]["status"] == "failed"
    assert "changed while it was read" in rows(out)["a.mp4"]["error"]
    assert extract(video, out) == 0
    assert rows(out)["a.mp4"]["frames"] == 36


def test_a_run_with_other_options_leaves_no_data_set_of_mixed_shards(clips, tmp_path):
    """Killed while it writes shards, by a file system that ends the process at the first one."""
    out = tmp_path / "out"
    assert extract(clips, out, *LAYOUT) == 0
    code = (
        "import os, sys; from handstream.transforms import storage; from handstream.pipelines.cli import main\n"
        "rename = storage.FileSystems.rename\n"
        "def killed(sources, targets):\n"
        "    rename(sources, targets)\n"
        "    targets[0].endswith('.tfrecord') and os.kill(os.getpid(), 9)\n"
        "storage.FileSystems.rename = killed\n"
        f"main(['extract', {str(clips)!r}, {str(out)!r}, '--window', '0.5', *{LAYOUT!r}])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert not (out / "dataset.json").exists()
    assert main(["inspect", str(out)]) == 2
    assert extract(clips, out, *LAYOUT, "--window", "0.5") == 0
    dataset = load_dataset(str(out))
    assert not any(wrong for _, wrong in verify(dataset))
    named = {shard["name"] for split in dataset.description["splits"].values() for shard in split["shards"]}
    assert {file.name for file in out.glob("*.tfrecord")} == named


def test_windows_slide_over_continuous_video(clips, tmp_path):
    out = tmp_path / "out"
    assert extract(clips / "cat_cam0_open_3.mp4", out, "--window", "4", "--hop", "2") == 0
    windows = list(read_windows(load_dataset(str(out)), "train"))
    assert [(w["start_us"], w["end_us"]) for w in windows] == [
        (start * 1_000_000, (start + 4) * 1_000_000) for start in (0, 2, 4, 6, 8)
    ]
    assert all(len(w["time"]) == 12 and w["time"][0] == 0 for w in windows)


def test_a_short_take_is_one_window_as_short_as_it_is(clips, tmp_path, capfd):
    out = tmp_path / "out"
    assert extract(clips / "cat_cam0_open_3.mp4", out, "--window", "12.2") == 0
    assert "1 clips are shorter than --window 12.2 " in capfd.readouterr().err
    (window,) = read_windows(load_dataset(str(out)), "train")
    assert (window["start_us"], window["end_us"]) == (0, 12_000_000)
    assert extract(clips / "cat_cam0_open_3.mp4", out, "--window", "12.1") == 0
    assert "are shorter than" not in capfd.readouterr().err


def test_a_rate_puts_windows_on_an_even_clock_and_marks_what_lies_between(clips, tmp_path):
    out = tmp_path / "out"
    assert extract(clips / "ann_cam0_point_1.mp4", out, "--rate", "60") == 0
    (window,) = read_windows(load_dataset(str(out)), "train")
    assert np.allclose(np.diff(window["time"]), 1 / 60, atol=1e-5)
    assert window["state"][:, 0, 1].tolist() == [State.SEEN, State.INTERPOLATED] * 24 + [State.SEEN]
    x = window["hand_landmarks"][:, 0, 1, 0, 0]
    assert np.allclose(x[1:-1:2], (x[:-2:2] + x[2::2]) / 2, atol=1e-6)


def test_parts_of_one_file_by_a_manifest(clips, tmp_path):
    manifest = clips / "parts.csv"
    manifest.write_text(
        "path,label,take,start,end,room\n"
        "cat_cam0_open_3.mp4,open,a,0,4,kitchen\n"
        "cat_cam0_open_3.mp4,open,b,8,,kitchen\n"
        "missing.mp4,open,c,,,cellar\n"
    )
    out = tmp_path / "out"
    assert extract("--manifest", manifest, out) == 1
    windows = {
        w["take"]: w for split in ("train", "validation", "test") for w in read_windows(load_dataset(str(out)), split)
    }
    assert {take: len(w["time"]) for take, w in windows.items()} == {"a": 12, "b": 12}
    assert all(w["time"][0] == 0 for w in windows.values())
    table = pq.read_table(out / "clips.parquet").to_pylist()
    assert [(row["take"], row["status"], row["room"]) for row in table] == [
        ("a", "ok", "kitchen"),
        ("b", "ok", "kitchen"),
        ("c", "failed", "cellar"),
    ]
    assert "no such file" in table[2]["error"]
    # The parts of one file are in one split.
    assert len({row["split"] for row in table[:2]}) == 1


def test_photographs_are_takes_of_one_frame(data, tmp_path):
    folder = tmp_path / "photos"
    for label in ("palm", "left"):
        (folder / label).mkdir(parents=True)
        for photo in sorted((data / "images" / label).glob("*.jpg"))[:4]:
            shutil.copy(photo, folder / label)
    assert extract(folder, tmp_path / "out") == 0
    dataset = load_dataset(str(tmp_path / "out"))
    assert dataset.labels == ["left", "palm"]
    windows = [w for split in ("train", "validation", "test") for w in read_windows(dataset, split)]
    assert len(windows) == 8
    assert all(w["time"].tolist() == [0] for w in windows)
    assert sum((w["state"] == State.SEEN).any() for w in windows) >= 7
    # Takes without subjects are dealt out within each label.
    assert {tuple(split["takes_by_label"]) for split in dataset.description["splits"].values()} == {("left", "palm")}


def test_mirrored_footage_gives_the_other_side(clips, tmp_path):
    assert extract(clips / "ann_cam0_point_1.mp4", tmp_path / "out", "--mirrored") == 0
    (window,) = read_windows(load_dataset(str(tmp_path / "out")), "train")
    assert window["side"].tolist() == [[0, -1]]


def test_everything_nasty_goes_through_in_one_run(data, clips, tmp_path, capfd):
    folder = tmp_path / "nasty"
    shutil.copytree(data / "nasty", folder)
    (folder / "text.mp4").write_text("hello")
    (folder / "empty").mkdir()
    small = folder / "video_0.mov"
    names = ["a b 'c' \"d\".mov", "new\nline.mov", "\U0001f590.mov", "n" * 196 + ".mov", "glob[1]*?.mov", "#%{}.mov"]
    for name in names:
        shutil.copy(small, folder / name)
    shutil.copy(small, os.fsencode(folder) + b"/bytes\xff.mov")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    assert extract(folder, tmp_path / "out") == 1
    said = capfd.readouterr().err
    assert "Traceback" not in said
    found = rows(tmp_path / "out")
    media = [
        path for path in folder.rglob("*") if path.suffix not in (".decord", ".androidx-media") and not path.is_dir()
    ]
    assert len(found) == len(media)
    assert all(row["error"] for row in found.values() if row["status"] in ("failed", "partial"))
    assert found["corrupted.mp4"]["status"] == "partial"
    assert "28 frames" in found["corrupted.mp4"]["error"]
    assert found["zero_byte.mp4"]["status"] == "failed"
    assert found["gone.mp4"]["error"] == "a link to a file that is not there"
    assert found["pipe.mp4"]["error"] == "no regular file"
    for name in ("sample_av1.mp4", "sample_vvc.mp4", "8k24fps_300ms.mp4", "bytes\\xff.mov", *names):
        assert found[name]["status"] in ("ok", "no-hands"), name
    assert "corrupted" not in {w["take"] for w in read_windows(load_dataset(str(tmp_path / "out")), "train")}


def test_partial_clips_are_kept_on_request(data, tmp_path):
    clip = data / "nasty" / "corrupted.mp4"
    assert extract(clip, tmp_path / "out", "--keep-partial") == 1
    (window,) = read_windows(load_dataset(str(tmp_path / "out")), "train")
    assert len(window["time"]) == 28


def test_a_take_whose_one_view_failed_keeps_the_other(clips, tmp_path):
    folder = tmp_path / "takes"
    folder.mkdir()
    shutil.copy(clips / "ann_cam0_point_1.mp4", folder)
    (folder / "ann_cam1_point_1.mp4").write_bytes(b"broken")
    assert extract(folder, tmp_path / "out", *LAYOUT) == 1
    (window,) = read_windows(load_dataset(str(tmp_path / "out")), "train")
    assert (window["state"][:, 0, 1] == State.SEEN).all()
    assert (window["state"][:, 1] == State.NO_VIEW).all()
    assert np.isnan(window["hand_landmarks"][:, 1]).all()


@pytest.fixture
def memory() -> Iterator[dict[str, tuple[bytes, float]]]:
    sys.path.insert(0, str(HERE))
    from memory_files import MemoryFiles

    yield MemoryFiles.files
    MemoryFiles.files.clear()
    sys.path.remove(str(HERE))


def test_another_file_system_from_end_to_end(reference, clips, tmp_path, landmarker, memory):
    for file in clips.glob("*.mp4"):
        memory[f"memory://in/{file.name}"] = (file.read_bytes(), 0.0)
    memory["memory://models/hand.task"] = (Path(landmarker).read_bytes(), 0.0)
    flags = [*LAYOUT, "--landmarker", "memory://models/hand.task"]
    assert extract("memory://in", "memory://out/set", *flags) == 0
    written = {
        path.rpartition("/")[2]: data for path, (data, _) in memory.items() if path.startswith("memory://out/set/")
    }
    expected = shards(reference)
    assert {name: written[name] for name in expected} == expected
    assert not [path for path in memory if "/tmp/" in path]
    assert extract("memory://in/ann*.mp4", "memory://out/set", *flags) == 0


def test_no_outside_host_is_looked_up(clips, tmp_path):
    """A shim before libc's getaddrinfo sees what Python and all native libraries ask for."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the shim")
    shim = tmp_path / "shim.c"
    shim.write_text(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <netdb.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
        "typedef int (*Real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);\n"
        "int getaddrinfo(const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r) {\n"
        '  FILE *f = fopen(getenv("LOOKUPS"), "a"); if (f) { fprintf(f, "%s\\n", n ? n : "-"); fclose(f); }\n'
        '  return ((Real)dlsym(RTLD_NEXT, "getaddrinfo"))(n, s, h, r);\n}\n'
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(tmp_path / "shim.so"), str(shim), "-ldl"], check=True)
    lookups = tmp_path / "lookups"
    environment = {**os.environ, "LD_PRELOAD": str(tmp_path / "shim.so"), "LOOKUPS": str(lookups)}
    subprocess.run(
        [sys.executable, "-c", "import socket; socket.getaddrinfo('localhost', 80)"], env=environment, check=True
    )
    assert lookups.read_text() == "localhost\n", "the shim does not see look-ups"
    command = [sys.executable, "-m", "handstream.pipelines.cli", "extract", str(clips), str(tmp_path / "out"), *LAYOUT]
    subprocess.run(command, env=environment, check=True)
    own = {"localhost", "-", "127.0.0.1", "::1", "0.0.0.0", "::", os.uname().nodename}
    assert set(lookups.read_text().split()) <= own
