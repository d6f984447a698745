"""The folder that a run writes to, and how a run ends."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from handstream.pipelines import output, runs, summary
from handstream.pipelines.cli import main
from handstream.pipelines.progress import ExtractionProgress
from handstream.pipelines.runner import choose_runner
from handstream.records.errors import InputError
from handstream.transforms import storage


@pytest.fixture(autouse=True)
def _model(landmarker, monkeypatch) -> None:
    monkeypatch.setenv("HANDSTREAM_LANDMARKER", landmarker)


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "handstream.pipelines.cli", "extract", *map(str, words)]


def test_out_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"), output.opened(str(tmp_path / "out")):
        pass


def test_out_whose_name_is_not_utf_8(tmp_path, capsys):
    (tmp_path / "a.mp4").write_text("")
    for flags in ([], ["--dry-run"]):
        assert main(["extract", str(tmp_path / "a.mp4"), f"{tmp_path}/out\udcff", *flags]) == 2
        assert "out\\xff: its name is not UTF-8" in capsys.readouterr().err


def test_out_that_holds_something_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"something else \(thesis.tex\)"), output.opened(str(tmp_path)):
        pass
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_somebody_else_s_data_set_is_not_taken_over(tmp_path):
    (tmp_path / "dataset.json").write_text('{"name": "theirs"}')
    (tmp_path / "train-00000-of-00002.tfrecord").write_bytes(b"theirs")
    with pytest.raises(InputError, match="something else"), output.opened(str(tmp_path)):
        pass
    assert (tmp_path / "train-00000-of-00002.tfrecord").read_bytes() == b"theirs"


def test_out_below_a_file_or_not_writable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"), output.opened(str(tmp_path / "file" / "out")):
        pass
    with pytest.raises(InputError, match="cannot be written to"), output.opened("/proc/handstream"):
        pass


def test_two_runs_do_not_write_one_folder(tmp_path):
    out = str(tmp_path / "out")
    with output.opened(out):
        with pytest.raises(InputError, match="another run"), output.opened(out):
            pass
    with output.opened(out):
        pass


def test_the_lock_ends_with_a_killed_process(tmp_path):
    out = str(tmp_path / "out")
    code = f"import os; from handstream.pipelines import output\nwith output.opened({out!r}): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    with output.opened(out):
        pass


def test_what_a_killed_run_left_half_written_goes(tmp_path):
    out = tmp_path / "out"
    with output.opened(str(out)):
        pass
    (out / "tmp").mkdir(exist_ok=True)
    (out / "tmp" / "half").write_text("")
    with output.opened(str(out)):
        assert not (out / "tmp" / "half").exists()


def test_what_a_failed_run_left_half_written_goes(tmp_path):
    with pytest.raises(RuntimeError), output.opened(str(tmp_path)):
        raise RuntimeError
    assert not (tmp_path / "tmp").exists()


def test_wrong_usage_is_status_2_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    assert main(["extract", str(tmp_path / "nothing"), str(tmp_path / "out")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["extract", str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "holds no video and no image" in capsys.readouterr().err
    monkeypatch.setenv("HANDSTREAM_LANDMARKER", str(tmp_path / "none.task"))
    (tmp_path / "a.mp4").write_text("")
    assert main(["extract", str(tmp_path / "a.mp4"), str(tmp_path / "out")]) == 2
    assert "none.task" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_model_the_command_that_brings_it_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("HANDSTREAM_LANDMARKER")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "a.mp4").write_text("")
    assert main(["extract", str(tmp_path / "a.mp4"), str(tmp_path / "out")]) == 2
    assert "handstream fetch-model" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_ctrl_c_ends_the_run_and_says_that_the_command_carries_on(clips, tmp_path, number, mode):
    words = (clips, tmp_path / "out", "--direct_running_mode", mode)
    with subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "clips to" in line:
                break
        while process.poll() is None and not list((tmp_path / "out").glob("plan/sources/*/*")):
            threading.Event().wait(0.05)
        process.send_signal(number)
        rest = process.stderr.read()
        process.wait(timeout=30)
    assert "carries on" in rest
    assert process.returncode == 128 + number
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_a_run_whose_words_nobody_reads_goes_on(clips, tmp_path):
    words = command(clips / "ann_cam0_point_1.mp4", tmp_path / "out")
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
    assert process.returncode == 0
    assert (tmp_path / "out" / "dataset.json").exists()


def test_a_run_with_closed_streams_goes_on(clips, tmp_path):
    words = command(clips / "ann_cam0_point_1.mp4", tmp_path / "out")
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], check=False)
    assert done.returncode == 0
    assert (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_fails_with_its_word(clips, tmp_path, monkeypatch, capfd, number):
    create = storage.FileSystems.create
    written = Counter[str]()

    def full(path: str, *args: object, **kwargs: object) -> object:
        written["files"] += 1
        if written["files"] > 8:
            raise OSError(number, os.strerror(number), path)
        return create(path, *args, **kwargs)

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(storage.FileSystems, "create", staticmethod(full))
        assert main(["extract", str(clips), str(out)]) == 1
    said = capfd.readouterr().err
    assert f"handstream: {out}/tmp/" in said
    assert f": {os.strerror(number)}. " in said
    assert "carries on" in said
    assert "Traceback" not in said
    assert not (out / "dataset.json").exists()
    assert not list(out.glob("*.tfrecord"))
    assert main(["extract", str(clips), str(out)]) == 0


def test_a_folder_in_the_place_of_a_file_is_named(clips, tmp_path, capfd):
    out = tmp_path / "out"
    with output.opened(str(out)):
        (out / "clips.parquet" / "x").mkdir(parents=True)
    assert main(["extract", str(clips / "ann_cam0_point_1.mp4"), str(out), "--quiet"]) == 1
    said = capfd.readouterr().err
    assert said.startswith(f"handstream: {out}/clips.parquet: Is a directory. ")
    assert len(said.splitlines()) == 1


def test_dry_run_says_what_would_be_done_and_does_nothing(clips, tmp_path, capsys):
    layout = ["--layout", "{subject}_{view}_{label}_{take}.mp4"]
    assert main(["extract", str(clips), str(tmp_path / "out"), *layout, "--dry-run"]) == 0
    said = capsys.readouterr().out
    for words in ("6 clips, 3 takes", "open 2", "point 4", "ann 2", "cam0 3", "172 frames", "cores of this machine"):
        assert words in said
    assert not (tmp_path / "out").exists()


def test_dry_run_judges_videos_and_photographs_together(data, clips, tmp_path, capsys):
    photo = next(iter(sorted((data / "images" / "palm").glob("*.jpg"))))
    assert main(["extract", str(photo), str(clips / "ann_cam0_point_1.mp4"), str(tmp_path / "out"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "about 26 frames and images to look at" in said
    assert "cores of this machine" in said


def test_dry_run_fails_where_a_file_cannot_be_read(clips, tmp_path, capsys):
    (tmp_path / "broken.mp4").write_text("hello")
    words = ["extract", str(clips / "cat_cam0_open_3.mp4"), str(tmp_path / "broken.mp4"), str(tmp_path / "out")]
    assert main([*words, "--dry-run"]) == 1
    said = capsys.readouterr().out
    assert f"cannot be read: {tmp_path}/broken.mp4: no readable video" in said
    assert "0:12 of video" in said


def test_quiet_says_nothing_when_all_is_well(clips, tmp_path, capfd):
    assert main(["extract", str(clips / "ann_cam0_point_1.mp4"), str(tmp_path / "out"), "--quiet"]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    assert captured.out == ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=FlinkRuner"], "--runner FlinkRuner"),
        (["--direct_running_mode=nonsense"], "^argument --direct_running_mode: invalid choice: 'nonsense'"),
        (["--direct_num_workers=many"], "invalid int value"),
    ],
)
def test_what_beam_refuses_is_wrong_usage(flags, message):
    with pytest.raises(InputError, match=message):
        choose_runner(flags)


@pytest.mark.parametrize("name", ["DirectRunner", "directrunner", "direct", "FnApiRunner"])
def test_the_local_runner_is_named_outright(name):
    runner = choose_runner([f"--runner={name}"])
    assert str(runner).startswith("FnApiRunner")
    assert runner.threads


def test_broken_labels_are_said():
    assert runs.read_labels(None) == []
    assert runs.read_labels(b'["a"]') == ["a"]
    for broken in (b"{", b"{}", b"[1]", b'["a", "b", "a"]'):
        with pytest.raises(InputError, match="a list of different texts is wanted"):
            runs.read_labels(broken)


def test_copies_in_different_splits_are_said():
    row = {"seconds": 1.0, "status": "ok", "hands_dropped": 0, "source": "0a"}
    rows = [{**row, "path": "a.mp4", "split": "train"}, {**row, "path": "b.mp4", "split": "test"}]
    args = argparse.Namespace(window=None, num_hands=2)
    (said,) = summary.warnings(rows, {"splits": {}}, args)
    assert "copies of one another" in said


def test_progress_says_how_far_it_is(monkeypatch):
    progress = ExtractionProgress(sys.stderr, True, Counter, sources=4)
    assert "looked at 2 of 4 files" in progress.line(Counter(sources=2))
    counts = Counter(sources=4, segments=3, detected=1, frames_expected=900, frames_seen=300, failed_segments=1)
    progress.line(counts)
    monkeypatch.setattr("handstream.pipelines.progress.time.monotonic", lambda: progress._first[0] + 10)
    later = progress.line(counts + Counter(frames_seen=300))
    assert later == "1 of 3 segments, 600 of 900 frames, 30/s, 0:10 left, 1 failures"
    assert progress.line(Counter(sources=4, receipts=2)) == "2 segments of 4 files detected"
    done = Counter(sources=4, segments=1, detected=1, frames_expected=3, frames_seen=3, takes=2)
    assert "writing windows: 2 takes" in progress.line(done)


@pytest.mark.parametrize(
    ("rows", "window", "words"),
    [
        (
            [{"seconds": 20.0, "status": "ok", "path": "a.mp4", "hands_dropped": 0, "source": "", "split": "train"}],
            None,
            "longer than 15 s",
        ),
        (
            [{"seconds": 2.0, "status": "ok", "path": "a.mp4", "hands_dropped": 3, "source": "", "split": "train"}],
            None,
            "3 detections found no free slot",
        ),
    ],
)
def test_what_is_rarely_meant_is_said(rows, window, words):
    args = argparse.Namespace(window=window, num_hands=2)
    description = {"splits": {"train": {"statistics": {"step_us": {"min": 1, "median": 1, "max": 166_667}}}}}
    said = list(summary.warnings(rows, description, args))
    assert any(words in line for line in said)
    assert any("0.17 s between frames" in line for line in said)
