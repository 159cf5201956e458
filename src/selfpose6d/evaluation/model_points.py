"""Which points of a model are measured, and which objects count as symmetric. Both move the scores.

Points: the data set's points file (`obj_NNNNNN.xyz` beside BOP models, `<name>/points.xyz` in YCB-Video's
layout), else the mesh's vertices; or samples of the surface on request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from selfpose6d.checks import require_plausible_object_size
from selfpose6d.datasets.model_files import ModelFiles, object_names, read_models_info
from selfpose6d.errors import DataError
from selfpose6d.files import is_plain_name, read_text
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.meshes.units import METRES_PER_UNIT
from selfpose6d.options import SURFACE_SEED

PointsChoice = Literal["auto", "surface"]
PointsSource = Literal["points file", "vertices", "surface"]
SURFACE_POINTS = 2620
SYMMETRIC_YCB_NAMES = frozenset(
    {"024_bowl", "036_wood_block", "051_large_clamp", "052_extra_large_clamp", "061_foam_brick"}
)


@dataclass(frozen=True)
class ModelPoints:
    """The points that stand for one object in ADD and ADD-S, object frame, and where they came from."""

    points_m: Float[np.ndarray, "points 3"]
    source: PointsSource


def load_model_points(
    models: ModelFiles, obj_ids: Iterable[int], choice: PointsChoice = "auto", seed: int = SURFACE_SEED
) -> dict[int, ModelPoints]:
    """Model points of each object that has a points file or a mesh; others are left out.

    Raises:
        DataError: a points file is not a table of three columns.
        MeshError: a file is unreadable, or its size implausible.
    """
    wanted = sorted(set(obj_ids))
    found = {obj_id: _load_one(models, obj_id, choice, seed) for obj_id in wanted}
    return {obj_id: points for obj_id, points in found.items() if points is not None}


def describe_sources(points: Mapping[int, ModelPoints]) -> str:
    """One phrase for `results.json`; object ids are added where the source is not the same for all."""
    by_source: dict[str, list[int]] = {}
    for obj_id, model in sorted(points.items()):
        by_source.setdefault(model.source, []).append(obj_id)
    if len(by_source) == 1:
        return next(iter(by_source))
    return ", ".join(f"{source} ({' '.join(map(str, ids))})" for source, ids in sorted(by_source.items()))


def symmetric_object_ids(models: ModelFiles, requested: Iterable[int] | None = None) -> tuple[int, ...]:
    """The symmetric set of ADD(-S): as requested, else as `models_info.json` says, else YCB-Video's five.

    A file that has `symmetries_...` of some object says it of all, also where its lists are empty.
    """
    if requested is not None:
        return tuple(sorted(set(requested)))
    info = read_models_info(models.folder)
    stated = {i: [entry[key] for key in entry if key.startswith("symmetries_")] for i, entry in info.items()}
    if any(stated.values()):
        return tuple(sorted(i for i, lists in stated.items() if any(lists)))
    by_name = (obj_id for obj_id, name in object_names(models).items() if name in SYMMETRIC_YCB_NAMES)
    return tuple(sorted(by_name))


def _load_one(models: ModelFiles, obj_id: int, choice: PointsChoice, seed: int) -> ModelPoints | None:
    if choice == "auto" and (points_file := _find_points_file(models, obj_id)):
        return ModelPoints(_read_points(*points_file), "points file")
    if obj_id not in models.files:
        return None
    mesh = models.load(obj_id)
    if choice == "auto":
        return ModelPoints(mesh.vertices_m.astype(np.float64), "vertices")
    samples = sample_surface(mesh, SURFACE_POINTS, np.random.default_rng(seed))
    return ModelPoints(samples.points_m.astype(np.float64), "surface")


def _find_points_file(models: ModelFiles, obj_id: int) -> tuple[Path, str] | None:
    """With its unit: beside BOP models the mesh's; YCB-Video's `points.xyz` is in metres."""
    mesh_unit = models.files[obj_id].unit if obj_id in models.files else None
    candidates = [(models.folder / f"obj_{obj_id:06d}.xyz", mesh_unit or "mm")]
    names = [name for name, i in models.names.items() if i == obj_id]
    candidates += [(models.folder / name / "points.xyz", "m") for name in names if is_plain_name(name)]
    return next((candidate for candidate in candidates if candidate[0].is_file()), None)


def _read_points(path: Path, unit: str) -> Float[np.ndarray, "points 3"]:
    try:
        lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
        points_m = np.array(lines, dtype=np.float64) * METRES_PER_UNIT[unit]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a table of numbers ({error}). Export `x y z` lines again.") from None
    if points_m.ndim != 2 or points_m.shape[1] != 3 or not len(points_m):
        raise DataError(f"{path}: expected lines `x y z`, got an array of {points_m.shape}. Export it again.")
    require_plausible_object_size(float(np.ptp(points_m, axis=0).max()), str(path))
    return points_m
