"""A performance before cameras: pictures, and what is true in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from handstream.synthetic.anatomy import Array
from handstream.synthetic.camera import Camera
from handstream.synthetic.figure import Person, body, upper_arm
from handstream.synthetic.mesh import RestHand, cell_for, rest_hand
from handstream.synthetic.performance import ArmPose, Performance
from handstream.synthetic.pose import pose_hand
from handstream.synthetic.render import Depths, Exposure, Lens, Light, Picture, Surface, Texture, background, draw
from handstream.synthetic.skin import in_picture, skin_pictures
from numpy.typing import NDArray

MIDDLE = np.array([0.0, 1.25, 0.0])
"""About where hands are, of the world."""


@dataclass(frozen=True, eq=False)
class View:
    """A camera, and when it films."""

    camera: Camera
    frames_per_second: float
    offset: float = 0.0
    """Seconds from the take's start to its first frame."""

    def times(self, seconds: float) -> Array:
        """[frames] seconds of the take, as long as it lasts."""
        frames = max(int(np.floor((seconds - self.offset) * self.frames_per_second + 1e-6)), 1)
        return self.offset + np.arange(frames) / self.frames_per_second


@dataclass(frozen=True, eq=False)
class SeenHand:
    """What is true of a hand in a frame."""

    arm: ArmPose
    pixels: Array
    """[21, 2]: its landmarks in the picture."""
    visible: NDArray[np.bool_]
    """[21]: which of them lie in the picture and behind nothing but their own hand."""


def texture(person: Person, rest: RestHand) -> Texture:
    """What a person's hand is covered with."""
    build = person.build
    back, palm = skin_pictures(person.skin, build.sleeve, person.cloth, person.seed)
    return Texture(in_picture(rest.flat).astype(np.float32), rest.back.astype(np.float32), back, palm)


def film(
    performance: Performance, view: View, seed: Sequence[int], exposure: Exposure, light: Light, room: Sequence[int]
) -> Iterator[tuple[Picture, list[SeenHand]]]:
    """The frames of a take in a view: a picture (RGB), and the truth about all hands, in it or not.

    Args:
        seed: of the grain; `room` of the wall behind.
    """
    camera, people = view.camera, performance.people
    still = background(camera.width, camera.height, np.random.default_rng(room))
    lens = Lens(camera.width, camera.height, exposure, np.random.default_rng(seed))
    bodies = [part for person, stance in zip(people, performance.stances, strict=True) for part in body(person, stance)]
    rest = rest_hand(cell_for(camera.matrix[0, 0] / float(np.linalg.norm(camera.centre - MIDDLE))))
    covers = [texture(person, rest) for person in people]
    inside_out = np.ascontiguousarray(rest.triangles[:, ::-1])

    def surfaces(number: int, arm: ArmPose) -> list[Surface]:
        if not _may_be_seen(arm, camera):
            return []
        person = people[arm.person]
        hand = pose_hand(arm.angles, arm.wrist_angles, arm.right, person.build, rest).moved(arm.rotation, arm.wrist)
        # A left hand is the mirror image.
        triangles = rest.triangles if arm.right else inside_out
        forearm = Surface(hand.vertices, triangles, covers[arm.person], rest.openness, number)
        return [forearm, upper_arm(person, arm.shoulder, arm.elbow)]

    moments = performance.arms(view.times(performance.seconds))
    moving = [(arm.person, arm.right) not in performance.resting for arm in moments[0]]
    for number, arm in enumerate(moments[0]):
        if not moving[number]:
            bodies += surfaces(number, arm)
    behind = draw(still, bodies, camera, Depths.empty(camera), light)
    for arms in moments:
        picture = still.copy()
        parts = [part for number, arm in enumerate(arms) if moving[number] for part in surfaces(number, arm)]
        depths = draw(picture, parts, camera, behind, light)
        yield lens(picture), [_seen(arm, number, depths, camera) for number, arm in enumerate(arms)]


def _may_be_seen(arm: ArmPose, camera: Camera) -> bool:
    """Whether any of the arm can be in the picture."""
    pixels, depth = camera.project(np.concatenate([arm.landmarks, [arm.elbow, arm.shoulder]]))
    if (depth <= 0).all():
        return False
    low, high = pixels[depth > 0].min(0), pixels[depth > 0].max(0)
    thick = 0.06 * camera.matrix[0, 0] / max(float(depth[depth > 0].min()), 0.05)
    return bool((high + thick > 0).all() and (low - thick < (camera.width, camera.height)).all())


def _seen(arm: ArmPose, number: int, depths: Depths, camera: Camera) -> SeenHand:
    pixels, depth = camera.project(arm.landmarks)
    visible = camera.in_picture(pixels) & (depth > 0)
    column, row = np.floor(np.where(visible[:, None], pixels, 0)).astype(int).T
    own = depths.owner[row, column] == number
    # At a hand's very edge the pixel of a landmark may be the wall's.
    visible &= own | (depths.metres[row, column] > depth)
    return SeenHand(arm, pixels, visible)
