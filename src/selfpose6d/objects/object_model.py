"""What is constant about an object: computed once per mesh, cached, used for every instance of it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.nearest import DEFAULT_CELLS, DEFAULT_MARGIN, NearestGrid, build_nearest_grid
from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.geometry.viewpoints import fibonacci_sphere, look_from
from selfpose6d.meshes.decimate import decimate
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.objects.mesh_cache import cached_arrays
from selfpose6d.objects.self_similarity import SelfSimilarity, find_self_similarity, parameters
from selfpose6d.renderer.packed import PackedMeshes, in_lab, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize

SURFACE_SAMPLES = 16_000
"""Of the nearest-point grid: 2.6 mm apart on a cracker box, about a cell of the grid."""
COARSE_FACES = 6_000
"""A crop of 64 px has about as many pixels."""
FINE_FACES = 20_000
"""A crop of 128 px has fewer pixels."""
FINE_MESH, COARSE_MESH = 0, 1
"""Index of each level of detail in `ObjectModel.packed`."""
VIEWS = 256
"""Directions that the visible surface is tabulated for, 13 degrees apart."""
SYMMETRY_STEPS = 36
"""Rotations that stand for a declared axis: no pose is more than 5 degrees from one of them."""


@dataclass(frozen=True)
class ObjectModel:
    """One object, ready for annotation.

    `packed` holds two meshes in LAB colours: `FINE_MESH`, and `COARSE_MESH` of few faces for the search.
    `view_direction` are unit vectors from the object to the camera, object frame; `visible_centre_m` the mean
    visible surface point from there.
    `symmetries` are the motions that change neither shape nor colour, declared or found, the identity first.
    """

    mesh: Mesh
    packed: PackedMeshes
    face_normals: Float[Tensor, "faces 3"]
    grid: NearestGrid
    diameter_m: float
    centre_m: Float[Tensor, "3"]
    view_direction: Float[Tensor, "views 3"]
    visible_centre_m: Float[Tensor, "views 3"]
    similarity: SelfSimilarity
    symmetries: Float[Tensor, "symmetries 4 4"]

    @property
    def has_colour(self) -> bool:
        """Whether the colour term can be used."""
        return self.mesh.has_colour

    @property
    def device(self) -> torch.device:
        """Where the tensors live; frames are annotated there."""
        return self.centre_m.device

    def centre_at(self, T_cam_obj: Float[Tensor, "poses 4 4"]) -> Float[Tensor, "poses 3"]:
        """Where poses put the object's centre, camera frame."""
        return T_cam_obj[:, :3, :3] @ self.centre_m + T_cam_obj[:, :3, 3]

    def to(self, device: torch.device | str) -> "ObjectModel":
        """The same object on another device."""
        movable = (Tensor, PackedMeshes, NearestGrid, SelfSimilarity)
        return replace(self, **{k: v.to(device) for k, v in vars(self).items() if isinstance(v, movable)})


def build_object_model(
    mesh: Mesh, declared: SymmetryGroup | None = None, cache_dir: Path | None = None
) -> ObjectModel:
    """Sample, index and study a mesh; with `cache_dir` the slow parts are kept there by content hash."""
    fine = decimate(mesh, FINE_FACES)
    coarse = decimate(mesh, COARSE_FACES)
    what = f"grid and self-similarity {SURFACE_SAMPLES, DEFAULT_CELLS, DEFAULT_MARGIN, *parameters()}"
    names = (*NearestGrid._fields, *SelfSimilarity.__dataclass_fields__)
    constants = cached_arrays(mesh, what, names, lambda: _compute(mesh), cache_dir)
    grid = NearestGrid(*(constants[name] for name in NearestGrid._fields))
    packed = in_lab(pack_meshes([fine, coarse]))
    direction = fibonacci_sphere(VIEWS)
    similarity = SelfSimilarity(*(constants[name] for name in SelfSimilarity.__dataclass_fields__))
    symmetries = [similarity.symmetries()]
    if declared is not None:
        symmetries.append(torch.from_numpy(declared.expand(SYMMETRY_STEPS)[1:].astype(np.float32)))
    return ObjectModel(
        mesh=mesh,
        packed=packed,
        face_normals=packed.face_normals(),
        grid=grid,
        diameter_m=mesh.diameter_m,
        centre_m=torch.from_numpy(np.asarray(mesh.centre_m, np.float32)),
        view_direction=direction,
        visible_centre_m=visible_centres(packed, COARSE_MESH, mesh, direction),
        similarity=similarity,
        symmetries=torch.cat(symmetries),
    )


def visible_centres(
    packed: PackedMeshes, mesh_index: int, mesh: Mesh, direction: Float[Tensor, "views 3"], size_px: int = 32
) -> Float[Tensor, "views 3"]:
    """Mean visible surface point (object frame, metres) seen from far away along each direction."""
    distance_m = 20 * mesh.radius_m
    centre = torch.from_numpy(np.asarray(mesh.centre_m, np.float32))
    T_cam_obj = look_from(direction, centre, distance_m)
    focal = 0.48 * size_px * distance_m / mesh.radius_m
    middle = (size_px - 1) / 2
    K = direction.new_tensor([[focal, 0, middle], [0, focal, middle], [0, 0, 1.0]])
    raster = rasterize(PosedMeshes.of_one(packed, mesh_index, T_cam_obj, K, (size_px, size_px)))
    covered = raster.face_id >= 0
    corners = packed.vertices_m[packed.faces[raster.face_id.clamp_min(0).long()]]
    points = (corners * raster.barycentric[..., None]).sum(-2) * covered[..., None]
    return points.sum((1, 2)) / covered.sum((1, 2)).clamp_min(1)[:, None]


def _compute(mesh: Mesh) -> dict[str, Tensor]:
    samples = sample_surface(mesh, SURFACE_SAMPLES, np.random.default_rng(0))
    grid = build_nearest_grid(samples.points_m, samples.normals)
    similarity = find_self_similarity(grid, samples.rgb, mesh.diameter_m)
    return {**grid._asdict(), **vars(similarity)}
