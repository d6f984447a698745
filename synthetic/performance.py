"""A take before any camera: who does what when, and where all hands and arms are at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from handstream.synthetic import contact, motion
from handstream.synthetic.anatomy import Array, ramp, unit
from handstream.synthetic.figure import (
    STATURE,
    UPPER_ARM,
    Person,
    Stance,
    elbow_of,
    forearm_direction,
    shoulder,
    wrist_angles,
)
from handstream.synthetic.gestures import Gesture
from handstream.synthetic.mesh import rest_skeleton
from handstream.synthetic.motion import REACH_SECONDS, HandPath, Manner, Timed
from handstream.synthetic.pose import pose_hand
from scipy.spatial.transform import Rotation, Slerp

APART = 0.92
"""Metres between two people who face each other."""
HANDS_BEFORE = 0.33
"""Metres from the shoulders to where gestures are made: somebody alone stands so far behind the middle."""
GRIP_SECONDS, READY_SECONDS = 0.12, 0.25
"""In which fingers close about the other's hand, and before that in which they make ready."""
PALMS_FACE, CROSSED = 0.5, 0.06
"""By eye: palms whose directions differ by more than the first (a length) face each other, unless hands have crossed by
more than the second, in metres."""
MANNER = 99
"""Tells the random numbers of the manner from those of hands."""
NEAR = 0.35
"""Metres between wrists: hands further apart cannot touch."""


HandOf = tuple[int, bool, HandPath]
"""Person, whether it is the right hand, and its path."""


@dataclass(frozen=True)
class Act:
    """A stretch of a take that has a label."""

    gesture: Gesture
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class ArmPose:
    """A hand and its arm at one moment, in the world."""

    person: int
    right: bool
    angles: Array
    """[21] degrees"""
    wrist_angles: Array
    """[2] degrees"""
    rotation: Array
    """[3, 3] from the hand's frame."""
    wrist: Array
    shoulder: Array
    elbow: Array
    """[3] metres"""
    landmarks: Array
    """[21, 3] what MediaPipe marks."""


@dataclass(frozen=True, eq=False)
class Grip:
    """A hand that grips another."""

    rotation: Array
    """[3, 3] from the hand's frame."""
    open: Array
    closed: Array
    """[21] degrees, before its fingers close, and after."""


def _within(seconds: float, start: float, end: float, ease: float) -> float:
    """1 from start to end, 0 without, and between over so many seconds."""
    return float(ramp(start - ease, start, seconds) * (1 - ramp(end, end + ease, seconds)))


def _part(poses: Sequence[list[Array]], along: Array, apart: float) -> None:
    """Move two hands apart, each half the way; in place."""
    for sign, pose in zip((-1, 1), poses, strict=True):
        pose[0] = pose[0] + sign * along * apart / 2


@dataclass(frozen=True, eq=False)
class Performance:
    """Who does what when."""

    people: Sequence[Person]
    acts: Sequence[Act]
    seconds: float
    seed: Sequence[int]
    restless: bool = False
    """Whether hands move about idly between what they do."""

    @cached_property
    def stances(self) -> list[Stance]:
        if len(self.people) == 1:
            return [Stance(np.array([0.0, 0.0, -HANDS_BEFORE]))]
        return [Stance(np.array([side * APART / 2, 0.0, 0.0]), -90.0 * side) for side in (-1, 1)]

    @cached_property
    def resting(self) -> frozenset[tuple[int, bool]]:
        """Hands that hang still throughout: (person, whether it is the right one)."""
        hands = [(p, right) for p in range(len(self.people)) for right in (True, False)]
        return frozenset(hand for hand in hands if not self._acts_of(*hand))

    def _acts_of(self, p: int, right: bool) -> list[Act]:
        person = self.people[p]
        return [act for act in self.acts if motion.performs(act.gesture, person, right, first=p == 0)]

    def label_at(self, seconds: float) -> str:
        return next((act.gesture.name for act in self.acts if act.start <= seconds < act.end), "none")

    def arms(self, times: Sequence[float] | Array) -> list[list[ArmPose]]:
        """All arms of all people at each time (seconds from the take's start)."""
        times = np.asarray(times, float)
        paths = self._paths(times)
        return [
            self._at(t, [(p, right, path) for (p, right), path in paths.items()], times[t]) for t in range(len(times))
        ]

    def _paths(self, times: Array) -> dict[tuple[int, bool], HandPath]:
        """The paths of all hands in the world, before they touch."""
        manner = Manner.draw(np.random.default_rng([*self.seed, MANNER]))
        if any(act.gesture.people == 2 for act in self.acts):
            manner = manner.of_two()
        paths = {}
        for p, stance in enumerate(self.stances):
            # Two people meet at one height.
            height = np.mean([q.shoulder_height for q in self.people])
            middle = np.array([0.0, height, 0.0])
            for right in (True, False):
                timed = self._keys(p, right, np.random.default_rng([*self.seed, p, right]))
                own = manner.at_rest() if (p, right) in self.resting else manner
                path = motion.follow(timed, right, own, times)
                rotation = np.einsum("ji,tjk->tik", stance.axes, path.rotation)
                paths[p, right] = HandPath(stance.world(path.wrist + middle), rotation, path.angles)
        return paths

    def _keys(self, p: int, right: bool, rng: np.random.Generator) -> list[Timed]:
        before, after = -2.0, self.seconds + 2.0
        mine = self._acts_of(p, right)
        acting = [act for act in mine if act.gesture.keys]
        moving = self.restless or len(acting) < len(mine)
        if not mine:
            return motion.hanging(before, after)
        timed, free = [], before
        for act in acting:
            timed += motion.idle(rng, free, act.start - REACH_SECONDS, moving)
            keys = act.gesture.keys
            if act.gesture.people == 2:
                keys = tuple(key.but(front=key.front + APART / 2) for key in keys)
            timed += motion.spread_evenly(keys, act.start, act.end)
            free = act.end + REACH_SECONDS
        return timed + motion.idle(rng, free, after, moving)

    def _at(self, t: int, hands: list[HandOf], seconds: float) -> list[ArmPose]:
        poses = self._poses(hands, t)
        self._touch(hands, poses, seconds)
        arms = []
        for hand, (wrist, rotation, angles) in zip(hands, poses, strict=True):
            p, right, _ = hand
            build = self.people[p].build
            joint, elbow = self._elbow(hand, wrist, rotation)
            bend = wrist_angles(rotation, wrist, elbow, right)
            elbow = wrist + forearm_direction(rotation, bend, right) * build.forearm
            posed = pose_hand(angles, bend, right, build, rest_skeleton()).moved(rotation, wrist)
            arms.append(ArmPose(p, right, angles, bend, rotation, wrist, joint, elbow, posed.landmarks))
        return arms

    def _poses(self, hands: Sequence[HandOf], t: int) -> list[list[Array]]:
        """[wrist, rotation, angles] of each hand at a time of its path, as its arm allows."""
        poses = [[path.wrist[t], path.rotation[t], path.angles[t]] for _, _, path in hands]
        for hand, pose in zip(hands, poses, strict=True):
            pose[1] = self._within_reach(hand, pose)
        return poses

    def _elbow(self, hand: HandOf, wrist: Array, rotation: Array) -> tuple[Array, Array]:
        """(shoulder, elbow) [3] of a hand's arm."""
        p, right, _ = hand
        person, stance = self.people[p], self.stances[p]
        joint = stance.world(shoulder(person, right))
        pole = stance.turned(np.array([-0.5 if right else 0.5, -1.0, -0.35]))
        upper = UPPER_ARM * person.stature / STATURE
        return joint, elbow_of(joint, wrist, rotation, right, upper, person.build.forearm, pole)

    def _within_reach(self, hand: HandOf, pose: list[Array]) -> Array:
        """The hand's rotation, turned as far as the arm needs where the wrist cannot bend enough."""
        wrist, rotation, _ = pose
        _, elbow = self._elbow(hand, wrist, rotation)
        able = forearm_direction(rotation, wrist_angles(rotation, wrist, elbow, hand[1]), hand[1])
        return Rotation.align_vectors(unit(elbow - wrist), able)[0].as_matrix() @ rotation

    def _touch(self, hands: list[HandOf], poses: list[list[Array]], seconds: float) -> None:
        """Push hands apart that would pass through each other, and close fingers that grip; in place."""
        for a in range(len(hands)):
            for b in range(a + 1, len(hands)):
                if np.linalg.norm(poses[a][0] - poses[b][0]) < NEAR:
                    self._push(hands[a], poses[a], hands[b], poses[b], seconds)

    def _push(self, hand_a: HandOf, a: list[Array], hand_b: HandOf, b: list[Array], seconds: float) -> None:
        act = next((act for act in self.acts if act.gesture.grip and act.start <= seconds < act.end), None)
        if act is None or act.gesture.grip is None or not (hand_a[1] and hand_b[1]):
            _part((a, b), *self._separation((hand_a, hand_b), (a, b), slice(None)))
            return
        start, end = (act.start + (act.end - act.start) * share for share in act.gesture.grip)
        # First fingers are held so that palms can meet, and hands as they will grip; then fingers close.
        ready = _within(seconds, start - GRIP_SECONDS, end + GRIP_SECONDS, READY_SECONDS)
        closed = _within(seconds, start, end, GRIP_SECONDS)
        _, free = self._separation((hand_a, hand_b), (a, b), slice(None))
        for hand, pose in ((hand_a, a), (hand_b, b)):
            grip = self._grips[act.start][hand[0]]
            pose[1] = Slerp([0, 1], Rotation.from_matrix(np.stack([pose[1], grip.rotation])))(ready).as_matrix()
            pose[2] = pose[2] + (grip.open - pose[2]) * ready
            pose[2] = pose[2] + (grip.closed - pose[2]) * closed
        along, palms = self._separation((hand_a, hand_b), (a, b), contact.of_palm())
        _part((a, b), along, free + (palms - free) * ready)

    @cached_property
    def _grips(self) -> dict[float, list[Grip]]:
        """Act by its start: how each person's right hand grips the other's."""
        grips = {}
        for act in self.acts:
            if act.gesture.grip is None:
                continue
            middle = act.start + (act.end - act.start) * sum(act.gesture.grip) / 2
            hands = [(p, right, path) for (p, right), path in self._paths(np.array([middle])).items() if right]
            poses = self._poses(hands, 0)
            _part(poses, *self._separation(hands, poses, contact.of_palm()))
            shapes: list[list[Array]] = [[], []]
            for move in (contact.open_fingers, contact.close_fingers):
                for p, pose in enumerate(poses):
                    other = self._spheres(hands[1 - p], poses[1 - p])
                    touches = contact.finger_test(True, self.people[p].build, pose[1], pose[0], *other)
                    pose[2] = move(pose[2], touches)
                    shapes[p].append(pose[2])
            grips[act.start] = [Grip(pose[1], *each) for pose, each in zip(poses, shapes, strict=True)]
        return grips

    def _separation(
        self, hands: Sequence[HandOf], poses: Sequence[list[Array]], which: Array | slice
    ) -> tuple[Array, float]:
        """(direction [3] from the first hand to the second, metres that they have to go apart along it so that such
        spheres of theirs do not meet).
        """
        (ca, ra), (cb, rb) = (self._spheres(hand, pose) for hand, pose in zip(hands, poses, strict=True))
        a, b = poses
        # From the one to the other: where their palms look.
        facing = b[1] @ (0, 0, 1.0) - a[1] @ (0, 0, 1.0)
        palms = contact.of_palm()
        crossed = unit(facing) @ (cb[palms].mean(0) - ca[palms].mean(0)) < -CROSSED
        along = unit(b[0] - a[0] if crossed or np.linalg.norm(facing) < PALMS_FACE else facing)
        return along, contact.separation(ca[which], ra[which], cb[which], rb[which], along)

    def first_touch(self, act: Act) -> float:
        """Seconds at which the right hands of two people first touch in an act."""
        times = np.arange(act.start, act.end, 1 / 200)
        paths = [(p, right, path) for (p, right), path in self._paths(times).items() if right]
        for t, seconds in enumerate(times):
            if self._separation(paths, self._poses(paths, t), slice(None))[1] > 0:
                return float(seconds)
        return act.end

    def _spheres(self, hand: HandOf, pose: list[Array]) -> tuple[Array, Array]:
        p, right, _ = hand
        wrist, rotation, angles = pose
        build = self.people[p].build
        posed = pose_hand(angles, np.zeros(2), right, build, rest_skeleton()).moved(rotation, wrist)
        return contact.spheres(posed.joints), contact.radii(build)
