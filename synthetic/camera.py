"""Cameras: calibrated, in OpenCV's conventions (x right, y down, z forward; X_camera = R X_world + t)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from handstream.synthetic.anatomy import Array, unit
from numpy.typing import ArrayLike, NDArray

FIELD_OF_VIEW = 55.0
"""Degrees across the picture's width, as of a webcam."""
UP = (0.0, 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole with distortion."""

    name: str
    width: int
    height: int
    matrix: Array
    """[3, 3]: intrinsics, pixels."""
    rotation: Array
    """[3, 3]: world to camera."""
    translation: Array
    """[3], metres."""
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    """k1, k2, p1, p2, k3"""

    @property
    def centre(self) -> Array:
        """[3]: where it stands in the world."""
        return np.asarray(-self.rotation.T @ self.translation)

    def project(self, points: Array) -> tuple[Array, Array]:
        """(pixels [n, 2], depths [n] in metres) of the world's points [n, 3]; below zero behind the camera.

        Pixels' edges, not their centres, have whole numbers. NaN where the lens's formula folds back what is outside
        its field.
        """
        p = points @ self.rotation.T + self.translation
        depth = p[:, 2]
        if any(self.distortion):
            pixels = cv2.projectPoints(p, np.zeros(3), np.zeros(3), self.matrix, np.array(self.distortion))[0][:, 0]
            k1 = self.distortion[0]
            if k1 < 0:  # r (1 + k1 r^2) is largest there
                beyond = p[:, 0] ** 2 + p[:, 1] ** 2 > p[:, 2] ** 2 / (-3 * k1)
                pixels[beyond] = np.nan
        else:
            focal, middle = self.matrix[[0, 1], [0, 1]], self.matrix[:2, 2]
            pixels = p[:, :2] / np.where(depth == 0, 1e-9, depth)[:, None] * focal + middle
        return pixels, depth

    def in_picture(self, pixels: Array) -> NDArray[np.bool_]:
        """Which pixels [n, 2] lie in the picture."""
        return np.asarray(((pixels >= 0) & (pixels < (self.width, self.height))).all(-1))

    def to_yaml(self) -> str:
        """As OpenCV's FileStorage writes it: what its calibration tools read."""
        file = cv2.FileStorage("", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_YAML)
        file.write("image_width", self.width)
        file.write("image_height", self.height)
        file.write("camera_matrix", self.matrix)
        file.write("distortion_coefficients", np.array([self.distortion]))
        file.write("rotation", self.rotation)
        file.write("translation", self.translation[:, None])
        file.write("unit", "metre")
        return str(file.releaseAndGetString())


def focal_length(width: int) -> float:
    """Pixels."""
    return float(width / 2 / np.tan(np.radians(FIELD_OF_VIEW) / 2))


def look_at(
    name: str, size: tuple[int, int], eye: ArrayLike, target: ArrayLike, distortion: tuple[float, ...] = (0.0,) * 5
) -> Camera:
    """A camera of a size (width, height) at `eye` that looks at `target`, upright in a world whose y goes up."""
    eye = np.asarray(eye, float)
    z = unit(np.asarray(target, float) - eye)
    x = unit(np.cross(z, UP))
    rotation = np.stack([x, np.cross(z, x), z])
    width, height = size
    f = focal_length(width)
    matrix = np.array([[f, 0, width / 2], [0, f, height / 2], [0, 0, 1]])
    return Camera(name, width, height, matrix, rotation, -rotation @ eye, distortion)  # type: ignore[arg-type]
