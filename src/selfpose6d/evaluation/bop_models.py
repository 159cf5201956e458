"""The models that BOP scores by: those for evaluation where the data set has them, and what it declares of each."""

import math
from collections.abc import Iterable

import numpy as np

from selfpose6d.datasets.model_files import ModelFiles, find_model_files, read_models_info, stated_diameter_m
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.evaluation.bop_recall import BopModel
from selfpose6d.geometry.symmetry import SymmetryGroup

MAX_SYMMETRY_STEP = 0.01
"""BOP's `max_sym_disc_step`: the part of the diameter by which rotations about an axis move a surface point at most."""
SYMMETRY_STEPS = math.ceil(math.pi / MAX_SYMMETRY_STEP)
"""Rotations about an axis: the farthest point moves along a circle of at most the diameter."""
FOLDER = "models_eval"
"""BOP's uniformly resampled models; the toolkit scores by them, `models/` is for training."""


def bop_models(data: DataOptions, models: ModelFiles, obj_ids: Iterable[int]) -> dict[int, BopModel]:
    """Mesh, symmetries and diameter of each object; `models` are those that the data set is otherwise used with.

    Raises:
        DataError: a model is missing or broken, or `models_info.json` is.
    """
    wanted = list(obj_ids)
    chosen = _evaluation_models(data, models, wanted)
    declared = chosen if read_models_info(chosen.folder) else models
    symmetries, none = read_symmetries(declared.folder), SymmetryGroup(np.empty((0, 4, 4)))
    info = read_models_info(declared.folder)
    return {
        obj_id: BopModel(
            chosen.load(obj_id),
            symmetries.get(obj_id, none).expand(SYMMETRY_STEPS),
            stated_diameter_m(info.get(obj_id, {})),
        )
        for obj_id in wanted
    }


def _evaluation_models(data: DataOptions, models: ModelFiles, obj_ids: list[int]) -> ModelFiles:
    """Those in `models_eval/`, unless others were asked for or some object has none there."""
    if data.models is not None:
        return models
    found = find_model_files(data.dataset / FOLDER, data.model_unit)
    return found if set(obj_ids) <= set(found.files) else models
