"""AssembleTake: from what was detected in the segments of its views to the windows of a take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from handstream.records.window import LANDMARKS, Side, State, Window
from handstream.transforms import landmarks, storage
from handstream.transforms.clips import Clip, Source, TakeKey, segments_of
from handstream.transforms.landmarks import DetectionOptions, Hand
from handstream.transforms.tracks import Track, assign_slots, follow_hands, longest_gap_us, vote
from numpy.typing import NDArray

SAME_TIME_US = 1000
"""A frame no further than this from a tick of the clock was seen at it: 3 mm for a hand at 3 m/s."""


@dataclass(frozen=True)
class WindowOptions:
    """All that decides what windows a data set has, beside its sources, their splits and what was detected."""

    labels: tuple[str, ...]
    views: int
    view_names: tuple[str, ...]
    """Names of all views where each has a place of its own in every window; empty: a take's views are sorted."""
    hands: int
    by_side: bool
    window: float | None = None
    """Seconds; None: one window a take."""
    hop: float | None = None
    rate: float | None = None
    """Hz of an even clock; None: frames as they were sampled."""
    keep_partial: bool = False

    def label_id(self, label: str) -> int:
        return self.labels.index(label) if label else -1

    def places(self, names: Iterable[str]) -> dict[str, int]:
        """Where the views of a take stand in its windows, those that could not be read among them."""
        return {name: place for place, name in enumerate(self.view_names or sorted(names))}


@dataclass
class ClipReport:
    """A row of clips.parquet."""

    clip: Clip
    status: str
    error: str = ""
    frames: int = 0
    frames_with_hands: int = 0
    seconds: float = 0.0
    hands_dropped: int = 0
    """Detections for which no slot was free."""
    source: str = ""
    """Digest of its file's content."""

    @property
    def usable(self) -> bool:
        return self.status in ("ok", "no-hands")


@dataclass(eq=False)
class View:
    """What one view saw of a take, on its own frames."""

    clip: Clip
    times_us: NDArray[np.int64]
    """[frames] from the start of the clip."""
    size: tuple[int, int]
    tracks: list[Track]
    slots: list[int | None]

    @property
    def interval_us(self) -> float:
        """Median time between frames at different times; infinite where there is but one."""
        steps = np.diff(np.unique(self.times_us))
        return float(np.median(steps)) if len(steps) else np.inf


@dataclass(eq=False)
class Take:
    """A take over all its views on one clock; arrays as in a `Window`, T being the whole take's."""

    key: TakeKey
    views: tuple[str, ...]
    times_us: NDArray[np.int64]
    hand_landmarks: NDArray[np.float32]
    hand_world_landmarks: NDArray[np.float32]
    handedness: NDArray[np.float32]
    log_odds: NDArray[np.float64]
    """[T, V, H] the evidence that each frame of a slot adds to its side."""
    state: NDArray[np.int64]
    image_size: NDArray[np.int64]


def read_view(
    clip: Clip, source: Source, out: str, detection: DetectionOptions, options: WindowOptions
) -> tuple[View | None, ClipReport]:
    """Stitch the segments of a clip and follow its hands; None where nothing was seen of it."""
    if source.error:
        return None, ClipReport(clip, "failed", source.error, source=source.digest)
    times: list[int] = []
    hands: list[list[Hand]] = []
    size, errors = (0, 0), []
    for segment in segments_of(source, clip):
        path = landmarks.path_of(out, segment, detection)
        try:
            found = landmarks.read(path)
        except OSError as error:
            found = landmarks.Detections(error=f"what was detected cannot be read: {error}")
        except landmarks.DamagedFile as error:
            # Its receipt may be whole, and would be believed again.
            storage.remove(path)
            found = landmarks.Detections(error=f"{path} was damaged ({error}); the same command detects it anew")
        if found.error and _breaks(found.times_us, clip):
            errors.append((found.times_us[-1] if found.times_us else None, found.error))
        size = size if size != (0, 0) else (found.width, found.height)
        for time_us, seen in zip(found.times_us, found.hands, strict=True):
            if clip.holds(time_us):
                times.append(time_us - clip.start_us)
                hands.append(seen)
    report = _report(clip, source, times, hands, errors)
    if not times or not (report.usable or (report.status == "partial" and options.keep_partial)):
        return None, report
    order = np.argsort(np.array(times, np.int64), kind="stable")
    times_us = np.array(times, np.int64)[order]
    tracks = follow_hands(times_us, [hands[i] for i in order], size)
    tracks, slots = assign_slots(tracks, options.hands, options.by_side)
    report.hands_dropped = sum(len(t.frames) for t, slot in zip(tracks, slots, strict=True) if slot is None)
    return View(clip, times_us, size, tracks, slots), report


def _breaks(times_us: list[int], clip: Clip) -> bool:
    """Whether a segment that ends early after these frames ends within the clip."""
    return not times_us or clip.end_us is None or times_us[-1] < clip.end_us


def _report(
    clip: Clip, source: Source, times: list[int], hands: list[list[Hand]], errors: list[tuple[int | None, str]]
) -> ClipReport:
    report = ClipReport(clip, "ok", source=source.digest, frames=len(times), frames_with_hands=sum(map(bool, hands)))
    if times:
        interval = float(np.median(np.diff(np.sort(times)))) if len(times) > 1 else 0.0
        # The last frame lasts an interval, but not beyond the clip's end.
        ends = [end for end in (clip.end, source.seconds) if end is not None]
        rest = max(0.0, min(ends) * 1e6 - clip.start_us - max(times)) if ends else interval
        report.seconds = (max(times) - min(times) + min(interval, rest)) / 1e6
    if errors:
        at_us, text = errors[0]
        if times:
            place = "" if at_us is None else f" after {at_us / 1e6:.3f} s"
            text = f"broke off{place}, {len(times)} frames came: {text}"
            if len(errors) > 1:
                text += f" (and {len(errors) - 1} more such places)"
        report.status, report.error = ("partial" if times else "failed"), text
    elif not times:
        report.status = "failed"
        part = f" between {clip.start_us / 1e6:g} s and {'its end' if clip.end is None else f'{clip.end:g} s'}"
        length = f"; it is {source.seconds:g} s long" if source.seconds else ""
        report.error = f"holds no frames{part if (clip.start, clip.end) != (None, None) else ''}{length}"
    elif not report.frames_with_hands:
        report.status = "no-hands"
    return report


def take_clock(views: Sequence[View], rate: float | None) -> NDArray[np.int64]:
    """The times at which a take is read, in microseconds.

    With a rate, an even clock over all views. Else the frames of the view with the shortest interval, continued at that
    interval to both sides where another view saw more.
    """
    first = min(int(view.times_us[0]) for view in views)
    last = max(int(view.times_us[-1]) for view in views)
    if rate is not None:
        # Times are whole microseconds: the last frame may fall just short of its tick.
        ticks = int((last - first + SAME_TIME_US) * rate // 1e6) + 1
        return first + np.round(np.arange(ticks) * (1e6 / rate)).astype(np.int64)
    fastest = min(views, key=lambda view: (view.interval_us, view.clip.view))
    times = np.unique(fastest.times_us)
    step = fastest.interval_us
    if not np.isfinite(step):
        return times

    def steps(span: float) -> NDArray[np.int64]:
        return np.round(np.arange(1, max(span + SAME_TIME_US, 0) // step + 1) * step).astype(np.int64)

    # Beyond its ends, and where it has a gap, the clock goes on at its interval.
    parts = [times[0] - steps(times[0] - first)[::-1], times, times[-1] + steps(last - times[-1])]
    gaps = np.diff(times)
    for here in np.flatnonzero(gaps > max(longest_gap_us(times), 2 * step)):
        parts.append(times[here] + steps(gaps[here] - step))
    return np.unique(np.concatenate(parts))


def frames_at(times_us: NDArray[np.int64], clock_us: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(ticks on which a frame of a view falls, ticks at which the view was recording).

    A view records from its first frame to one interval after its last, but not between frames that are further apart
    than a hand may be unseen.
    """
    left = np.searchsorted(times_us, clock_us + SAME_TIME_US, "right") - 1
    right = np.searchsorted(times_us, clock_us - SAME_TIME_US, "left")
    on_frame = left >= right
    inside = (left >= 0) & (right < len(times_us))
    gap = times_us[np.clip(right, 0, len(times_us) - 1)] - times_us[np.clip(left, 0, len(times_us) - 1)]
    step = np.median(np.diff(times_us)) if len(times_us) > 1 else 0
    after = (right >= len(times_us)) & (clock_us - times_us[-1] < step)
    return on_frame, on_frame | (inside & (gap <= longest_gap_us(times_us))) | after


def sample_track(
    track: Track, times_us: NDArray[np.int64], clock_us: NDArray[np.int64], gap_us: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Where a track is read for each tick: (ticks, left, weight, seen).

    Ticks of the clock at which the track is known; there its value is
    (1 - weight) * value[left] + weight * value[left + 1]; `seen` where it was detected in a frame on the tick. Between
    two detections only where they are at most `gap_us` apart, and not on a tick on which a frame falls: there it was
    looked for and not found. Never before the first or after the last.
    """
    at = times_us[track.frames]
    right = np.searchsorted(at, clock_us, side="left")
    left = np.clip(right - 1, 0, len(at) - 1)
    right = np.clip(right, 0, len(at) - 1)
    nearest = np.where(np.abs(at[right] - clock_us) <= np.abs(clock_us - at[left]), right, left)
    seen = np.abs(at[nearest] - clock_us) <= SAME_TIME_US
    span = at[right] - at[left]
    looked, _ = frames_at(times_us, clock_us)
    between = ~looked & (at[left] < clock_us) & (clock_us < at[right]) & (span <= gap_us)
    weight = np.where(between, (clock_us - at[left]) / np.maximum(span, 1), 0.0)
    ticks = np.flatnonzero(seen | between)
    return ticks, np.where(seen, nearest, left)[ticks], weight[ticks], seen[ticks]


def assemble_take(key: TakeKey, views: Sequence[View], options: WindowOptions, places: dict[str, int]) -> Take:
    """Put the views of a take on one clock, each in its place."""
    own_frames = len(views) == 1 and options.rate is None
    clock = views[0].times_us if own_frames else take_clock(views, options.rate)
    shape = (len(clock), options.views, options.hands)
    take = Take(
        key,
        tuple("" for _ in range(options.views)),
        clock,
        np.full((*shape, LANDMARKS, 3), np.nan, np.float32),
        np.full((*shape, LANDMARKS, 3), np.nan, np.float32),
        np.full(shape, np.nan, np.float32),
        np.zeros(shape),
        np.full(shape, State.NO_VIEW, np.int64),
        np.zeros((options.views, 2), np.int64),
    )
    names = list(take.views)
    for view in views:
        v = places[view.clip.view]
        names[v] = view.clip.view
        take.image_size[v] = view.size
        _, recording = frames_at(view.times_us, clock)
        take.state[recording, v] = State.NONE
        gap_us = longest_gap_us(view.times_us)
        for track, slot in zip(view.tracks, view.slots, strict=True):
            if slot is None:
                continue
            if own_frames:
                n = len(track.frames)
                ticks, left = track.frames, np.arange(n)
                weight, seen = np.zeros(n), np.ones(n, bool)
            else:
                ticks, left, weight, seen = sample_track(track, view.times_us, clock, gap_us)
                # What was seen is not overwritten by what was guessed of another track in the slot.
                free = seen | ~np.isin(take.state[ticks, v, slot], (State.SEEN, State.INTERPOLATED))
                ticks, left, weight, seen = ticks[free], left[free], weight[free], seen[free]
            right = np.where(weight > 0, left + 1, left)
            for target, values in (
                (take.hand_landmarks, track.landmarks),
                (take.hand_world_landmarks, track.world),
                (take.handedness, track.handedness),
            ):
                w = weight.reshape(-1, *[1] * (values.ndim - 1))
                target[ticks, v, slot] = np.where(w > 0, (1 - w) * values[left] + w * values[right], values[left])
            take.state[ticks, v, slot] = np.where(seen, State.SEEN, State.INTERPOLATED)
            take.log_odds[ticks, v, slot] = track.log_odds
    take.views = tuple(names)
    return take


def cut_windows(take: Take, options: WindowOptions) -> Iterator[Window]:
    """The windows of a take: itself, or stretches [k * hop, k * hop + window) from its start.

    A stretch is cut as long as the take reaches its end; a take shorter than a window is one window.
    """
    times = take.times_us
    step = int(np.median(np.diff(times))) if len(times) > 1 else 0
    first, end = int(times[0]), int(times[-1]) + step
    if options.window is None:
        yield _window(take, slice(0, len(times)), first, end, options)
        return
    length, hop = round(options.window * 1e6), round((options.hop or options.window) * 1e6)
    starts = [*range(first, end - length + step // 2 + 1, hop)] or [first]
    for start in starts:
        inside = slice(*np.searchsorted(times, [start, start + length]))
        if inside.stop > inside.start:
            yield _window(take, inside, start, min(start + length, max(end, start + 1)), options)


def _window(take: Take, part: slice, start_us: int, end_us: int, options: WindowOptions) -> Window:
    state = take.state[part]
    present = (state == State.SEEN) | (state == State.INTERPOLATED)
    evidence = np.where(present, take.log_odds[part], 0).sum(axis=0)
    side = np.array([[vote(float(e)) for e in row] for row in evidence], np.int64)
    side[~present.any(axis=0)] = Side.UNKNOWN
    return Window(
        take=take.key.take,
        views=take.views,
        subject=take.key.subject,
        label=take.key.label,
        label_id=options.label_id(take.key.label),
        start_us=start_us,
        end_us=end_us,
        time=((take.times_us[part] - start_us) / 1e6).astype(np.float32),
        hand_landmarks=take.hand_landmarks[part],
        hand_world_landmarks=take.hand_world_landmarks[part],
        handedness=take.handedness[part],
        state=state,
        side=side,
        image_size=take.image_size,
    )


@dataclass
class AssembledTake:
    """What a take gave."""

    windows: list[Window] = field(default_factory=list)
    reports: list[ClipReport] = field(default_factory=list)
    windows_without_hands: int = 0
    """Sliding windows that were dropped, since no hand was in them."""


def windows_of_take(
    key: TakeKey,
    clips: Sequence[tuple[Clip, Source]],
    out: str,
    detection: DetectionOptions,
    options: WindowOptions,
) -> AssembledTake:
    """All windows of a take, and a report for each of its clips."""
    result = AssembledTake()
    views: list[View] = []
    for clip, source in sorted(clips, key=lambda pair: pair[0].view):
        view, report = read_view(clip, source, out, detection, options)
        result.reports.append(report)
        if view is not None:
            views.append(view)
    if not views:
        return result
    places = options.places(clip.view for clip, _ in clips)
    for window in cut_windows(assemble_take(key, views, options, places), options):
        seen: Any = (window.state == State.SEEN) | (window.state == State.INTERPOLATED)
        if options.window is not None and not seen.any():
            result.windows_without_hands += 1
        else:
            result.windows.append(window)
    return result
