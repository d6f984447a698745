import io
import zipfile
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from handstream.transforms import landmarks, storage
from handstream.transforms.clips import Segment
from handstream.transforms.landmarks import (
    DamagedFile,
    DetectionOptions,
    Detections,
    Hand,
    Receipt,
    networks_digest,
    path_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=40)
OPTIONS = DetectionOptions("/models/hand_landmarker.task", "ab12")
SEGMENT = Segment("/in/a.mp4", "0123456789", "video", 3, True)


@st.composite
def detections(draw):
    counts = draw(st.lists(st.integers(0, 3), max_size=6))
    random = np.random.default_rng(draw(st.integers(0, 99)))

    def hand() -> Hand:
        points = random.normal(size=(2, 21, 3)).astype(np.float32)
        return Hand(float(np.float32(random.random())), *points)

    times = sorted(draw(st.lists(st.integers(-50_000, 10**12), min_size=len(counts), max_size=len(counts))))
    size = draw(st.tuples(st.integers(0, 9999), st.integers(0, 9999)))
    return Detections(*size, draw(st.text(max_size=8)), times, [[hand() for _ in range(n)] for n in counts])


def stored(tmp_path, found: Detections) -> str:
    path = path_of(str(tmp_path), SEGMENT, OPTIONS)
    storage.write_bytes(str(tmp_path), path, landmarks.encode(found, SEGMENT, OPTIONS))
    return path


@quick
@given(detections())
def test_what_was_detected_is_read_back(tmp_path_factory, found):
    path = stored(tmp_path_factory.mktemp("out"), found)
    read = landmarks.read(path)
    assert (read.width, read.height, read.error, read.times_us) == (
        *(found.width, found.height, found.error, found.times_us),
    )
    assert [len(hands) for hands in read.hands] == [len(hands) for hands in found.hands]
    for mine, theirs in zip(chain(*read.hands), chain(*found.hands), strict=True):
        assert mine.handedness == theirs.handedness
        np.testing.assert_array_equal(mine.landmarks, theirs.landmarks)
        np.testing.assert_array_equal(mine.world, theirs.world)
    assert landmarks.read_receipt(path) == Receipt(len(found.times_us), found.hand_count, found.error)


@quick
@given(detections())
def test_equal_detections_give_equal_bytes(found):
    assert landmarks.encode(found, SEGMENT, OPTIONS) == landmarks.encode(found, SEGMENT, OPTIONS)


def test_nothing_of_this_machine_is_written_down():
    text = landmarks.encode(Detections(), SEGMENT, OPTIONS)
    assert b"/models" not in text
    assert b"/in/a.mp4" not in text


def test_a_segment_that_was_not_done_has_no_receipt(tmp_path):
    assert landmarks.read_receipt(f"{tmp_path}/none.parquet") is None


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 99])
def test_a_damaged_file_has_no_receipt_and_is_not_read(tmp_path, damage):
    path = stored(tmp_path, Detections(640, 480, "", [0], [[]]))
    data = storage.read_bytes(path)
    storage.write_bytes(str(tmp_path), path, damage(data))
    assert landmarks.read_receipt(path) is None
    with pytest.raises(DamagedFile):
        landmarks.read(path)


@pytest.mark.parametrize("place", [0.2, 0.4, 0.6, 0.8])
def test_a_damaged_file_with_a_whole_footer_is_not_read_as_other_landmarks(tmp_path, place):
    points = np.random.default_rng(0).normal(size=(50, 2, 21, 3)).astype(np.float32)
    path = stored(tmp_path, Detections(640, 480, "", list(range(50)), [[Hand(0.9, *both)] for both in points]))
    data = bytearray(storage.read_bytes(path))
    data[int(place * len(data))] ^= 1
    storage.write_bytes(str(tmp_path), path, bytes(data))
    assert landmarks.read_receipt(path) == Receipt(50, 50)
    with pytest.raises(DamagedFile):
        landmarks.read(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        landmarks.read(f"{tmp_path}/none.parquet")


def test_a_file_is_named_by_content_segment_and_options():
    path = path_of("/out", SEGMENT, OPTIONS)
    assert path == f"/out/landmarks/01/0123456789/3-{OPTIONS.digest('video', False)}.parquet"
    assert path_of("/out", replace(SEGMENT, path="/elsewhere/copy.mp4"), OPTIONS) == path


@pytest.mark.parametrize(
    "other",
    [
        replace(OPTIONS, networks_sha256="cd34"),
        replace(OPTIONS, running_mode="image"),
        replace(OPTIONS, num_hands=3),
        replace(OPTIONS, sample_fps=5.0),
    ],
)
def test_other_options_are_another_file(other):
    assert path_of("/out", SEGMENT, other) != path_of("/out", SEGMENT, OPTIONS)


def test_a_mirrored_segment_is_another_file():
    assert path_of("/out", replace(SEGMENT, mirrored=True), OPTIONS) != path_of("/out", SEGMENT, OPTIONS)


def test_where_the_landmarker_lies_does_not_count():
    assert replace(OPTIONS, landmarker="/elsewhere").digest("video", False) == OPTIONS.digest("video", False)


def test_an_image_does_not_depend_on_options_for_video():
    video_only = replace(OPTIONS, running_mode="image", sample_fps=5.0)
    assert video_only.digest("image", False) == OPTIONS.digest("image", False)
    assert OPTIONS.digest("image", False) != replace(OPTIONS, num_hands=1).digest("image", False)


def bundle(files: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return data.getvalue()


def test_networks_are_the_same_however_they_are_zipped():
    files = {"detector.tflite": b"a" * 99, "landmarks.tflite": b"b"}
    digest = networks_digest(bundle(files))
    assert digest == networks_digest(bundle(dict(reversed(files.items())), zipfile.ZIP_DEFLATED))
    assert digest != networks_digest(bundle({**files, "landmarks.tflite": b"c"}))
    with pytest.raises(ValueError, match="not a MediaPipe task bundle"):
        networks_digest(b"<html>404</html>")
