"""The hand: a closed mesh, bones of the right length in every pose."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from handstream.synthetic.anatomy import ANATOMY, FINGERS, distance, skeleton
from handstream.synthetic.mesh import CELLS, rest_hand, rest_skeleton, surface_nets
from handstream.synthetic.pose import LIMITS, SHAPES, Build, finger_angles, pose_hand, within_limits
from hypothesis import given, settings
from hypothesis import strategies as st

STRAIGHT = np.zeros(2)
any_angles = st.lists(st.floats(0, 1), min_size=21, max_size=21).map(
    lambda shares: LIMITS[:, 0] + np.array(shares) * (LIMITS[:, 1] - LIMITS[:, 0])
)


def bone_lengths(joints):
    return [np.linalg.norm(np.diff(joints[1 + 4 * i : 5 + 4 * i], axis=0), axis=1) for i in range(5)]


def assert_closed(triangles):
    edges = Counter((int(a), int(b)) for t in triangles for a, b in zip(t, np.roll(t, -1), strict=True))
    assert all(edges[b, a] == count for (a, b), count in edges.items())


def volume(vertices, triangles):
    return (
        np.einsum("ij,ij->i", vertices[triangles[:, 0]], np.cross(*vertices[triangles[:, 1:]].swapaxes(0, 1))).sum() / 6
    )


def test_a_sphere_is_netted_closed_and_facing_outwards():
    axes = tuple(np.arange(-6, 7.0) for _ in range(3))
    field = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij"), -1), axis=-1) - 4.2
    vertices, triangles = surface_nets(field, axes)
    assert_closed(triangles)
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(4.2, abs=0.3)
    assert volume(vertices, triangles) == pytest.approx(4 / 3 * np.pi * 4.2**3, rel=0.1)


@pytest.mark.parametrize("cell", CELLS)
def test_the_resting_hand_is_closed_and_lies_on_its_own_surface(cell):
    hand = rest_hand(cell)
    assert_closed(hand.triangles)
    assert volume(hand.points[: hand.n], hand.triangles) > 0
    skin = hand.points[: hand.n]
    assert np.abs(distance(skin[skin[:, 1] > -100], *skeleton())).max() < 1


# Buryanov and Kotiuk 2010, table I: of the thumb from its metacarpal on, of the fingers from the proximal phalanx on.
PUBLISHED = {
    "thumb": (46.22, 31.57, 21.67),
    "index": (39.78, 22.38, 15.82),
    "middle": (44.63, 26.33, 17.40),
    "ring": (41.37, 25.65, 17.30),
    "little": (32.74, 18.11, 15.96),
}


def test_bones_are_as_long_as_published():
    joints, _ = skeleton()
    for lengths, published in zip(bone_lengths(joints), PUBLISHED.values(), strict=True):
        assert lengths == pytest.approx(published, abs=0.06)


@settings(max_examples=30, deadline=None)
@given(angles=any_angles)
def test_no_pose_changes_a_bone(angles):
    posed = pose_hand(angles, STRAIGHT, rest=rest_skeleton())
    for lengths, finger in zip(bone_lengths(posed.joints), ANATOMY.values(), strict=True):
        assert lengths * 1000 == pytest.approx(finger.bones, rel=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_possible_and_the_same_with_and_without_skin(name):
    assert (within_limits(SHAPES[name]) == SHAPES[name]).all()
    whole, bones = (pose_hand(SHAPES[name], np.array([20.0, -10.0]), rest=rest) for rest in (None, rest_skeleton()))
    assert np.allclose(whole.joints, bones.joints)
    assert np.allclose(whole.landmarks, bones.landmarks)
    # Each joint lies within the flesh: near some skin, and not on it.
    near = np.linalg.norm(whole.vertices[None] - whole.joints[:, None], axis=2).min(1)
    assert (near < 0.025).all()


def test_a_left_hand_is_the_mirror_image():
    right, left = (pose_hand(SHAPES["pinch"], np.array([15.0, 5.0]), right=r) for r in (True, False))
    assert np.allclose(left.vertices, right.vertices * (-1, 1, 1))
    assert np.allclose(left.landmarks, right.landmarks * (-1, 1, 1))


def test_bending_a_finger_moves_no_other():
    bent = SHAPES["open"].copy()
    bent[finger_angles(FINGERS.index("middle"))] = (70, 0, 80, 40)
    before, after = (pose_hand(a, STRAIGHT, rest=rest_skeleton()).joints for a in (SHAPES["open"], bent))
    moved = np.linalg.norm(after - before, axis=1) > 1e-6
    assert np.flatnonzero(moved).tolist() == [10, 11, 12]


def test_the_wrist_bends_the_arm_and_not_the_hand():
    straight, bent = (pose_hand(SHAPES["open"], np.array(w, float)) for w in ((0, 0), (40, 20)))
    assert np.allclose(straight.joints, bent.joints)
    assert np.linalg.norm(straight.vertices - bent.vertices, axis=1).max() > 0.1


def test_a_build_makes_hands_differ_and_the_arm_end_at_the_elbow():
    small, large = (pose_hand(SHAPES["open"], STRAIGHT, build=Build(size=s, forearm=0.25)) for s in (0.9, 1.1))
    assert np.linalg.norm(large.joints[9]) / np.linalg.norm(small.joints[9]) == pytest.approx(1.1 / 0.9)
    for hand in (small, large):
        assert -hand.vertices[:, 1].min() == pytest.approx(0.25, abs=0.01)
