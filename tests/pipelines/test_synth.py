"""The whole command: the same pixels whoever renders them, and hands that the detector finds."""

from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path

import cv2
import pytest
from handstream.pipelines.cli import main
from handstream.records.dataset import SPLITS, load_dataset, read_windows
from handstream.records.window import Side, State
from handstream.synthetic import truth
from handstream.synthetic.measure import frames_of_window, measure

TINY = ("--gestures", "wave,high five", "--subjects", "2", "--seconds", "0.5", "--size", "160x120", "--palm", "20")
THREADS = ("--direct_running_mode", "multi_threading")


def synth(out: Path, *flags: str) -> int:
    return main(["synth", str(out), "--quiet", *flags])


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_files_on_any_number_of_workers(tmp_path):
    assert synth(tmp_path / "a", *TINY, *THREADS, "--direct_num_workers", "1") == 0
    assert synth(tmp_path / "b", *TINY, "--direct_num_workers", "2", "--picture", str(tmp_path / "b.png")) == 0
    assert cv2.imread(str(tmp_path / "b.png")).shape == (8 * 150, 6 * 200, 3)
    first = digests(tmp_path / "a")
    assert first == digests(tmp_path / "b")
    assert len([name for name in first if name.endswith(".mp4")]) == 8
    assert len([name for name in first if name.startswith("truth/")]) == 4
    assert not (tmp_path / "a" / "tmp").exists()


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    """A wave of either hand in two views, lit and at a size that MediaPipe sees, and what was extracted."""
    folder = tmp_path_factory.mktemp("waves")
    assert synth(folder / "clips", "--gestures", "wave,zoom", "--subjects", "1", "--seconds", "1", *THREADS) == 0
    return folder


def test_what_is_rendered_is_found_where_it_is(waves, landmarker):
    clips, out = waves / "clips", waves / "out"
    assert main(["extract", "--manifest", str(clips / "manifest.csv"), str(out), "--quiet"]) == 0
    windows = [w for split in SPLITS for w in read_windows(load_dataset(str(out)), split)]
    assert sorted((w["label"], w["subject"], w["take"]) for w in windows) == [
        ("wave", "s01", "s01-wave-1"),
        ("zoom", "s01", "s01-zoom-1"),
    ]
    for window in windows:
        assert window["views"] == ["cam0", "cam1"]
        true = truth.read_true_hands((clips / f"truth/s01_{window['label']}_1.parquet").read_bytes())
        for view in window["views"]:
            score = measure(frames_of_window(window, view, true[view]))["all"]
            assert score.visible >= 25
            assert score.found_share > 0.9
            assert score.side_share == 1
            assert score.false_share < 0.05
            assert score.median_error < 6
    zoom = windows[[w["label"] for w in windows].index("zoom")]
    assert zoom["side"].tolist() == [[Side.LEFT, Side.RIGHT]] * 2
    assert (zoom["state"] == State.SEEN).mean() > 0.85


def test_a_continuous_clip_is_cut_by_its_manifest(tmp_path, landmarker):
    clips, out = tmp_path / "clips", tmp_path / "out"
    flags = ("--gestures", "push,wave", "--continuous", "6", "--subjects", "1", "--views", "1", "--fps", "10")
    assert synth(clips, *flags, *THREADS) == 0
    assert [path.name for path in (clips / "videos").iterdir()] == ["s01_solo1_cam0.mp4"]
    assert main(["extract", "--manifest", str(clips / "manifest.csv"), str(out), "--quiet"]) == 0
    windows = [w for split in SPLITS for w in read_windows(load_dataset(str(out)), split)]
    labels = [w["label"] for w in sorted(windows, key=lambda w: int(w["take"].rpartition("-")[2]))]
    assert labels[::2] == ["none"] * len(labels[::2])
    assert set(labels[1::2]) <= {"push", "wave"}
    assert len(labels) >= 3


def test_ci3ds_folders_are_read_by_the_layout_that_is_named(tmp_path, capsys):
    flags = ("--gestures", "high five", "--subjects", "2", "--seconds", "0.5", "--size", "200x200", "--palm", "15")
    assert main(["synth", str(tmp_path / "clips"), "--layout", "ci3d", *flags, "--fps", "10", *THREADS]) == 0
    words = shlex.split(capsys.readouterr().err.partition("next: ")[2])
    base = tmp_path / "clips" / "chi3d"
    assert (base / "train/s02/videos/65906101/High five 1.mp4").exists()
    assert (base / "test/s03/camera_parameters/High five 1.json").exists()
    assert words[:2] == ["handstream", "extract"]
    assert main([*words[1:-1], str(tmp_path / "out"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "High five" in said
    assert "65906101" in said


WRONG = {
    "no gesture 'wav'": ("--gestures", "wav"),
    "--subjects 0": ("--subjects", "0"),
    "--takes -1": ("--takes", "-1"),
    "even numbers": ("--size", "641x480"),
    "width and height": ("--size", "640"),
    "a third of the picture": ("--palm", "600"),
    "0.5 to 600 seconds": ("--seconds", "nan"),
    "3 numbers for 2 views": ("--fps", "30,25,20"),
    "a number, or one a view": ("--offsets", "soon"),
    "0 to 1.8": ("--offsets", "1.9"),
    "CI3D has 4 cameras": ("--layout", "ci3d", "--views", "5"),
    "its cameras run together": ("--layout", "ci3d", "--fps", "50,25,50,50"),
    "no gesture has room": ("--continuous", "1"),
    "there is no such folder": ("--picture", "nowhere/clips.png"),
    "CI3D's clips hold one": ("--layout", "ci3d", "--continuous", "60"),
    "there is no flag --gesture": ("--gesture", "wave"),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_usage_is_said_before_work_starts(tmp_path, message, capsys):
    assert main(["synth", str(tmp_path / "out"), *WRONG[message]]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_out_is_a_new_or_empty_folder(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("x")
    assert synth(tmp_path, *TINY) == 2
    assert "is not empty (mine.txt)" in capsys.readouterr().err
    assert synth(tmp_path / "mine.txt", *TINY) == 2
    assert "is a file" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["mine.txt"]
