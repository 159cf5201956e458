"""Score one run against a data set: files in, metrics out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from selfpose6d.errors import DataError
from selfpose6d.evaluation.bop_models import bop_models
from selfpose6d.evaluation.bop_recall import Recalls, SensorImage, bop_recalls
from selfpose6d.evaluation.claims import check_claims
from selfpose6d.evaluation.conventions import warn_of_transposed_rotations
from selfpose6d.evaluation.errors_file import InstanceErrors, instance_errors, read_instances, write_instances
from selfpose6d.evaluation.inputs import (
    Reference,
    ReferenceOptions,
    predictions_path,
    read_estimates,
    verdict_counts,
)
from selfpose6d.evaluation.instances import Estimates
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
    rows = RowCounts()
    estimates, scores, has_certificates = _scored(source, reference, rows)
    if len(estimates) and scores.missed.all() and not len(scores.spurious):
        raise DataError(
            f"{source}: none of its {len(estimates)} predictions lies in an image with a target, in split "
            f"{split} of {reference.options.data.dataset}. Pass the data set and split of the run."
        )
    warn_of_transposed_rotations(source, estimates, scores, reference.truths)
    recalls = measure_recalls(estimates, reference, recalls_on, track) if recalls_on else None
    results = _summarised(estimates, scores, reference, has_certificates, recalls)
    if verdicts is not None:
        before = _summarised(
            *_scored(source, reference, RowCounts(), before_review=True)[:2], reference, has_certificates
        )
        results = _with_review(results, before, verdicts)
    errors = instance_errors(scores, reference.truths, split, reference.names)
    return Evaluation(replace(results, content=reference.options.content_hash(source)), errors, rows)


def _scored(
    source: Path, reference: Reference, rows: RowCounts, before_review: bool = False
) -> tuple[Estimates, ScoredTargets, bool]:
    """The selected estimates, their scores, and whether they have certificates; counts the file's rows."""
    estimates, has_certificates = read_estimates(source, before_review, with_reasons=False, counts=rows)
    keeps = reference.options.data.selection.keeps_object
    kept = np.isin(estimates.obj_id, [i for i in np.unique(estimates.obj_id).tolist() if keeps(i)])
    estimates = estimates if kept.all() else estimates.take(kept)
    points_m = {obj_id: model.points_m for obj_id, model in reference.points.items()}
    scores = score(estimates, reference.truths, points_m, set(reference.symmetric_ids), reference.symmetries)
    return estimates, scores, has_certificates


def _summarised(
    estimates: Estimates,
    scores: ScoredTargets,
    reference: Reference,
    has_certificates: bool,
    recalls: Recalls | None = None,
) -> Results:
    results = summarise(
        scores,
        reference.symmetric_ids,
        describe_sources(reference.points),
        reference.describe_selection(),
        has_certificates,
        recalls,
        check_claims(estimates, scores),
    )
    return replace(results, sources=count_sources(estimates, scores))


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


def measure_recalls(
    estimates: Estimates, reference: Reference, device: str = "cpu", track: Track = iter
) -> Recalls:
    """BOP's average recalls; reads depth, camera and meshes of the data set (`models_eval/` where it has them).

    Raises:
        UsageError: the data set has no images or no meshes.
        DataError: an image, a camera or a mesh is missing or broken.
    """
    dataset = reference.options.data.open(reference.options.split)
    obj_ids = np.unique(reference.truths.obj_id).tolist()
    models = bop_models(reference.options.data, reference.models, obj_ids)

    def load_image(scene_id: int, im_id: int) -> SensorImage:
        frame_id = FrameId(scene_id, im_id)
        return SensorImage(dataset.read_depth(frame_id), dataset.read_intrinsics(frame_id))

    return bop_recalls(estimates, reference.truths, models, load_image, device, track)
