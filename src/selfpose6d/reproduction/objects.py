"""The rows of a table: a data set's objects, and which of YCB-Video's each one is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfpose6d.datasets.model_files import ModelFiles, object_names, read_models_info, stated_diameter_m
from selfpose6d.datasets.ycb_video.files import YCB_NAMES
from selfpose6d.errors import UsageError
from selfpose6d.meshes.units import METRES_PER_MM

YCB_DIAMETERS_MM = (
    172, 270, 199, 120, 196, 90, 143, 114, 130, 198, 260, 260, 162, 125, 226, 238, 204, 121, 174, 217, 103,
)  # fmt: skip
"""Of YCB-Video's meshes, by id: BOP's `models_info.json` has no names."""
DIAMETER_TOLERANCE = 0.02
"""Of the diameter: the published meshes differ by 0.3 %, the objects nearest in size by more (two pairs aside)."""


@dataclass(frozen=True)
class TableObject:
    """One row; `ycb_id` None where the object is none of the paper's."""

    obj_id: int
    name: str
    ycb_id: int | None


def ycb_ids(models: ModelFiles) -> dict[int, int]:
    """YCB-Video's id by object id: by name, or where nothing is named, for 21 models of YCB-Video's sizes."""
    names = object_names(models)
    by_name = {i: YCB_NAMES.index(name) + 1 for i, name in names.items() if name in YCB_NAMES}
    if by_name or names:
        return by_name
    diameters_mm = _diameters_mm(read_models_info(models.folder))
    same = len(diameters_mm) == len(YCB_DIAMETERS_MM) and all(
        abs(diameters_mm.get(i, 0.0) / known_mm - 1) < DIAMETER_TOLERANCE
        for i, known_mm in enumerate(YCB_DIAMETERS_MM, start=1)
    )
    return {i: i for i in diameters_mm} if same else {}


def table_objects(
    models: ModelFiles, requested: Sequence[int], paper_ids: Sequence[int]
) -> tuple[TableObject, ...]:
    """The rows: as requested, else the paper's objects where the models have them all, else all models.

    Raises:
        UsageError: a requested object has no model.
    """
    if missing := [obj_id for obj_id in requested if obj_id not in models.files]:
        raise UsageError(
            f"--objects {' '.join(map(str, missing))}: no such model in {models.folder}, which has "
            f"{' '.join(map(str, models.object_ids))}. Choose among these."
        )
    known, names = ycb_ids(models), object_names(models)
    with_mesh = {ycb_id: obj_id for obj_id, ycb_id in known.items() if obj_id in models.files}
    papers = [with_mesh[i] for i in paper_ids] if set(paper_ids) <= set(with_mesh) else []
    chosen = requested or papers or models.object_ids
    return tuple(TableObject(i, _name(i, names, known), known.get(i)) for i in sorted(chosen))


def _name(obj_id: int, names: Mapping[int, str], known: Mapping[int, int]) -> str:
    return names.get(obj_id) or (YCB_NAMES[known[obj_id] - 1] if obj_id in known else f"object {obj_id}")


def _diameters_mm(info: Mapping[int, Mapping[str, object]]) -> dict[int, float]:
    stated = {obj_id: stated_diameter_m(entry) for obj_id, entry in info.items()}
    return {obj_id: value / METRES_PER_MM for obj_id, value in stated.items() if value is not None}
