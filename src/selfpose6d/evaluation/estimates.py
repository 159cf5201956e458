"""A run's predictions and certificates as the table that is scored, whole or from scene to scene."""

import csv
import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from selfpose6d.errors import DataError, UsageError
from selfpose6d.evaluation.instances import (
    NO_CERTIFICATE,
    UNKNOWN,
    Claim,
    Estimates,
    claim_of,
    column_of,
)
from selfpose6d.files import open_text
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.predictions import (
    Prediction,
    RowCounts,
    iterate_predictions,
    require_millimetres,
)
from selfpose6d.runs.review import Review, VerdictKind, count_verdicts, read_review, require_known, reviewed
from selfpose6d.types import InstanceKey, LabeledPose

SAME_POSE = 1e-5
"""Of matrix entries (metres): `predictions.csv` has 9 digits."""
Row = TypeVar("Row")


class UnorderedError(Exception):
    """Scenes do not follow each other by their numbers: who reads scene by scene must read all at once instead."""


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


def verdict_counts(source: Path) -> dict[VerdictKind, int] | None:
    """How many verdicts of which kind the review of a run has; None where there is no review."""
    review = _read_review(predictions_path(source))
    return count_verdicts(review) if review else None


def _read_review(predictions: Path) -> Review:
    path = review_path(predictions)
    return {} if path is None else read_review(path)


def review_path(predictions: Path) -> Path | None:
    """That of a run's own predictions and certificates."""
    path = RunFiles(predictions.parent).review
    return path if certificates_path(predictions) is not None and path.is_file() else None


def certificates_path(predictions: Path) -> Path | None:
    """Those of a run's own predictions; another file beside them (refined poses) has none."""
    run = RunFiles(predictions.parent)
    return run.certificates if predictions == run.predictions and run.certificates.is_file() else None


def read_estimates(
    source: Path, before_review: bool = False, with_reasons: bool = True
) -> tuple[Estimates, bool]:
    """The estimates of a run folder or a predictions file, and whether they have certificates; see `EstimateReader`."""
    reader = EstimateReader(source, before_review, with_reasons)
    estimates = reader.rest()
    return estimates, reader.has_certificates


class EstimateReader:
    """The estimates of a run folder or a predictions file, scene by scene in the order of the file.

    Of a run folder as its review corrects them: status, pose, and confidence 1 of what a person accepted;
    `before_review`: as the run made them. Both files are read once and side by side, the rows of the predictions
    counted in `counts`; without reasons a row in memory takes 250 bytes.

    Raises:
        UsageError: there is no predictions file.
        DataError: a file is broken or not in millimetres, the two are of different poses, or the review is of others.
    """

    def __init__(self, source: Path, before_review: bool = False, with_reasons: bool = True) -> None:
        self._path = predictions_path(source)
        self.counts = RowCounts()
        self._rows = _ByScene(iterate_predictions(self._path, self.counts), lambda row: row.scene_id)
        certificates = certificates_path(self._path)
        self.has_certificates = certificates is not None
        self._labels: _ByScene[LabeledPose] | None = None
        self._review: Review = {}
        if certificates is not None:
            self._labels = _ByScene(read_certificates(certificates), lambda label: label.key.scene_id)
            self._review = {} if before_review else _read_review(self._path)
        self._with_reasons = with_reasons
        self._distance_m = array("d")
        self._met: set[InstanceKey] = set()
        self._claims: dict[Claim | None, Claim | None] = {}

    def up_to(self, scene_id: int) -> Estimates:
        """Those of the scenes up to this one that were not read yet.

        Raises:
            UnorderedError: one of them stands behind a later scene.
        """
        return self._read(scene_id)

    def rest(self) -> Estimates:
        """Those that were not read yet; what only the whole file says is checked with them.

        Raises:
            UnorderedError: one of them stands behind a later scene.
        """
        estimates = self._read(None)
        require_known(self._review, self._met)
        return estimates

    def _read(self, scene_id: int | None) -> Estimates:
        estimates = _table_of(self._rows.up_to(scene_id))
        self._distance_m.extend(np.linalg.norm(estimates.T_cam_obj[:, :3, 3], axis=1))
        # before poses are compared with the certificates': the clearer of two complaints
        if scene_id is None:
            require_millimetres(column_of(self._distance_m, np.float64), str(self._path))
        if self._labels is not None:
            self._join(estimates, self._labels.up_to(scene_id))
        return estimates

    def _join(self, estimates: Estimates, labels: Iterable[LabeledPose]) -> None:
        """Write each certificate's status, reason, instance, mask quality, source and claim to its estimate, then what
        the review says otherwise.

        BOP's form has no `inst_id`: of several instances of one object in an image, a certificate's row is the one with
        its pose. Labels are read one by one; where both files have the same order, each finds its row at once.
        """
        review, rows = self._review, _RowsByKey(estimates, is_changed=bool(self._review))
        for label in labels:
            if label.key in review:
                self._met.add(label.key)
            row = rows.take(label)
            if row is None:
                continue
            label = reviewed(label, review)
            certificate, claim = label.certificate, claim_of(label.certificate)
            if label.key in review:
                estimates.T_cam_obj[row], estimates.confidence[row] = label.T_cam_obj, label.confidence
            estimates.status[row] = sys.intern(certificate.status)
            estimates.reason[row] = certificate.reason if self._with_reasons else ""
            estimates.inst_id[row], estimates.source[row] = (
                label.key.inst_id,
                sys.intern(certificate.source or ""),
            )
            estimates.mask_quality[row] = sys.intern(certificate.mask_quality or "")
            estimates.claim[row] = self._claims.setdefault(claim, claim)
        if (row := rows.first_without_label()) is not None:
            scene_id, im_id, obj_id = (int(column[row]) for column in rows.columns)
            line = _line_of(self._path, int(estimates.row[row]))
            raise DataError(
                f"{self._path}, line {line}: its pose of scene {scene_id}, image {im_id}, object {obj_id} "
                f"is not in {RunFiles(self._path.parent).certificates.name}. Run the command that made both again."
            )


def _table_of(predictions: Iterable[Prediction]) -> Estimates:
    rows, keys, scores, T_cam_obj = array("q"), array("q"), array("d"), array("d")
    for row in predictions:
        rows.append(row.row)
        keys.extend((row.scene_id, row.im_id, row.obj_id))
        scores.append(row.score)
        T_cam_obj.extend(row.T_cam_obj.ravel())
    count = len(scores)
    return Estimates(
        column_of(rows, np.int64),
        *column_of(keys, np.int64).reshape(-1, 3).T.copy(),
        inst_id=np.full(count, UNKNOWN),
        confidence=column_of(scores, np.float64),
        T_cam_obj=column_of(T_cam_obj, np.float64).reshape(-1, 4, 4),
        status=np.full(count, NO_CERTIFICATE, dtype=object),
        reason=np.full(count, "", dtype=object),
        mask_quality=np.full(count, "", dtype=object),
        claim=np.full(count, None, dtype=object),
        source=np.full(count, "", dtype=object),
    )


class _ByScene(Generic[Row]):
    """Rows of a file that is read on from scene to scene."""

    def __init__(self, rows: Iterable[Row], scene_of: Callable[[Row], int]) -> None:
        self._rows, self._scene_of = iter(rows), scene_of
        self._ahead: list[Row] = []
        self._done: float = -math.inf

    def up_to(self, scene_id: int | None) -> Iterator[Row]:
        """The rows before the first one of a later scene; all for None."""
        last = math.inf if scene_id is None else scene_id
        while (row := self._ahead.pop() if self._ahead else next(self._rows, None)) is not None:
            scene = self._scene_of(row)
            if scene <= self._done:
                raise UnorderedError
            if scene > last:
                self._ahead.append(row)
                break
            yield row
        self._done = last


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


def _line_of(path: Path, row: int) -> int:
    """Line of a row of the predictions; blank lines are no rows."""
    with open_text(path) as file:
        reader = csv.reader(file)
        return [reader.line_num for fields in reader if any(map(str.strip, fields))][row + 1]
