"""Score one run against a data set: files in, metrics out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from selfpose6d.errors import DataError
from selfpose6d.evaluation.bop_models import bop_models
from selfpose6d.evaluation.bop_recall import Recalls, SensorImage, bop_recalls
from selfpose6d.evaluation.claims import check_claims
from selfpose6d.evaluation.conventions import RotationCheck
from selfpose6d.evaluation.errors_file import InstanceErrors, instance_errors, read_instances, write_instances
from selfpose6d.evaluation.estimates import (
    EstimateReader,
    UnorderedError,
    predictions_path,
    read_estimates,
    verdict_counts,
)
from selfpose6d.evaluation.inputs import Reference, ReferenceOptions
from selfpose6d.evaluation.instances import Estimates, Truths, joined
from selfpose6d.evaluation.model_points import describe_sources
from selfpose6d.evaluation.results import Results, Reviewed, read_results, summarise, write_results
from selfpose6d.evaluation.score import ScoredTargets, score
from selfpose6d.evaluation.sources import count_sources
from selfpose6d.files import one_at_a_time, remove_stale
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.predictions import RowCounts
from selfpose6d.runs.review import VerdictKind
from selfpose6d.selection import FrameId

Track = Callable[[Sequence], Iterable]
"""Wraps a long loop to show its progress."""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one run, and the errors of every target behind them."""

    results: Results
    errors: InstanceErrors
    rows: RowCounts = field(default_factory=RowCounts)
    """Of the predictions file, as far as it was read for this."""


def evaluate(
    source: Path, reference: Reference, recalls_on: str | None = None, track: Track = iter
) -> Evaluation:
    """Score a run folder, after its review if it has one, or a predictions file; BOP's recalls on device `recalls_on`.

    Raises:
        UsageError: there are no predictions.
        DataError: a file is broken, or none of the predictions lies in a selected, annotated image.
    """
    split, verdicts = reference.options.split, verdict_counts(source)
    run = _scored(source, reference)
    if run.num_estimates and run.scores.missed.all() and not len(run.scores.spurious):
        raise DataError(
            f"{source}: none of its {run.num_estimates} predictions lies in an image with a target, in split "
            f"{split} of {reference.options.data.dataset}. Pass the data set and split of the run."
        )
    run.rotations.warn(source)
    recalls = measure_recalls(source, reference, recalls_on, track) if recalls_on else None
    results = _summarised(run, reference, recalls)
    if verdicts is not None:
        before = _summarised(_scored(source, reference, before_review=True), reference)
        results = _with_review(results, before, verdicts)
    errors = instance_errors(run.scores, split, reference.names)
    return Evaluation(replace(results, content=reference.options.content_hash(source)), errors, run.rows)


@dataclass(frozen=True)
class _ScoredRun:
    """The scores of a run, and what else was seen of its estimates."""

    scores: ScoredTargets
    num_estimates: int
    has_certificates: bool
    rotations: RotationCheck
    rows: RowCounts


def _scored(source: Path, reference: Reference, before_review: bool = False) -> _ScoredRun:
    """Read and measured some scenes at a time; all at once where the run's are in another order."""
    try:
        return _scored_by(reference.blocks(), source, reference, before_review)
    except UnorderedError:
        return _scored_by([reference.truths], source, reference, before_review)


def _scored_by(
    blocks: Iterable[Truths], source: Path, reference: Reference, before_review: bool
) -> _ScoredRun:
    """Block by block, in the order of the scenes.

    Raises:
        UnorderedError: scenes of the predictions, certificates or true poses do not follow each other.
    """
    reader = EstimateReader(source, before_review, with_reasons=False)
    points_m = {obj_id: model.points_m for obj_id, model in reference.points.items()}
    symmetric_ids, rotations = set(reference.symmetric_ids), RotationCheck()
    parts, num_estimates, last_scene = list[ScoredTargets](), 0, -1
    for truths, following in pairwise(chain(blocks, [None])):
        assert truths is not None
        if truths.scene_id.min() <= last_scene:
            raise UnorderedError
        last_scene = int(truths.scene_id.max())
        estimates = reader.rest() if following is None else reader.up_to(last_scene)
        estimates = _selected(estimates, reference)
        scores = score(estimates, truths, points_m, symmetric_ids, reference.symmetries)
        rotations.look_at(estimates, scores, truths)
        parts.append(scores)
        num_estimates += len(estimates)
    return _ScoredRun(joined(parts), num_estimates, reader.has_certificates, rotations, reader.counts)


def _selected(estimates: Estimates, reference: Reference) -> Estimates:
    keeps = reference.options.data.selection.keeps_object
    kept = np.isin(estimates.obj_id, [i for i in np.unique(estimates.obj_id).tolist() if keeps(i)])
    return estimates if kept.all() else estimates.take(kept)


def _summarised(run: _ScoredRun, reference: Reference, recalls: Recalls | None = None) -> Results:
    results = summarise(
        run.scores,
        reference.symmetric_ids,
        describe_sources(reference.points),
        reference.describe_selection(),
        run.has_certificates,
        recalls,
        check_claims(run.scores),
    )
    return replace(results, sources=count_sources(run.scores))


def _with_review(after: Results, before: Results, verdicts: Mapping[VerdictKind, int]) -> Results:
    """The results after a review; what certificates promise and state is that of the run before it."""
    certified = before.certified_share, before.certified_precision, before.certified_precision_below_10pct
    return replace(
        after,
        reliability=before.reliability,
        claims=before.claims,
        sources=before.sources,
        review=Reviewed(verdicts, *certified),
    )


def results_path(source: Path) -> Path:
    """Where the results of a run folder or a predictions file lie, unless told otherwise: beside the predictions."""
    return RunFiles(predictions_path(source).parent).results


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write the results to `path` and the errors beside it: `instances.csv`, or `<stem>_instances.csv`."""
    with one_at_a_time(path):  # two evaluations: the files are of one of them
        remove_stale(path.parent, _instances_path(path).name)
        path.unlink(missing_ok=True)  # written last: where results stand, the errors are theirs
        write_instances(evaluation.errors, _instances_path(path))
        write_results(evaluation.results, path)


def read_evaluation(source: Path, options: ReferenceOptions) -> Evaluation | None:
    """What `evaluate` wrote beside these predictions, of them as they are now and against this reference.

    None where it wrote nothing of the kind, or a file is broken. `options` are a `Reference`'s, nothing left open.
    """
    path = results_path(source)
    with suppress(DataError):
        results = read_results(path)
        if results.content == options.content_hash(source):
            return Evaluation(results, read_instances(_instances_path(path)))
    return None


def _instances_path(results: Path) -> Path:
    run = RunFiles(results.parent)
    name = run.instances.name
    return results.with_name(name if results == run.results else f"{results.stem}_{name}")


def measure_recalls(source: Path, reference: Reference, device: str = "cpu", track: Track = iter) -> Recalls:
    """BOP's average recalls; reads depth, camera and meshes of the data set (`models_eval/` where it has them).

    Raises:
        UsageError: the data set has no images or no meshes.
        DataError: an image, a camera or a mesh is missing or broken.
    """
    estimates = _selected(read_estimates(source, with_reasons=False)[0], reference)
    dataset = reference.options.data.open(reference.options.split)
    obj_ids = np.unique(reference.truths.obj_id).tolist()
    models = bop_models(reference.options.data, reference.models, obj_ids)

    def load_image(scene_id: int, im_id: int) -> SensorImage:
        frame_id = FrameId(scene_id, im_id)
        return SensorImage(dataset.read_depth(frame_id), dataset.read_intrinsics(frame_id))

    return bop_recalls(estimates, reference.truths, models, load_image, device, track)
