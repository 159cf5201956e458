"""Object models made of another one without studying its mesh again: at another size, or without its colours."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.objects.object_model import SYMMETRY_STEPS, ObjectModel


def scaled_model(model: ObjectModel, factor: float) -> ObjectModel:
    """The same object `factor` times as large, about its own origin."""
    mesh = replace(model.mesh, vertices_m=(model.mesh.vertices_m * factor).astype(np.float32))
    grid, packed, similarity = model.grid, model.packed, model.similarity
    return replace(
        model,
        mesh=mesh,
        packed=replace(
            packed, vertices_m=packed.vertices_m * factor, texels_per_m=packed.texels_per_m / factor
        ),
        grid=grid._replace(
            origin_m=grid.origin_m * factor, cell_m=grid.cell_m * factor, points_m=grid.points_m * factor
        ),
        diameter_m=model.diameter_m * factor,
        centre_m=model.centre_m * factor,
        visible_centre_m=model.visible_centre_m * factor,
        similarity=replace(
            similarity,
            T_obj_obj=_scaled(similarity.T_obj_obj, factor),
            shape_rms_m=similarity.shape_rms_m * factor,
            shape_far_m=similarity.shape_far_m * factor,
        ),
        symmetries=_scaled(model.symmetries, factor),
        shape_symmetries=_scaled(model.shape_symmetries, factor),
    )


def colourless_model(model: ObjectModel, declared: SymmetryGroup | None) -> ObjectModel:
    """The same shape without colours: nothing but what is declared counts as the same pose any more."""
    mesh = replace(model.mesh, texture=None, corner_uv=None, vertex_rgb=None)
    known = np.eye(4)[None] if declared is None else declared.expand(SYMMETRY_STEPS)
    distance, colour_lab = (
        _unknown(values) for values in (model.similarity.colour_distance, model.shape_colour_lab)
    )
    return replace(
        model,
        mesh=mesh,
        similarity=replace(model.similarity, colour_distance=distance),
        symmetries=torch.from_numpy(known.astype(np.float32)).to(model.device),
        shape_colour_lab=colour_lab,
    )


def _scaled(T: Float[Tensor, "motions 4 4"], factor: float) -> Float[Tensor, "motions 4 4"]:
    scaled = T.clone()
    scaled[:, :3, 3] *= factor
    return scaled


def _unknown(values: Float[Tensor, " motions"]) -> Float[Tensor, " motions"]:
    """Infinite but for the identity's."""
    unknown = torch.full_like(values, torch.inf)
    unknown[:1] = 0.0
    return unknown
