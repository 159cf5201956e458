"""From files to the tables that are scored: a run's predictions, and the data set's true poses and models."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.datasets.model_files import ModelFiles, object_names, read_models_info
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.errors import DataError, UsageError
from selfpose6d.evaluation.instances import (
    NO_CERTIFICATE,
    UNKNOWN,
    Estimates,
    Truths,
    claim_of,
    object_keys,
)
from selfpose6d.evaluation.model_points import (
    ModelPoints,
    PointsChoice,
    load_model_points,
    symmetric_object_ids,
)
from selfpose6d.evaluation.results import RightBy
from selfpose6d.evaluation.score import SymmetriesOf
from selfpose6d.options import SURFACE_SEED
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.predictions import read_predictions, require_millimetres
from selfpose6d.runs.review import Review, VerdictKind, count_verdicts, read_review, require_known, reviewed
from selfpose6d.types import LabeledPose

SYMMETRY_STEPS = 72
"""Of an axis: half a step (2.5 degrees) moves no surface point by more than 2.2 % of the diameter."""
SAME_POSE = 1e-5
"""Of matrix entries (metres): `predictions.csv` has 9 digits."""


@dataclass(frozen=True)
class ReferenceOptions:
    """What estimates are compared with, as the options of `evaluate` say it; see there."""

    data: DataOptions
    targets: Targets | None = None
    points: PointsChoice = "auto"
    symmetric_ids: tuple[int, ...] | None = None
    surface_seed: int = SURFACE_SEED
    right: RightBy = "add-or-adds"

    @property
    def split(self) -> str:
        """The split whose true poses are read."""
        return self.data.split or detect_layout(self.data.dataset).only_split or "test"

    def model_files(self) -> ModelFiles:
        """The models of the data set."""
        data = self.data
        return detect_layout(data.dataset).models(data.dataset, data.models, data.model_unit)

    def content_hash(self, source: Path) -> str:
        """Names these options (of a data set its place) and the run's poses and review, to know their scores by."""
        path, data = predictions_path(source), self.data
        models = data.models and data.models.resolve()
        read = DataOptions(data.dataset.resolve(), self.split, data.selection, models, data.model_unit)
        digest = hashlib.sha256(repr(replace(self, data=read)).encode())
        if self.right == "least-add":
            digest.update(repr(read_models_info(self.model_files().folder)).encode())
        for file in (path, _certificates_path(path)):
            digest.update(file.read_bytes() if file is not None else b"-")
        if (review := _review_path(path)) is not None:
            digest.update(review.read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Reference:
    """True poses and models of a data set, ready to score against; in `options` nothing is left open."""

    options: ReferenceOptions
    truths: Truths
    models: ModelFiles
    points: Mapping[int, ModelPoints]
    symmetries: SymmetriesOf | None = None
    """The motions over which the least ADD says what is right; None where ADD(-S) says it."""

    @property
    def symmetric_ids(self) -> tuple[int, ...]:
        """The objects whose ADD(-S) is ADD-S."""
        return self.options.symmetric_ids or ()

    @property
    def names(self) -> dict[int, str]:
        """Object names by id, where the data set has any."""
        return object_names(self.models)

    def describe_selection(self) -> dict[str, object]:
        """What was scored, for `results.json`."""
        chosen = {name: value for name, value in vars(self.options.data.selection).items() if value}
        return {"split": self.options.split, "targets": self.options.targets, **chosen}


def load_reference(options: ReferenceOptions) -> Reference:
    """Read the true poses and the model points of every annotated object; images are not needed.

    Raises:
        UsageError: the data set or split does not exist, or has no true poses, or no symmetries where they are needed.
        DataError: a file is missing or broken.
    """
    data, split = options.data, options.split
    layout, models = detect_layout(data.dataset), options.model_files()
    poses = load_ground_truth(data.dataset, split, data.selection, options.targets)
    if not any(pose.counts for pose in poses):
        raise UsageError(
            f"no true poses to score in split {split} of {data.dataset} "
            f"({data.selection.describe() or 'nothing selected'}). Correct --split or the selection."
        )
    scene_ids = sorted({pose.key.scene_id for pose in poses})
    place = data.dataset, split, scene_ids, data.selection.sensor
    truths = truths_of(poses, layout.visible_fractions(*place), layout.mask_kinds(*place))
    points = load_model_points(models, truths.obj_id.tolist(), options.points, options.surface_seed)
    resolved = replace(
        options,
        data=replace(data, split=split),
        targets=layout.targets(data.dataset, split, options.targets),
        symmetric_ids=symmetric_object_ids(models, options.symmetric_ids),
    )
    symmetries = _written_symmetries(models) if options.right == "least-add" else None
    return Reference(resolved, truths, models, points, symmetries)


def _written_symmetries(models: ModelFiles) -> SymmetriesOf:
    symmetries = {i: group.expand(SYMMETRY_STEPS) for i, group in read_symmetries(models.folder).items()}
    if all(len(T_obj_sym) == 1 for T_obj_sym in symmetries.values()):
        raise UsageError(
            f"--right least-add needs symmetries, and {models.folder}/models_info.json has none. "
            "Write them with selfpose6d symmetries MODELS --write, or leave --right out."
        )
    return symmetries


def truths_of(
    poses: Sequence[GroundTruthPose],
    visible_fraction: Mapping[tuple[int, int, int], float],
    mask_kind: Mapping[tuple[int, int, int], str],
) -> Truths:
    """The true poses as a table; visible fractions and mask kinds by (scene, image, instance), where they are known."""
    places = [(pose.key.scene_id, pose.key.im_id, pose.key.inst_id) for pose in poses]
    keys = np.array([pose.key[1:] for pose in poses], dtype=np.int64).reshape(-1, 4)
    return Truths(
        *keys.T,
        T_cam_obj=np.array([pose.T_cam_obj for pose in poses], dtype=np.float64).reshape(-1, 4, 4),
        counts=np.array([pose.counts for pose in poses], dtype=bool),
        visible_fraction=np.array([visible_fraction.get(place, np.nan) for place in places], np.float64),
        mask_kind=np.array([mask_kind.get(place, "") for place in places], dtype=object),
    )


def predictions_path(source: Path) -> Path:
    """The predictions file of a run folder, or the file itself.

    Raises:
        UsageError: there is none.
    """
    path = RunFiles(source).predictions if source.is_dir() else source
    if not path.is_file():
        raise UsageError(
            f"no predictions: {path} does not exist. Pass the --out of annotate or estimate, or a CSV file."
        )
    return path


def read_estimates(source: Path, before_review: bool = False) -> tuple[Estimates, bool]:
    """The estimates of a run folder or a predictions file, and whether they have certificates.

    Of a run folder as its review corrects them: status, pose, and confidence 1 of what a person accepted;
    `before_review`: as the run made them.

    Raises:
        UsageError: there is no predictions file.
        DataError: a file is broken or not in millimetres, the two are of different poses, or the review is of others.
    """
    path = predictions_path(source)
    rows = read_predictions(path)
    require_millimetres(np.array([row.T_cam_obj[:3, 3] for row in rows]).reshape(-1, 3), str(path))
    keys = np.array([(row.scene_id, row.im_id, row.obj_id) for row in rows], dtype=np.int64).reshape(-1, 3)
    estimates = Estimates(
        np.array([row.row for row in rows], dtype=np.int64),
        *keys.T,
        inst_id=np.full(len(rows), UNKNOWN),
        confidence=np.array([row.score for row in rows], dtype=np.float64),
        T_cam_obj=np.array([row.T_cam_obj for row in rows], dtype=np.float64).reshape(-1, 4, 4),
        status=np.full(len(rows), NO_CERTIFICATE, dtype=object),
        reason=np.full(len(rows), "", dtype=object),
        mask_quality=np.full(len(rows), "", dtype=object),
        claim=np.full(len(rows), None, dtype=object),
        source=np.full(len(rows), "", dtype=object),
    )
    certificates = _certificates_path(path)
    if certificates is None:
        return estimates, False
    review = {} if before_review else _read_review(path)
    _join_certificates(estimates, read_certificates(certificates), path, review)
    return estimates, True


def verdict_counts(source: Path) -> dict[VerdictKind, int] | None:
    """How many verdicts of which kind the review of a run has; None where there is no review."""
    review = _read_review(predictions_path(source))
    return count_verdicts(review) if review else None


def _read_review(predictions: Path) -> Review:
    path = _review_path(predictions)
    return {} if path is None else read_review(path)


def _review_path(predictions: Path) -> Path | None:
    """That of a run's own predictions and certificates."""
    path = RunFiles(predictions.parent).review
    return path if _certificates_path(predictions) is not None and path.is_file() else None


def _certificates_path(predictions: Path) -> Path | None:
    """Those of a run's own predictions; another file beside them (refined poses) has none."""
    run = RunFiles(predictions.parent)
    return run.certificates if predictions == run.predictions and run.certificates.is_file() else None


def _line_of(path: Path, row: int) -> int:
    """Line of a row of the predictions; blank lines are no rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        return [reader.line_num for fields in reader if any(map(str.strip, fields))][row + 1]


def _join_certificates(
    estimates: Estimates, labels: Iterable[LabeledPose], path: Path, review: Review
) -> None:
    """Write each certificate's status, reason, instance, mask quality, source and claim to its estimate, then what the
    review says otherwise.

    BOP's form has no `inst_id`: of several instances of one object in an image, a certificate's row is the one with
    its pose.
    """
    labels_at: defaultdict[tuple[int, ...], list[LabeledPose]] = defaultdict(list)
    met = set()
    for label in labels:
        labels_at[label.key[1:4]].append(label)
        met.add(label.key)
    require_known(review, met)
    for row, key in enumerate(object_keys(estimates)):
        if key not in labels_at:
            continue
        T, group = estimates.T_cam_obj[row], labels_at[key]
        same = [i for i, label in enumerate(group) if np.abs(label.T_cam_obj - T).max() < SAME_POSE]
        if not same:
            line = _line_of(path, int(estimates.row[row]))
            raise DataError(
                f"{path}, line {line}: its pose of scene {key[0]}, image {key[1]}, object {key[2]} "
                f"is not in {RunFiles(path.parent).certificates.name}. Run the command that made both again."
            )
        label = reviewed(group.pop(same[0]), review)
        certificate = label.certificate
        if label.key in review:
            estimates.T_cam_obj[row], estimates.confidence[row] = label.T_cam_obj, label.confidence
        estimates.status[row], estimates.reason[row] = certificate.status, certificate.reason
        estimates.inst_id[row], estimates.source[row] = label.key.inst_id, certificate.source or ""
        estimates.mask_quality[row], estimates.claim[row] = (
            certificate.mask_quality or "",
            claim_of(certificate),
        )
