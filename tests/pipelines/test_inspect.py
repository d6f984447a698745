from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from handstream.pipelines.cli import main


def test_shows_splits_labels_views_and_clips(reference, capsys):
    assert main(["inspect", str(reference)]) == 0
    shown = capsys.readouterr().out
    for words in ("2 labels, 2 views, 2 hands", "train", "point", "cam0", "6 ok"):
        assert words in shown


def test_for_machines(reference, capsys):
    assert main(["inspect", str(reference), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["clips"] == {"ok": 6}
    assert sum(split["statistics"]["windows"] for split in facts["splits"].values()) == 3


def test_one_take_as_a_table_and_for_machines(reference, capsys):
    assert main(["inspect", str(reference), "--take", "1"]) == 0
    shown = capsys.readouterr().out
    assert "take 1: point, subject ann" in shown
    assert "cam0 slot 1" in shown
    assert "0.033" in shown
    assert main(["inspect", str(reference), "--take", "1", "--json"]) == 0
    (window,) = json.loads(capsys.readouterr().out)
    assert len(window["time"]) == 25
    assert window["hand_landmarks"][0][0][0][0] == [None, None, None]
    assert main(["inspect", str(reference), "--take", "none"]) == 1
    assert "no window of take 'none'" in capsys.readouterr().err


def test_verify_finds_what_was_changed(reference, tmp_path, capsys):
    assert main(["inspect", str(reference), "--verify"]) == 0
    copy = tmp_path / "copy"
    shutil.copytree(reference, copy)
    shard = next(copy.glob("train-*.tfrecord"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    next(copy.glob("test-*.tfrecord")).unlink()
    assert main(["inspect", str(copy), "--verify"]) == 1
    shown = capsys.readouterr().out
    assert "wrong checksum" in shown
    assert "No such file" in shown


DAMAGE = {
    "not there": None,
    "empty": lambda data: b"",
    "cut short": lambda data: data[:-7],
    "changed": lambda data: data[:200] + b"\xff" + data[201:],
    "garbage": lambda data: b"garbage" * 99,
}


@pytest.mark.parametrize("name", ["train-00000-of-00001.tfrecord", "clips.parquet"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_with_the_way_out(reference, tmp_path, capsys, name, damage):
    copy = tmp_path / "copy"
    shutil.copytree(reference, copy)
    if damage:
        (copy / name).write_bytes(damage((copy / name).read_bytes()))
    else:
        (copy / name).unlink()
    words = ["--take", "none"] if name.endswith(".tfrecord") else []
    status = main(["inspect", str(copy), *words])
    said = capsys.readouterr().err
    assert status == 2
    assert f"{copy / name}: " in said
    assert "Run the same `handstream extract` again" in said


@pytest.mark.parametrize(
    ("contents", "words"),
    [(None, "is no data set"), ("{", "cannot be read"), ("[]", "not a description"), ('{"schema": 99}', "schema 99")],
)
def test_what_is_no_data_set_is_said(tmp_path, capsys, contents, words):
    if contents is not None:
        (tmp_path / "dataset.json").write_text(contents)
    assert main(["inspect", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--json"], ["--take", "1"], ["--verify"]])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "| true"])
def test_streams_may_be_closed(reference, words, closed):
    command = [sys.executable, "-m", "handstream.pipelines.cli", "inspect", str(reference), *words]
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_imports_nothing_heavy(reference):
    code = (
        "import sys; from handstream.pipelines.cli import main\n"
        f"for words in ([], ['--take', '1'], ['--verify']): main(['inspect', {str(reference)!r}, *words])\n"
        "heavy = {'tensorflow', 'mediapipe', 'apache_beam', 'cv2', 'av', 'scipy'}\n"
        "found = heavy & {name.split('.')[0] for name in sys.modules}\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_an_unknown_command_names_the_nearest(capsys):
    assert main(["extrakt"]) == 2
    assert "Did you mean extract?" in capsys.readouterr().err
