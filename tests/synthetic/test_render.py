from __future__ import annotations

import numpy as np
import pytest
from handstream.synthetic.camera import look_at
from handstream.synthetic.figure import tube
from handstream.synthetic.render import Depths, Exposure, Lens, Light, Surface, background, draw

CAMERA = look_at("a", (120, 80), (0, 0, 1), (0, 0, 0))
RED, BLUE = (220, 20, 20), (20, 20, 220)


def ball(z, colour, radius=0.1):
    """Round enough."""
    stations = np.linspace(-1, 1, 13)
    across = np.sqrt(1 - stations**2) * radius
    path = np.stack([0 * stations, stations * radius, np.full(13, z)], 1)
    return tube(path, across, across, np.array([1.0, 0, 0]), colour)


def drawn(*surfaces, behind=None, picture=None):
    picture = np.zeros((80, 120, 3), np.uint8) if picture is None else picture
    return picture, draw(picture, list(surfaces), CAMERA, behind or Depths.empty(CAMERA), Light())


def test_what_is_nearer_hides_what_is_behind():
    for surfaces in ((ball(0, RED), ball(-0.3, BLUE)), (ball(-0.3, BLUE), ball(0, RED))):
        picture, depths = drawn(*surfaces)
        red, _, blue = picture[40, 60].astype(int)
        assert red > 3 * blue
        assert abs(depths.metres[40, 60] - 0.9) < 0.01


def test_what_was_drawn_before_hides_too():
    picture, front = drawn(ball(0, RED))
    before = picture.copy()
    drawn(ball(-0.3, BLUE), behind=front, picture=picture)
    assert (picture == before).all()


def test_size_and_outline_are_those_of_the_ball():
    _, depths = drawn(ball(0, RED))
    pixels = np.isfinite(depths.metres).sum()
    radius = 0.1 * CAMERA.matrix[0, 0] / np.sqrt(1 - 0.1**2)
    assert abs(pixels / (np.pi * radius**2) - 1) < 0.05
    assert (depths.owner == -1).all()


@pytest.mark.parametrize("wide", [2, 3, 7, 20])
def test_a_strip_is_as_wide_as_it_is_and_where_it_is(wide):
    # From column 40 on, as many pixels as asked, at one metre.
    left, right = ((x - CAMERA.width / 2) / CAMERA.matrix[0, 0] for x in (40, 40 + wide))
    corners = np.array([[left, -0.1, 0], [right, -0.1, 0], [right, 0.1, 0], [left, 0.1, 0]])
    strip = Surface(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), (1.0, 0, 0))
    _, depths = drawn(strip)
    assert np.flatnonzero(np.isfinite(depths.metres[40])).tolist() == list(range(40, 40 + wide))


def test_what_is_behind_the_camera_or_beside_the_picture_is_not_drawn():
    picture, depths = drawn(
        ball(2, RED), tube(np.array([[9.0, 0, 0], [9, 1, 0]]), [1, 1], [1, 1], np.array([1.0, 0, 0]), RED)
    )
    assert not picture.any()
    assert np.isinf(depths.metres).all()


def test_the_side_towards_the_sun_is_brighter():
    picture, _ = drawn(ball(0, RED))
    row = picture[40, :, 0].astype(int)
    lit = np.flatnonzero(row)
    left, right = row[lit[: len(lit) // 2]].mean(), row[lit[len(lit) // 2 :]].mean()
    assert left > 1.3 * right  # the sun stands to the left


def test_a_lens_is_the_same_for_the_same_seed_and_dark_where_asked():
    picture = background(120, 80, np.random.default_rng(3))
    first, second = (Lens(120, 80, Exposure(), np.random.default_rng(1))(picture) for _ in range(2))
    assert (first == second).all()
    lens = Lens(120, 80, Exposure(noise=3), np.random.default_rng(1))
    assert (lens(picture) != lens(picture)).any()
    dark = Lens(120, 80, Exposure(gain=0.15), np.random.default_rng(1))(picture)
    assert abs(dark.mean() / picture.mean() - 0.15) < 0.02
