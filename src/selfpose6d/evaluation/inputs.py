"""What estimates are scored against: a data set's true poses, as tables, and its models."""

import hashlib
import math
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np

from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.datasets.model_files import ModelFiles, object_names, read_models_info
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.datasets.true_poses import iterate_ground_truth
from selfpose6d.errors import UsageError
from selfpose6d.evaluation.estimates import certificates_path, predictions_path, review_path
from selfpose6d.evaluation.instances import Truths, column_of, joined
from selfpose6d.evaluation.model_points import (
    ModelPoints,
    PointsChoice,
    load_model_points,
    symmetric_object_ids,
)
from selfpose6d.evaluation.results import RightBy
from selfpose6d.evaluation.score import SymmetriesOf
from selfpose6d.files import content_hash
from selfpose6d.options import SURFACE_SEED

SYMMETRY_STEPS = 72
"""Of an axis: half a step (2.5 degrees) moves no surface point by more than 2.2 % of the diameter."""
TRUTHS_AT_ONCE = 50_000
"""True poses in memory together, and the estimates of the same scenes: 20 MB. A choice, not measured."""


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
        for file in (path, certificates_path(path)):
            digest.update(content_hash(file).encode() if file is not None else b"-")
        if (review := review_path(path)) is not None:
            digest.update(content_hash(review).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Reference:
    """True poses and models of a data set, ready to score against; in `options` nothing is left open."""

    options: ReferenceOptions
    models: ModelFiles
    points: Mapping[int, ModelPoints]
    symmetries: SymmetriesOf | None = None
    """The motions over which the least ADD says what is right; None where ADD(-S) says it."""
    few: Truths | None = None
    """All true poses where they are few enough to stay in memory."""

    @cached_property
    def truths(self) -> Truths:
        """All true poses."""
        return joined(list(self.blocks())) if self.few is None else self.few

    def blocks(self) -> Iterator[Truths]:
        """The true poses, some scenes at a time."""
        return _truth_blocks(self.options) if self.few is None else iter([self.few])

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
    resolved = replace(options, data=replace(data, split=split))
    obj_ids, targets = set[int](), 0
    block, blocks = None, 0
    for block in _truth_blocks(resolved):
        blocks += 1
        obj_ids.update(np.unique(block.obj_id).tolist())
        targets += int(block.counts.sum())
    if not targets:
        raise UsageError(
            f"no true poses to score in split {split} of {data.dataset} "
            f"({data.selection.describe() or 'nothing selected'}). Correct --split or the selection."
        )
    points = load_model_points(models, sorted(obj_ids), options.points, options.surface_seed)
    resolved = replace(
        resolved,
        targets=layout.targets(data.dataset, split, options.targets),
        symmetric_ids=symmetric_object_ids(models, options.symmetric_ids),
    )
    symmetries = _written_symmetries(models) if options.right == "least-add" else None
    return Reference(resolved, models, points, symmetries, block if blocks == 1 else None)


def _truth_blocks(options: ReferenceOptions) -> Iterator[Truths]:
    data, split = options.data, options.split
    layout, where = detect_layout(data.dataset), (data.dataset, split)
    return truth_blocks(
        iterate_ground_truth(*where, data.selection, options.targets),
        lambda scene_id: layout.visible_fractions(*where, [scene_id], data.selection.sensor),
        lambda scene_id: layout.mask_kinds(*where, [scene_id], data.selection.sensor),
        TRUTHS_AT_ONCE,
    )


def _written_symmetries(models: ModelFiles) -> SymmetriesOf:
    symmetries = {i: group.expand(SYMMETRY_STEPS) for i, group in read_symmetries(models.folder).items()}
    if all(len(T_obj_sym) == 1 for T_obj_sym in symmetries.values()):
        raise UsageError(
            f"--right least-add needs symmetries, and {models.folder}/models_info.json has none. "
            "Write them with selfpose6d symmetries MODELS --write, or leave --right out."
        )
    return symmetries


def truth_blocks(
    poses: Iterable[GroundTruthPose],
    visible_fractions: Callable[[int], Mapping[tuple[int, int, int], float]],
    mask_kinds: Callable[[int], Mapping[tuple[int, int, int], str]],
    at_once: int,
) -> Iterator[Truths]:
    """The true poses as tables of at least `at_once` rows (the last may have fewer), each of whole scenes.

    Visible fractions and mask kinds are asked for scene by scene, and are by (scene, image, instance), where they are
    known. One scene's are in memory at a time.
    """
    block = _TruthColumns()
    for scene_id, of_scene in groupby(poses, key=lambda pose: pose.key.scene_id):
        if len(block.counts) >= at_once:
            yield block.table()
            block = _TruthColumns()
        block.add(of_scene, visible_fractions(scene_id), mask_kinds(scene_id))
    yield block.table()


class _TruthColumns:
    """A table that is being filled."""

    def __init__(self) -> None:
        self.keys, self.T_cam_obj = array("q"), array("d")
        self.counts, self.visible = array("b"), array("d")
        self.kinds: list[str] = []

    def add(
        self,
        poses: Iterable[GroundTruthPose],
        fraction_at: Mapping[tuple[int, int, int], float],
        kind_at: Mapping[tuple[int, int, int], str],
    ) -> None:
        for pose in poses:
            place = (pose.key.scene_id, pose.key.im_id, pose.key.inst_id)
            self.keys.extend(pose.key[1:])
            self.T_cam_obj.extend(pose.T_cam_obj.ravel())
            self.counts.append(pose.counts)
            self.visible.append(fraction_at.get(place, math.nan))
            self.kinds.append(sys.intern(kind_at.get(place, "")))

    def table(self) -> Truths:
        return Truths(
            *column_of(self.keys, np.int64).reshape(-1, 4).T,
            T_cam_obj=column_of(self.T_cam_obj, np.float64).reshape(-1, 4, 4),
            counts=column_of(self.counts, np.bool_),
            visible_fraction=column_of(self.visible, np.float64),
            mask_kind=np.array(self.kinds, dtype=object),
        )
