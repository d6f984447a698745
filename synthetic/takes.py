"""Which takes a data set has: a pure function of its options, so that any worker can make any of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from handstream.synthetic.camera import Camera
from handstream.synthetic.figure import Person, make_person
from handstream.synthetic.gestures import DEFAULT, HARD, Gesture, gestures_named
from handstream.synthetic.motion import REACH_SECONDS
from handstream.synthetic.performance import Act, Performance
from handstream.synthetic.render import Exposure, Light
from handstream.synthetic.stage import View
from handstream.synthetic.studio import DEFAULT_PALM, rig

LIGHTS = {"normal": Exposure(), "low": Exposure(gain=0.15, noise=4.0)}
PAUSE_SECONDS = (0.9, 2.0)
"""Idle time between the gestures of a continuous clip."""
LEAD_SECONDS = 0.15
"""At least so long before and after a gesture."""


@dataclass(frozen=True)
class Options:
    """What decides every pixel."""

    gestures: tuple[str, ...] = DEFAULT
    subjects: int = 4
    first_subject: int = 1
    """The number of the first."""
    takes: int = 1
    """Of each gesture and subject."""
    cameras: tuple[str, ...] = ("cam0", "cam1")
    size: tuple[int, int] = (640, 480)
    frames_per_second: tuple[float, ...] = (30.0,)
    """Of each view, or of all."""
    offsets: tuple[float, ...] = (0.0,)
    """Seconds that each view, or all, begin after the take."""
    seconds: float = 2.0
    palm: float = DEFAULT_PALM
    """Pixels that a palm is wide in the middle of the scene."""
    light: str = "normal"
    distortion: float = 0.0
    hard: bool = False
    """Hidden, clenched and edge-on hands too, seen from all sides."""
    continuous: float | None = None
    """Seconds of clips that hold many gestures."""
    always_two: bool = False
    """A second person stands by even where one alone acts, as in CI3D."""
    seed: int = 0

    @property
    def subject_numbers(self) -> range:
        return range(self.first_subject, self.first_subject + self.subjects)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.gestures, *(HARD if self.hard and self.gestures == DEFAULT else ()))


@dataclass(frozen=True)
class TakePlan:
    """One take, before anything of it is made."""

    subject: int
    """Its number."""
    number: int
    """From 1, of its label."""
    label: str
    """Empty for a continuous one."""
    people: int = 1


@dataclass(frozen=True, eq=False)
class Take:
    """Who does what, seen by whom."""

    plan: TakePlan
    performance: Performance
    views: list[View]
    exposure: Exposure
    light: Light
    seed: tuple[int, ...]

    def room(self, view: int) -> tuple[int, ...]:
        """The seed of the wall that a view sees: that of the session, in which cameras stand still."""
        return (self.seed[0], self.plan.subject, view)


def subject_name(subject: int) -> str:
    return f"s{subject:02}"


def plan_takes(options: Options) -> list[TakePlan]:
    """All takes, in order."""
    gestures = gestures_named(options.names)
    plans = []
    for subject in options.subject_numbers:
        for number in range(1, options.takes + 1):
            if options.continuous:
                for people in sorted({gesture.people for gesture in gestures}):
                    plans.append(TakePlan(subject, number, "", people))
            else:
                plans += [TakePlan(subject, number, gesture.name, gesture.people) for gesture in gestures]
    return plans


def session(options: Options, subject: int) -> tuple[list[Person], list[Camera], Light]:
    """A subject and their partner, the cameras before them, and the light of that day."""
    rng = np.random.default_rng([options.seed, subject])
    people = [make_person(subject_name(subject) + suffix, rng) for suffix in ("", " partner")]
    light = Light(sun=(float(rng.uniform(-0.8, 0.8)), 0.7, float(rng.uniform(0.4, 0.8))))
    height = float(np.mean([person.shoulder_height for person in people]))
    cameras = rig(options.cameras, options.size, options.palm, height, rng, options.hard, options.distortion)
    return people, cameras, light


def make_take(options: Options, plan: TakePlan) -> Take:
    """What a plan stands for; its randomness depends on the seed, the subject, the label and the number alone."""
    people, cameras, light = session(options, plan.subject)
    # Python's own hash of a text differs from process to process.
    word = zlib.crc32(f"{plan.label}/{plan.people}".encode())
    seed = (options.seed, plan.subject, plan.number, word)
    rng = np.random.default_rng(seed)
    if options.continuous:
        seconds = options.continuous
        gestures = [g for g in gestures_named(options.names) if g.people == plan.people and g.keys]
        acts = list(_script(gestures, seconds, people[0], rng))
    else:
        seconds = options.seconds
        (gesture,) = gestures_named([plan.label])
        acts = [_act(gesture, seconds, people[0], rng)]
    performing = people if options.always_two or plan.people == 2 else people[:1]
    performance = Performance(performing, acts, seconds, seed, restless=options.continuous is not None)
    rates, offsets = (values * (len(cameras) // len(values)) for values in (options.frames_per_second, options.offsets))
    views = [View(*each) for each in zip(cameras, rates, offsets, strict=True)]
    return Take(plan, performance, views, LIGHTS[options.light], light, seed)


def _length(gesture: Gesture, person: Person, rng: np.random.Generator) -> float:
    return gesture.seconds / person.tempo * float(rng.uniform(0.9, 1.1))


def _act(gesture: Gesture, seconds: float, person: Person, rng: np.random.Generator) -> Act:
    """A gesture somewhere in a clip; a still one, or none, fills it."""
    free = max(seconds - 2 * LEAD_SECONDS, 0.5 * seconds)
    length = free if gesture.still or not gesture.keys else min(_length(gesture, person, rng), free)
    start = (seconds - free) / 2 + float(rng.uniform(0, free - length))
    return Act(gesture, start, start + length)


def _script(gestures: list[Gesture], seconds: float, person: Person, rng: np.random.Generator) -> Iterator[Act]:
    """Gestures one after the other with pauses between, each as often as the others."""
    at, bag = float(rng.uniform(*PAUSE_SECONDS)), list[Gesture]()
    while gestures:
        bag = bag or [gestures[i] for i in rng.permutation(len(gestures))]
        gesture = bag.pop()
        end = at + _length(gesture, person, rng)
        if end + REACH_SECONDS > seconds:
            return
        yield Act(gesture, at, end)
        at = end + REACH_SECONDS + float(rng.uniform(*PAUSE_SECONDS))


def labelled_parts(take: Take) -> list[tuple[str, float, float]]:
    """(label, start, end) of all that a continuous take holds, what lies between gestures being none."""
    parts, at = [], 0.0
    for act in take.performance.acts:
        parts += [("none", at, act.start), (act.gesture.name, act.start, act.end)]
        at = act.end
    return [*parts, ("none", at, take.performance.seconds)]
