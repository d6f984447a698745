"""extract: real videos in, a data set of hand-landmark windows out.

`build` is the way of the data; `run` parses, checks and says what happened.
"""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection
from handstream.pipelines import dryrun, landmarker_file, options, output, runs
from handstream.pipelines.runner import choose_runner
from handstream.transforms.assemble import WindowOptions
from handstream.transforms.dataset import Finish, WriteDataset
from handstream.transforms.detect import DetectHands
from handstream.transforms.landmarks import DetectionOptions
from handstream.transforms.match import MatchClips
from handstream.transforms.probe import ProbeSources
from handstream.transforms.segments import CLIPS, DONE, MISSING, SplitSources, receipts_by_take
from handstream.transforms.takes import PlanTakes


@dataclass(frozen=True)
class Extraction:
    """All that a pipeline needs to know; the clips themselves stand in the plan."""

    plan: str
    out: str
    detection: DetectionOptions
    windows: WindowOptions


def build(p: beam.Pipeline, job: Extraction) -> PCollection[str]:
    """Wire the pipeline; the path of dataset.json once it is written."""
    files = p | MatchClips(job.plan)
    sources = files | ProbeSources(job.out)
    segments = sources | SplitSources(job.out, job.detection)
    detected = segments[MISSING] | DetectHands(job.out, job.detection)
    receipts = (detected, segments[DONE]) | beam.Flatten() | beam.FlatMap(receipts_by_take)
    plans = (receipts, segments[CLIPS]) | "TakeParts" >> beam.Flatten() | PlanTakes(job.windows)
    shards = plans | WriteDataset(job.out, job.detection, job.windows)
    return shards | Finish(job.out, job.plan, job.detection, job.windows)


def run(argv: list[str]) -> int:
    """`handstream extract`: 0 done, 1 something failed or is partial, 2 wrong usage.

    Raises:
        InputError: wrong usage, found before work starts.
    """
    args, beam_flags = options.parse(argv)
    runner = choose_runner(beam_flags)
    clips = options.match(args)
    if args.dry_run:
        return dryrun.show(args, clips, landmarker_file.find_if_there(args.landmarker))
    landmarker = landmarker_file.find(args.landmarker)
    with output.opened(args.out) as out:
        detection = options.detection(args, clips, landmarker_file.within_reach(landmarker, out, runner.local))
        prepared = runs.prepare(out, clips, args)
        job = Extraction(prepared.plan, out.path, detection, prepared.windows)
        return runs.execute(lambda p: build(p, job), job.out, prepared, runner, args)
