"""Score one run against a data set: files in, figures out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfpose6d.datasets.layouts import open_dataset
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.errors import DataError
from selfpose6d.evaluation.bop_recall import BopModel, Recalls, SensorImage, bop_recalls
from selfpose6d.evaluation.inputs import Reference, read_estimates
from selfpose6d.evaluation.instances import Estimates, Truths
from selfpose6d.evaluation.model_points import describe_sources
from selfpose6d.evaluation.results import Results, summarise
from selfpose6d.evaluation.score import Scores, score
from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.selection import FrameId

SYMMETRY_STEPS = 315
"""BOP's discretisation of an axis: no surface point moves by more than 1 % of the diameter between steps."""
Track = Callable[[Sequence], Iterable]
"""Wraps a long loop to show its progress."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one run and the tables behind them.

    `scores.estimate` counts the rows of `estimates`, `scores.truth` those of `truths`.
    """

    results: Results
    scores: Scores
    estimates: Estimates
    truths: Truths


def evaluate(
    source: Path, reference: Reference, recalls_on: str | None = None, track: Track = iter
) -> Evaluation:
    """Score a run folder or a predictions file; BOP's recalls on device `recalls_on`, if any.

    Raises:
        UsageError: there are no predictions.
        DataError: a file is broken, or none of the predictions lies in a selected, annotated image.
    """
    estimates, has_certificates = read_estimates(source)
    keeps = reference.options.selection.keeps_object
    estimates = estimates.take(np.array([keeps(obj_id) for obj_id in estimates.obj_id.tolist()], dtype=bool))
    points_m = {obj_id: model.points_m for obj_id, model in reference.points.items()}
    scores = score(estimates, reference.truths, points_m, set(reference.symmetric_ids))
    if len(estimates) and scores.missed.all() and not len(scores.spurious):
        raise DataError(
            f"{source}: none of its {len(estimates)} predictions lies in an image with a target, in split "
            f"{reference.options.split} of {reference.options.root}. Pass the data set and split of the run."
        )
    results = summarise(
        scores,
        reference.symmetric_ids,
        describe_sources(reference.points),
        reference.describe_selection(),
        has_certificates,
        measure_recalls(estimates, reference, recalls_on, track) if recalls_on else None,
    )
    return Evaluation(results, scores, estimates, reference.truths)


def measure_recalls(
    estimates: Estimates, reference: Reference, device: str = "cpu", track: Track = iter
) -> Recalls:
    """BOP's average recalls; reads depth, camera and meshes of the data set.

    Raises:
        UsageError: the data set has no images or no meshes.
        DataError: an image, a camera or a mesh is missing or broken.
    """
    options = reference.options
    dataset = open_dataset(
        options.root, options.split, options.selection, options.models_dir, options.model_unit
    )
    symmetries = read_symmetries(reference.models.folder)
    models = {}
    for obj_id in np.unique(reference.truths.obj_id).tolist():
        group = symmetries.get(obj_id, SymmetryGroup(np.empty((0, 4, 4))))
        models[obj_id] = BopModel(dataset.load_mesh(obj_id), group.expand(SYMMETRY_STEPS))

    def load_image(scene_id: int, im_id: int) -> SensorImage:
        frame_id = FrameId(scene_id, im_id)
        return SensorImage(dataset.read_depth(frame_id), dataset.read_intrinsics(frame_id))

    return bop_recalls(estimates, reference.truths, models, load_image, device, track)
