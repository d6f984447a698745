from __future__ import annotations

import cv2
import numpy as np
import pytest
from handstream.synthetic.camera import look_at
from handstream.synthetic.studio import rig

EYE, TARGET = (1.0, 1.6, 2.0), (0.1, 1.2, 0.3)
POINTS = np.random.default_rng(0).normal((0.1, 1.2, 0.3), 0.2, (50, 3))


@pytest.mark.parametrize("distortion", [(0, 0, 0, 0, 0), (-0.2, 0.05, 0.001, -0.002, 0.0)])
def test_points_fall_where_opencv_projects_them(distortion):
    camera = look_at("a", (640, 480), EYE, TARGET, distortion)
    vector = cv2.Rodrigues(camera.rotation)[0]
    pixels, depth = camera.project(POINTS)
    expected, _ = cv2.projectPoints(POINTS, vector, camera.translation, camera.matrix, np.array(distortion, float))
    assert np.allclose(pixels, expected[:, 0])
    assert (depth > 0).all()


def test_a_camera_looks_at_its_target_upright():
    camera = look_at("a", (640, 480), EYE, TARGET)
    (target, above), _ = camera.project(np.array([TARGET, np.add(TARGET, (0, 0.1, 0))]))
    assert target == pytest.approx((320, 240))
    assert above[1] < target[1]
    assert above[0] == pytest.approx(320)
    assert camera.centre == pytest.approx(EYE)


def test_calibration_is_read_by_opencv():
    camera = look_at("a", (640, 480), EYE, TARGET, (-0.2, 0.05, 0, 0, 0))
    file = cv2.FileStorage(camera.to_yaml(), cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    assert np.allclose(file.getNode("camera_matrix").mat(), camera.matrix)
    assert np.allclose(file.getNode("distortion_coefficients").mat(), [camera.distortion])
    assert np.allclose(file.getNode("rotation").mat(), camera.rotation)
    assert np.allclose(file.getNode("translation").mat()[:, 0], camera.translation)
    assert file.getNode("image_width").real() == 640


@pytest.mark.parametrize("palm", [15, 60])
def test_a_palm_is_as_wide_as_asked(palm):
    for camera in rig(["a", "b", "c"], (900, 900), palm, 1.4, np.random.default_rng(1)):
        across = camera.rotation[0] * 0.088
        hands = np.array([0.0, 1.3, 0.0])
        ends, _ = camera.project(np.stack([hands - across / 2, hands + across / 2]))
        assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(palm, rel=0.1)
        assert camera.in_picture(ends).all()


def test_what_a_lens_folds_back_is_nowhere():
    camera = look_at("a", (640, 480), (0, 0, 1), (0, 0, 0), (-0.3, 0, 0, 0, 0))
    pixels, _ = camera.project(np.array([[0.1, 0, 0], [3.0, 0, 0]]))
    assert np.isfinite(pixels[0]).all()
    assert np.isnan(pixels[1]).all()
    assert camera.in_picture(pixels).tolist() == [True, False]
