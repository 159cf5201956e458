"""What is constant about an object: computed once per mesh, cached, used for every instance of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.datasets.declared_symmetries import require_declared_symmetries
from selfpose6d.geometry.nearest import DEFAULT_CELLS, DEFAULT_MARGIN, NearestGrid, build_nearest_grid
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.geometry.viewpoints import fibonacci_sphere, look_from
from selfpose6d.meshes import self_comparison
from selfpose6d.meshes.decimate import decimate
from selfpose6d.meshes.mesh import Mesh, require_mesh
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.meshes.self_comparison import COMPARED_POINTS, SelfComparison
from selfpose6d.objects import exposed, find_symmetries, self_similarity
from selfpose6d.objects.exposed import exposed_samples
from selfpose6d.objects.find_symmetries import SymmetryGroups
from selfpose6d.objects.mesh_cache import cached_arrays
from selfpose6d.objects.self_similarity import SelfSimilarity, find_self_similarity
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
"""Rotations that stand for an axis: no pose is more than 5 degrees from one of them."""
SYMMETRY_ARRAYS = ("shape_discrete", "shape_axes", "textured_discrete", "textured_axes", "shape_colour_lab")
"""What is kept of the symmetries that were found; an axis is its direction and a point."""


@dataclass(frozen=True)
class ObjectModel:
    """One object, ready for annotation.

    `packed` holds two meshes in LAB colours: `FINE_MESH`, and `COARSE_MESH` of few faces for the search.
    `view_direction` are unit vectors from the object to the camera, object frame; `visible_centre_m` the mean
    visible surface point from there.
    `symmetries` are the motions that count as the same pose, the identity first: declared, or proven by shape and
    known colour. `shape_symmetries` are the exact ones of the shape alone, an axis in `SYMMETRY_STEPS` rotations, the
    identity first; `shape_colour_lab` the colour difference of each, infinite where no colour is known.
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
    shape_symmetries: Float[Tensor, "motions 4 4"]
    shape_colour_lab: Float[Tensor, " motions"]

    @property
    def has_colour(self) -> bool:
        """Whether the colour term can be used: not where an exporter's white or grey stands for unknown colours."""
        return self.mesh.has_known_colour

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
    mesh: Mesh,
    declared: SymmetryGroup | None = None,
    cache_dir: Path | None = None,
    name: str | None = None,
) -> ObjectModel:
    """Sample, index and study a mesh; with `cache_dir` the slow parts are kept there by content hash.

    Raises:
        DataError: declared symmetries do not map the mesh onto itself; `name` (default: the mesh's file) says whose.
        UsageError: it is no `Mesh`.
    """
    require_mesh(mesh, name or "mesh")
    if declared is not None:
        require_declared_symmetries(mesh, declared, name or mesh.source)
    fine = decimate(mesh, FINE_FACES)
    coarse = decimate(mesh, COARSE_FACES)
    constants = object_constants(mesh, cache_dir)
    grid = NearestGrid(*(constants[name] for name in NearestGrid._fields))
    packed = in_lab(pack_meshes([fine, coarse]))
    direction = fibonacci_sphere(VIEWS)
    similarity = SelfSimilarity(*(constants[name] for name in SelfSimilarity.__dataclass_fields__))
    groups = found_groups(constants)
    symmetries = [groups.textured.expand(SYMMETRY_STEPS)]
    if declared is not None:
        symmetries.append(declared.expand(SYMMETRY_STEPS)[1:])
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
        symmetries=torch.from_numpy(np.concatenate(symmetries)).float(),
        shape_symmetries=torch.from_numpy(groups.shape.expand(SYMMETRY_STEPS)).float(),
        shape_colour_lab=constants["shape_colour_lab"].float(),
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


def object_constants(mesh: Mesh, cache_dir: Path | None) -> dict[str, Tensor]:
    """What is slow to compute of a mesh: the grid, its self-similarity and its symmetries, or what the cache has."""
    grid_parameters = (SURFACE_SAMPLES, DEFAULT_CELLS, DEFAULT_MARGIN)
    symmetry_parameters = (*self_similarity.parameters(), *find_symmetries.parameters(), SYMMETRY_STEPS)
    comparison_parameters = (*self_comparison.parameters(), *exposed.parameters())
    what = f"grid and symmetries {*grid_parameters, *symmetry_parameters, *comparison_parameters}"
    names = (*NearestGrid._fields, *SelfSimilarity.__dataclass_fields__, *SYMMETRY_ARRAYS)
    return cached_arrays(mesh, what, names, lambda: _compute(mesh), cache_dir)


def found_groups(constants: Mapping[str, Tensor]) -> SymmetryGroups:
    """The symmetries among `object_constants`."""
    groups = []
    for kind in ("shape", "textured"):
        axes = constants[f"{kind}_axes"].double().numpy()
        continuous = tuple(ContinuousSymmetry(axis, offset_m) for axis, offset_m in axes)
        groups.append(SymmetryGroup(constants[f"{kind}_discrete"].double().numpy(), continuous))
    return SymmetryGroups(*groups)


def _compute(mesh: Mesh) -> dict[str, Tensor]:
    samples = sample_surface(mesh, SURFACE_SAMPLES, np.random.default_rng(0))
    grid = build_nearest_grid(samples.points_m, samples.normals)
    comparison = as_seen(mesh)
    similarity = find_self_similarity(grid, comparison)
    groups = find_symmetries.find_symmetries(comparison, similarity)
    colour_lab = comparison.residuals(groups.shape.expand(SYMMETRY_STEPS)).colour_lab
    arrays = (*_arrays(groups.shape), *_arrays(groups.textured), np.concatenate([[0.0], colour_lab[1:]]))
    symmetries = {name: torch.from_numpy(array) for name, array in zip(SYMMETRY_ARRAYS, arrays, strict=True)}
    return {**grid._asdict(), **vars(similarity), **symmetries}


def as_seen(mesh: Mesh) -> SelfComparison:
    """The mesh ready to be compared with itself, at the points that cameras see."""
    return SelfComparison(mesh, exposed_samples(mesh, COMPARED_POINTS, np.random.default_rng(2)))


def _arrays(group: SymmetryGroup) -> tuple[Float[np.ndarray, "n 4 4"], Float[np.ndarray, "axes 2 3"]]:
    axes = [(axis.axis, axis.offset_m) for axis in group.continuous]
    return group.discrete, np.array(axes, np.float64).reshape(-1, 2, 3)
