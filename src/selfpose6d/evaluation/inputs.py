"""From files to the tables that are scored: a run's predictions, and the data set's true poses and models."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.datasets.model_files import ModelFiles, Unit, find_model_files
from selfpose6d.datasets.true_poses import GroundTruthPose, Targets, bop19_targets, load_ground_truth
from selfpose6d.datasets.ycb_video.files import find_ycb_models
from selfpose6d.errors import UsageError
from selfpose6d.evaluation.instances import NO_CERTIFICATE, Estimates, Truths
from selfpose6d.evaluation.model_points import (
    SURFACE_SEED,
    ModelPoints,
    PointsChoice,
    load_model_points,
    object_names,
    symmetric_object_ids,
)
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.folder import CONFIG_NAME, RunConfig, read_config
from selfpose6d.runs.predictions import read_predictions
from selfpose6d.selection import Selection
from selfpose6d.types import LabeledPose

PREDICTIONS_NAME, CERTIFICATES_NAME = "predictions.csv", "certificates.jsonl"
ROTATION_WEIGHT_M = 0.1
"""A turn by one radian is as far as this shift when a certificate is looked up by its pose."""


@dataclass(frozen=True)
class ReferenceOptions:
    """What estimates are compared with, as the options of `evaluate` say it; see there."""

    root: Path
    split: str = "test"
    selection: Selection = field(default_factory=Selection)
    targets: Targets | None = None
    points: PointsChoice = "auto"
    symmetric_ids: tuple[int, ...] | None = None
    models_dir: Path | None = None
    model_unit: Unit | None = None
    surface_seed: int = SURFACE_SEED


@dataclass(frozen=True)
class Reference:
    """True poses and models of a data set, ready to score against."""

    options: ReferenceOptions
    truths: Truths
    models: ModelFiles
    points: Mapping[int, ModelPoints]
    symmetric_ids: tuple[int, ...]
    targets: Targets

    @property
    def names(self) -> dict[int, str]:
        """Object names by id, where the data set has any."""
        return object_names(self.models)

    def describe_selection(self) -> dict[str, object]:
        """What was scored, for `results.json`."""
        chosen = {name: value for name, value in vars(self.options.selection).items() if value}
        return {"split": self.options.split, "targets": self.targets, **chosen}


def load_reference(options: ReferenceOptions) -> Reference:
    """Read the true poses and the model points of every annotated object.

    Raises:
        UsageError: the data set or split does not exist, or has no true poses.
        DataError: a file is missing or broken.
    """
    models = dataset_models(options.root, options.models_dir, options.model_unit)
    poses = load_ground_truth(options.root, options.split, options.selection, options.targets)
    if not any(pose.counts for pose in poses):
        raise UsageError(
            f"no true poses to score in split {options.split} of {options.root} "
            f"({options.selection.describe() or 'nothing selected'}). Correct --split or the selection."
        )
    truths = truths_of(poses)
    return Reference(
        options,
        truths,
        models,
        load_model_points(models, truths.obj_id.tolist(), options.points, options.surface_seed),
        symmetric_object_ids(models, options.symmetric_ids),
        "all" if bop19_targets(options.root, options.split, options.targets) is None else "bop19",
    )


def dataset_models(root: Path, models_dir: Path | None, unit: Unit | None) -> ModelFiles:
    """The model files that belong to a data set, whether or not it has images."""
    if detect_layout(root) == "ycb-video":
        return find_ycb_models(root, models_dir, unit)
    return find_model_files(models_dir or root / "models", unit)


def truths_of(poses: Sequence[GroundTruthPose]) -> Truths:
    """The true poses as a table."""
    return Truths(
        scene_id=np.array([pose.key.scene_id for pose in poses], dtype=np.int64),
        im_id=np.array([pose.key.im_id for pose in poses], dtype=np.int64),
        obj_id=np.array([pose.key.obj_id for pose in poses], dtype=np.int64),
        T_cam_obj=np.array([pose.T_cam_obj for pose in poses], dtype=np.float64).reshape(-1, 4, 4),
        counts=np.array([pose.counts for pose in poses], dtype=bool),
    )


def predictions_path(source: Path) -> Path:
    """The predictions file of a run folder, or the file itself.

    Raises:
        UsageError: there is none.
    """
    path = source / PREDICTIONS_NAME if source.is_dir() else source
    if not path.is_file():
        raise UsageError(
            f"no predictions: {path} does not exist. Pass the --out of annotate or estimate, or a CSV file."
        )
    return path


def read_estimates(source: Path) -> tuple[Estimates, bool]:
    """The estimates of a run folder or a predictions file, and whether certificates stand beside them.

    Raises:
        UsageError: there is no predictions file.
        DataError: a file is broken.
    """
    path = predictions_path(source)
    rows = read_predictions(path)
    estimates = Estimates(
        scene_id=np.array([row.scene_id for row in rows], dtype=np.int64),
        im_id=np.array([row.im_id for row in rows], dtype=np.int64),
        obj_id=np.array([row.obj_id for row in rows], dtype=np.int64),
        confidence=np.array([row.score for row in rows], dtype=np.float64),
        T_cam_obj=np.array([row.T_cam_obj for row in rows], dtype=np.float64).reshape(-1, 4, 4),
        status=np.full(len(rows), NO_CERTIFICATE, dtype=object),
        reason=np.full(len(rows), "", dtype=object),
    )
    certificates = path.with_name(CERTIFICATES_NAME)
    if not certificates.is_file():
        return estimates, False
    _join_certificates(estimates, read_certificates(certificates))
    return estimates, True


def _join_certificates(estimates: Estimates, labels: Iterable[LabeledPose]) -> None:
    """Write each certificate's status and reason to its estimate; of several instances, the nearest pose."""
    labels_at = defaultdict(list)
    for label in labels:
        labels_at[label.key[1:4]].append(label)
    rows_at = defaultdict(list)
    keys = zip(estimates.scene_id.tolist(), estimates.im_id.tolist(), estimates.obj_id.tolist(), strict=True)
    for row, key in enumerate(keys):
        rows_at[key].append(row)
    for key in rows_at.keys() & labels_at.keys():
        rows, group = rows_at[key], labels_at[key]
        gaps_m = _gaps(estimates.T_cam_obj[rows], np.array([label.T_cam_obj for label in group]))
        for row, label in zip(*linear_sum_assignment(gaps_m), strict=True):
            estimates.status[rows[row]] = group[label].certificate.status
            estimates.reason[rows[row]] = group[label].certificate.reason


def _gaps(T_a: np.ndarray, T_b: np.ndarray) -> np.ndarray:
    difference = T_a[:, None] - T_b[None]
    turn = np.linalg.norm(difference[..., :3, :3], axis=(-2, -1))
    return np.linalg.norm(difference[..., :3, 3], axis=-1) + ROTATION_WEIGHT_M * turn


def recorded_config(source: Path) -> RunConfig | None:
    """The configuration beside a run's predictions; None for a run folder or file without one.

    Raises:
        UsageError: it is broken.
    """
    return read_config(source) if (source / CONFIG_NAME).is_file() else None


def recorded_selection(config: RunConfig) -> Selection:
    """The part of the data set that a run was made on."""
    options = config.options
    lists = {name: tuple(options.get(name) or ()) for name in ("scenes", "frames", "objects")}
    return Selection(**lists, limit=options.get("limit"))


def recorded_path(config: RunConfig | None, name: str) -> Path | None:
    """A path that a run was made with, if any; it may be gone by now."""
    recorded = {**config.options, **config.context}.get(name) if config else None
    return Path(recorded) if recorded else None


def recorded_unit(config: RunConfig | None) -> Unit | None:
    """The unit of the models that a run was made with, where it was said."""
    return config.options.get("model_unit") if config else None
