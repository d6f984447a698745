"""RenderTakes: plans in; videos and truth out."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics
from handstream.synthetic import folders, truth
from handstream.synthetic.clip import encode_video
from handstream.synthetic.layouts import Layout
from handstream.synthetic.render import Picture
from handstream.synthetic.stage import film
from handstream.synthetic.takes import Take, TakePlan, make_take
from handstream.transforms import storage


def render_view(take: Take, number: int, rows: list[dict[str, object]]) -> Iterator[Picture]:
    """The pictures of one view of a take; the truth about each is added to `rows`."""
    view = take.views[number]
    frames = film(take.performance, view, (*take.seed, number), take.exposure, take.light, take.room(number))
    for frame, (picture, hands) in enumerate(frames):
        rows += truth.rows_of(take, view, frame, hands)
        yield picture


class RenderTakes(beam.PTransform):
    """Render takes to OUT; the path of each one's truth, which is written last, is what comes out."""

    def __init__(self, out: str, layout: Layout) -> None:
        super().__init__()
        self._out, self._layout = out, layout

    def expand(self, plans: beam.PCollection[TakePlan]) -> beam.PCollection[str]:
        return plans | beam.Reshuffle() | beam.ParDo(_RenderTakes(self._out, self._layout))


class _RenderTakes(beam.DoFn):
    def __init__(self, out: str, layout: Layout) -> None:
        self._out, self._layout = out, layout
        self._frames = Metrics.counter(RenderTakes, "frames")

    def process(self, plan: TakePlan) -> Iterator[str]:
        take = make_take(self._layout.options, plan)
        rows: list[dict[str, object]] = []
        for number in self._layout.views(take):
            view = take.views[number]
            before = len(rows)
            video = encode_video(
                render_view(take, number, rows), view.camera.width, view.camera.height, view.frames_per_second
            )
            self._write(self._layout.video_path(plan, view.camera.name), video)
            self._frames.inc(len({row["frame"] for row in rows[before:]}))
        for path, data in self._layout.files_of_take(take).items():
            self._write(path, data)
        path = folders.truth_path(plan)
        self._write(path, truth.encode(rows))
        yield path

    def _write(self, path: str, data: bytes) -> None:
        storage.write_bytes(self._out, storage.join(self._out, path), data)
