"""From files to the tables that are scored: a run's predictions, and the data set's true poses and models."""

import csv
import hashlib
import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.datasets.model_files import ModelFiles, object_names, read_models_info
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.datasets.true_poses import iterate_ground_truth
from selfpose6d.errors import DataError, UsageError
from selfpose6d.evaluation.instances import (
    NO_CERTIFICATE,
    UNKNOWN,
    Claim,
    Estimates,
    Truths,
    claim_of,
)
from selfpose6d.evaluation.model_points import (
    ModelPoints,
    PointsChoice,
    load_model_points,
    symmetric_object_ids,
)
from selfpose6d.evaluation.results import RightBy
from selfpose6d.evaluation.score import SymmetriesOf
from selfpose6d.files import content_hash, open_text
from selfpose6d.options import SURFACE_SEED
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.predictions import RowCounts, iterate_predictions, require_millimetres
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
            digest.update(content_hash(file).encode() if file is not None else b"-")
        if (review := _review_path(path)) is not None:
            digest.update(content_hash(review).encode())
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
    where = data.dataset, split
    truths = truths_of(
        iterate_ground_truth(*where, data.selection, options.targets),
        lambda scene_id: layout.visible_fractions(*where, [scene_id], data.selection.sensor),
        lambda scene_id: layout.mask_kinds(*where, [scene_id], data.selection.sensor),
    )
    if not truths.counts.any():
        raise UsageError(
            f"no true poses to score in split {split} of {data.dataset} "
            f"({data.selection.describe() or 'nothing selected'}). Correct --split or the selection."
        )
    points = load_model_points(
        models, np.unique(truths.obj_id).tolist(), options.points, options.surface_seed
    )
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
    poses: Iterable[GroundTruthPose],
    visible_fractions: Callable[[int], Mapping[tuple[int, int, int], float]],
    mask_kinds: Callable[[int], Mapping[tuple[int, int, int], str]],
) -> Truths:
    """The true poses as a table; visible fractions and mask kinds are asked for scene by scene, and are by (scene,
    image, instance), where they are known. One scene's are in memory at a time.
    """
    keys, T_cam_obj = array("q"), array("d")
    counts, visible, kinds = array("b"), array("d"), []
    for scene_id, of_scene in groupby(poses, key=lambda pose: pose.key.scene_id):
        fraction_at, kind_at = visible_fractions(scene_id), mask_kinds(scene_id)
        for pose in of_scene:
            place = (pose.key.scene_id, pose.key.im_id, pose.key.inst_id)
            keys.extend(pose.key[1:])
            T_cam_obj.extend(pose.T_cam_obj.ravel())
            counts.append(pose.counts)
            visible.append(fraction_at.get(place, math.nan))
            kinds.append(sys.intern(kind_at.get(place, "")))
    return Truths(
        *_column(keys, np.int64).reshape(-1, 4).T,
        T_cam_obj=_column(T_cam_obj, np.float64).reshape(-1, 4, 4),
        counts=_column(counts, np.bool_),
        visible_fraction=_column(visible, np.float64),
        mask_kind=np.array(kinds, dtype=object),
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


def read_estimates(
    source: Path, before_review: bool = False, with_reasons: bool = True, counts: RowCounts | None = None
) -> tuple[Estimates, bool]:
    """The estimates of a run folder or a predictions file, and whether they have certificates.

    Of a run folder as its review corrects them: status, pose, and confidence 1 of what a person accepted;
    `before_review`: as the run made them. Both files are read once, the rows of the predictions counted in `counts`;
    without reasons a row takes 250 bytes.

    Raises:
        UsageError: there is no predictions file.
        DataError: a file is broken or not in millimetres, the two are of different poses, or the review is of others.
    """
    path = predictions_path(source)
    estimates = _read_rows(path, counts)
    require_millimetres(estimates.T_cam_obj[:, :3, 3], str(path))
    certificates = _certificates_path(path)
    if certificates is None:
        return estimates, False
    review = {} if before_review else _read_review(path)
    _join_certificates(estimates, read_certificates(certificates), path, review, with_reasons)
    return estimates, True


def _read_rows(path: Path, counts: RowCounts | None) -> Estimates:
    rows, keys, scores, T_cam_obj = array("q"), array("q"), array("d"), array("d")
    for row in iterate_predictions(path, counts):
        rows.append(row.row)
        keys.extend((row.scene_id, row.im_id, row.obj_id))
        scores.append(row.score)
        T_cam_obj.extend(row.T_cam_obj.ravel())
    count = len(scores)
    return Estimates(
        _column(rows, np.int64),
        *_column(keys, np.int64).reshape(-1, 3).T.copy(),
        inst_id=np.full(count, UNKNOWN),
        confidence=_column(scores, np.float64),
        T_cam_obj=_column(T_cam_obj, np.float64).reshape(-1, 4, 4),
        status=np.full(count, NO_CERTIFICATE, dtype=object),
        reason=np.full(count, "", dtype=object),
        mask_quality=np.full(count, "", dtype=object),
        claim=np.full(count, None, dtype=object),
        source=np.full(count, "", dtype=object),
    )


def _column(numbers: array, dtype: type[np.generic]) -> np.ndarray:
    """The numbers without another copy of them; those of millions of poses are what an evaluation's memory goes to."""
    return np.frombuffer(numbers, dtype) if numbers else np.empty(0, dtype)


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
    with open_text(path) as file:
        reader = csv.reader(file)
        return [reader.line_num for fields in reader if any(map(str.strip, fields))][row + 1]


def _join_certificates(
    estimates: Estimates, labels: Iterable[LabeledPose], path: Path, review: Review, with_reasons: bool
) -> None:
    """Write each certificate's status, reason, instance, mask quality, source and claim to its estimate, then what the
    review says otherwise.

    BOP's form has no `inst_id`: of several instances of one object in an image, a certificate's row is the one with
    its pose. Labels are read one by one; where both files have the same order, each finds its row at once.
    """
    rows, met = _RowsByKey(estimates, is_changed=bool(review)), set()
    claims: dict[Claim | None, Claim | None] = {}
    for label in labels:
        if label.key in review:
            met.add(label.key)
        row = rows.take(label)
        if row is None:
            continue
        label = reviewed(label, review)
        certificate, claim = label.certificate, claim_of(label.certificate)
        if label.key in review:
            estimates.T_cam_obj[row], estimates.confidence[row] = label.T_cam_obj, label.confidence
        estimates.status[row] = sys.intern(certificate.status)
        estimates.reason[row] = certificate.reason if with_reasons else ""
        estimates.inst_id[row], estimates.source[row] = (
            label.key.inst_id,
            sys.intern(certificate.source or ""),
        )
        estimates.mask_quality[row] = sys.intern(certificate.mask_quality or "")
        estimates.claim[row] = claims.setdefault(claim, claim)
    require_known(review, met)
    if (row := rows.first_without_label()) is not None:
        scene_id, im_id, obj_id = (int(column[row]) for column in rows.columns)
        line = _line_of(path, int(estimates.row[row]))
        raise DataError(
            f"{path}, line {line}: its pose of scene {scene_id}, image {im_id}, object {obj_id} "
            f"is not in {RunFiles(path.parent).certificates.name}. Run the command that made both again."
        )


class _RowsByKey:
    """Rows of estimates by scene, image and object; each is taken once, by a label with its pose."""

    def __init__(self, estimates: Estimates, is_changed: bool) -> None:
        """`is_changed`: the poses of `estimates` are replaced meanwhile, and labels are still met by those of now."""
        self.columns = estimates.scene_id, estimates.im_id, estimates.obj_id
        self._T_cam_obj = estimates.T_cam_obj.copy() if is_changed else estimates.T_cam_obj
        self._order = np.lexsort(self.columns[::-1])
        self._taken, self._asked = np.zeros(len(estimates), bool), np.zeros(len(estimates), bool)
        self._place = 0

    def take(self, label: LabeledPose) -> int | None:
        """The first free row of the label's key and pose; None where there is none."""
        key = label.key[1:4]
        if self._key(self._place) != key:
            self._place = bisect_left(range(len(self._order)), key, key=self._key_at)
        while self._place and self._key(self._place - 1) == key:
            self._place -= 1
        place, found = self._place, None
        while self._key(place) == key:
            row = int(self._order[place])
            self._asked[row] = True
            same = np.abs(label.T_cam_obj - self._T_cam_obj[row]).max() < SAME_POSE
            if found is None and same and not self._taken[row]:
                self._taken[row], found = True, row
            place += 1
        self._place = place if found is not None else self._place
        return found

    def first_without_label(self) -> int | None:
        """The first row whose object has labels in its image, but none of its pose."""
        left = np.flatnonzero(self._asked & ~self._taken)
        return int(left[0]) if len(left) else None

    def _key(self, place: int) -> tuple[int, int, int] | None:
        return self._key_at(place) if place < len(self._order) else None

    def _key_at(self, place: int) -> tuple[int, int, int]:
        scene_id, im_id, obj_id = self.columns
        row = self._order[place]
        return int(scene_id[row]), int(im_id[row]), int(obj_id[row])
