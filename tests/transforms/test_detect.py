import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import av
import numpy as np
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from handstream.transforms import landmarks
from handstream.transforms.clips import IMAGE, VIDEO, Segment
from handstream.transforms.detect import DetectHands, ReadAhead, detect_segment
from handstream.transforms.landmarker import HandLandmarker, import_mediapipe
from handstream.transforms.landmarks import DetectionOptions, Detections, networks_digest
from handstream.transforms.probe import content_digest
from handstream.transforms.video import Frame, MediaError


def segment(path: Path, index: int = 0, last: bool = True, kind: str = VIDEO) -> Segment:
    digest = content_digest(str(path), path.stat().st_size) if path.exists() else "0" * 32
    return Segment(str(path), digest, kind, index, last)


@pytest.fixture(scope="session")
def model(landmarker) -> bytes:
    return Path(landmarker).read_bytes()


@pytest.fixture(scope="session")
def options(landmarker, model) -> DetectionOptions:
    return DetectionOptions(landmarker, networks_digest(model))


@pytest.fixture(scope="module")
def video_landmarker(model) -> Iterator[HandLandmarker]:
    made = HandLandmarker(model, "video", 2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def image_landmarker(model) -> Iterator[HandLandmarker]:
    made = HandLandmarker(model, "image", 2)
    yield made
    made.close()


def bare_loop(model: bytes, path: Path, video: bool) -> list[list[tuple]]:
    """What MediaPipe's own documentation does: a new landmarker, frame by frame."""
    mp = import_mediapipe()
    from mediapipe.tasks.python import BaseOptions, vision

    mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
    result = []
    options = vision.HandLandmarkerOptions(BaseOptions(model_asset_buffer=model), running_mode=mode, num_hands=2)
    landmarker = vision.HandLandmarker.create_from_options(options)
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            rgb = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)
            found = landmarker.detect_for_video(image, i * 33) if video else landmarker.detect(image)
            result.append(
                [
                    (c[0].category_name, c[0].score, *(v for p in (*points, *world) for v in (p.x, p.y, p.z)))
                    for c, points, world in zip(
                        found.handedness, found.hand_landmarks, found.hand_world_landmarks, strict=True
                    )
                ]
            )
    landmarker.close()
    return result


def assert_equal_to_bare(found: Detections, bare: list[list[tuple]]) -> None:
    assert found.error == ""
    assert len(found.hands) == len(bare)
    assert sum(map(len, bare)) > len(bare) / 2, "hardly a hand is in this clip"
    for mine, theirs in zip(found.hands, bare, strict=True):
        assert len(mine) == len(theirs)
        for hand, (name, score, *points) in zip(mine, theirs, strict=True):
            assert hand.handedness == (score if name == "Right" else 1 - score)
            assert np.array_equal(
                np.concatenate([hand.landmarks.ravel(), hand.world.ravel()]), np.array(points, np.float32)
            )


def assert_same(a: Detections, b: Detections) -> None:
    assert (a.times_us, a.width, a.height, a.error) == (b.times_us, b.width, b.height, b.error)
    for mine, theirs in zip(a.hands, b.hands, strict=True):
        assert [h.handedness for h in mine] == [h.handedness for h in theirs]
        for x, y in zip(mine, theirs, strict=True):
            assert np.array_equal(x.landmarks, y.landmarks)
            assert np.array_equal(x.world, y.world)


def test_video_mode_equals_a_bare_loop_over_the_same_frames(clips, model, options, video_landmarker):
    path = clips / "ann_cam0_point_1.mp4"
    bare = bare_loop(model, path, video=True)
    # Whatever the landmarker saw before.
    detect_segment(video_landmarker, segment(clips / "cat_cam1_open_3.mp4"), options)
    found, cost = detect_segment(video_landmarker, segment(path), options)
    assert_equal_to_bare(found, bare)
    assert cost.decoding > 0
    assert cost.detecting > 0


def test_image_mode_equals_a_bare_loop_over_the_same_frames(clips, model, options, image_landmarker):
    path = clips / "ben_cam1_point_2.mp4"
    image_options = DetectionOptions(options.landmarker, options.networks_sha256, "image")
    found, _ = detect_segment(image_landmarker, segment(path), image_options)
    assert_equal_to_bare(found, bare_loop(model, path, video=False))


def test_a_segment_does_not_depend_on_what_the_worker_did_before(clips, model, options, video_landmarker):
    path = clips / "cat_cam0_open_3.mp4"
    detect_segment(video_landmarker, segment(path, 0, last=False), options)
    after_its_neighbour, _ = detect_segment(video_landmarker, segment(path, 1), options)
    detect_segment(video_landmarker, segment(clips / "ann_cam1_point_1.mp4"), options)
    after_another, _ = detect_segment(video_landmarker, segment(path, 1), options)
    new = HandLandmarker(model, "video", 2)
    by_a_new_one, _ = detect_segment(new, segment(path, 1), options)
    new.close()
    assert by_a_new_one.times_us == [10_000_000, 10_333_333, 10_666_667, 11_000_000, 11_333_333, 11_666_667]
    assert by_a_new_one.hand_count > 0
    assert_same(after_its_neighbour, by_a_new_one)
    assert_same(after_another, by_a_new_one)


def test_two_hands_are_told_apart_in_a_photograph(data, options, image_landmarker):
    photo = next(iter(sorted((data / "images" / "palm").glob("*.jpg"))))
    found, _ = detect_segment(image_landmarker, segment(photo, kind=IMAGE), options)
    assert found.times_us == [0]
    assert (found.width, found.height) == (640, 480)
    assert found.hand_count >= 1
    assert all(np.isfinite(hand.landmarks).all() for hand in found.hands[0])


def test_what_cannot_be_decoded_is_an_error_in_the_result(data, tmp_path, options, video_landmarker):
    found, _ = detect_segment(video_landmarker, segment(data / "nasty" / "corrupted.mp4"), options)
    assert len(found.times_us) == 28
    assert "cannot be decoded" in found.error
    found, _ = detect_segment(video_landmarker, segment(tmp_path / "vanished.mp4"), options)
    assert found.times_us == []
    assert found.error == "No such file or directory"


def run_detect(out: Path, options: DetectionOptions, segments: list[Segment], expected: list) -> dict[str, int]:
    pipeline = TestPipeline(runner=FnApiRunner())
    detected = pipeline | beam.Create([(one, ["take"]) for one in segments]) | DetectHands(str(out), options)
    shown = detected | beam.MapTuple(lambda one, takes, receipt: (one.path, one.index, takes, receipt))
    assert_that(shown, equal_to(expected))
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(MetricsFilter())["counters"]
    return {counter.key.metric.name: counter.committed for counter in counters}


def test_the_transform_writes_a_file_a_segment_and_does_nothing_twice(clips, tmp_path, options):
    good, gone = segment(clips / "ann_cam0_point_1.mp4"), segment(tmp_path / "gone.mp4")
    expected = [
        (good.path, 0, ["take"], landmarks.Receipt(25, 25)),
        (gone.path, 0, ["take"], landmarks.Receipt(0, 0, "no such file")),
    ]
    counters = run_detect(tmp_path, options, [good, gone], expected)
    assert counters["frames"] == 25
    assert counters["hands"] == 25
    assert counters["failures"] == 1
    assert counters["decode_ms"] > 0
    assert counters["detect_ms"] > 0
    path = Path(landmarks.path_of(str(tmp_path), good, options))
    written = path.read_bytes()
    failed = landmarks.read(landmarks.path_of(str(tmp_path), gone, options))
    assert failed.error
    assert failed.times_us == []
    # Once more: what is there is not detected, what failed is tried again.
    counters = run_detect(tmp_path, options, [good, gone], expected)
    assert counters.get("frames", 0) == 0
    assert counters["failures"] == 1
    assert path.read_bytes() == written
    assert not list((tmp_path / "tmp").iterdir())


def test_a_failed_attempt_does_not_replace_what_another_has_done(clips, tmp_path, options, monkeypatch):
    """Two copies of a source, one of which vanishes while the other is done."""
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((clips / "ann_cam0_point_1.mp4").read_bytes())
    good = segment(copy)
    gone = replace(good, path=str(tmp_path / "gone.mp4"))
    path = Path(landmarks.path_of(str(tmp_path), good, options))
    run_detect(tmp_path, options, [good], [(good.path, 0, ["take"], landmarks.Receipt(25, 25))])
    written = path.read_bytes()
    look = landmarks.read_receipt
    answers = iter([None])  # not there yet when the second attempt begins
    monkeypatch.setattr(landmarks, "read_receipt", lambda p: next(answers, look(p)))
    run_detect(tmp_path, options, [gone], [(gone.path, 0, ["take"], landmarks.Receipt(25, 25))])
    assert path.read_bytes() == written


def test_what_a_file_was_replaced_by_does_not_stand_under_its_old_digest(clips, tmp_path, options):
    copy = tmp_path / "copy.mp4"
    shutil.copy(clips / "ann_cam0_point_1.mp4", copy)
    probed = segment(copy)
    shutil.copy(clips / "ben_cam0_point_2.mp4", copy)
    error = "the file changed while it was read; run again"
    run_detect(tmp_path, options, [probed], [(probed.path, 0, ["take"], landmarks.Receipt(0, 0, error))])
    assert landmarks.read(landmarks.path_of(str(tmp_path), probed, options)).times_us == []
    # Its old content is back: what is remembered of it is an error, so it is tried again.
    shutil.copy(clips / "ann_cam0_point_1.mp4", copy)
    run_detect(tmp_path, options, [probed], [(probed.path, 0, ["take"], landmarks.Receipt(25, 25))])


def test_frames_are_decoded_ahead_only_as_far_as_they_fit():
    produced = 0
    picture = np.zeros((10, 10, 3), np.uint8)

    def frames() -> Iterator[Frame]:
        nonlocal produced
        for i in range(50):
            produced += 1
            yield Frame(i, picture, warmup=False)

    with ReadAhead(frames(), limit_bytes=4 * picture.nbytes) as ahead:
        for frame in ahead:
            # Four in the queue, one in the decoder's hands, one in ours.
            assert produced <= frame.time_us + 6
    assert produced == 50


def test_a_frame_larger_than_the_limit_comes_through():
    picture = np.zeros((100, 100, 3), np.uint8)
    with ReadAhead([Frame(i, picture, warmup=False) for i in range(3)], limit_bytes=1) as ahead:
        assert [frame.time_us for frame in ahead] == [0, 1, 2]


def test_the_decoder_s_error_comes_after_its_frames():
    def frames() -> Iterator[Frame]:
        yield Frame(7, np.zeros((1, 1, 3), np.uint8), warmup=False)
        raise MediaError("broke off")

    seen = []
    with ReadAhead(frames()) as ahead, pytest.raises(MediaError, match="broke off"):
        seen.extend(ahead)
    assert [frame.time_us for frame in seen] == [7]


def test_leaving_early_stops_the_decoder():
    def endless() -> Iterator[Frame]:
        while True:
            yield Frame(0, np.zeros((10, 10, 3), np.uint8), warmup=False)

    with ReadAhead(endless(), limit_bytes=1000) as ahead:
        next(iter(ahead))
    assert not ahead._thread.is_alive()


def test_extraction_imports_no_tensorflow_even_where_it_is_installed(clips, tmp_path, landmarker):
    fake = tmp_path / "site" / "tensorflow"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise SystemExit('tensorflow was imported')")
    code = (
        "import sys; from handstream.pipelines.cli import main;"
        f"status = main(['extract', {str(clips / 'ann_cam0_point_1.mp4')!r}, {str(tmp_path / 'out')!r},"
        f" '--landmarker', {landmarker!r}]);"
        "assert not any(name.split('.')[0] in ('tensorflow', 'keras') for name in sys.modules), 'imported';"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_picture_that_would_crash_mediapipe_is_refused(image_landmarker):
    with pytest.raises(MediaError, match="30000x30000 is too large"):
        image_landmarker.detect(np.broadcast_to(np.uint8(0), (30_000, 30_000, 3)))
