"""Everything that can stand in a scene, made ready once per process."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import UsageError
from selfpose6d.meshes.io import load_mesh
from selfpose6d.meshes.mesh import Mesh, convex_diameter_m
from selfpose6d.meshes.primitives.artwork import random_brand
from selfpose6d.meshes.primitives.boxes import label_box
from selfpose6d.meshes.primitives.rounds import can
from selfpose6d.meshes.primitives.shapes import arc, assemble, revolve
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.synthetic.resting import RestingPoses, find_resting_poses

# a scene shows two to four of them, an occluded frame one more: enough that scenes differ
NUM_DISTRACTORS = 16
# half the density of the built-in objects' artwork: distractors are background
DISTRACTOR_PX_PER_M = 1500.0
# faces that meet at less than this look like one round surface
CREASE_ANGLE_RAD = np.radians(40.0)


@dataclass(frozen=True)
class SceneAssets:
    """Labelled objects first, then distractors; one entry per mesh, but for the per-face normals."""

    object_ids: tuple[int, ...]
    packed: PackedMeshes
    resting: tuple[RestingPoses, ...]
    corner_normals: Float[np.ndarray, "faces 3 3"]
    gloss: Float[np.ndarray, " meshes"]
    diameters_m: tuple[float, ...]
    """Of the labelled objects."""

    @property
    def distractors(self) -> range:
        """Mesh indices of the objects without label."""
        return range(len(self.object_ids), len(self.resting))


@cache
def load_scene_assets(models_dir: Path, object_ids: tuple[int, ...], seed: int) -> SceneAssets:
    """Read the written models back and add the distractors that follow `seed`."""
    paths = {obj_id: models_dir / f"obj_{obj_id:06d}.ply" for obj_id in object_ids}
    return make_scene_assets({obj_id: load_mesh(path, "mm") for obj_id, path in paths.items()}, seed)


def make_scene_assets(objects: Mapping[int, Mesh], seed: int) -> SceneAssets:
    """Labelled objects by id, and the distractors that follow `seed`.

    Raises:
        UsageError: there is no object.
    """
    if not objects:
        raise UsageError("a scene needs at least one mesh, got none. Pass {obj_id: mesh}.")
    generator = np.random.default_rng([seed, 0xD157])
    meshes = list(objects.values())
    builders = (_random_box, _random_can, _random_box, _random_ball)
    meshes += [builders[index % len(builders)](generator) for index in range(NUM_DISTRACTORS)]
    resting = tuple(find_resting_poses(mesh) for mesh in meshes)
    return SceneAssets(
        object_ids=tuple(objects),
        packed=pack_meshes(meshes),
        resting=resting,
        corner_normals=np.concatenate([smooth_normals(mesh) for mesh in meshes]),
        gloss=generator.uniform(0.02, 0.35, len(meshes)).astype(np.float32),
        diameters_m=tuple(convex_diameter_m(poses.hull_m) for poses in resting[: len(objects)]),
    )


def smooth_normals(mesh: Mesh) -> Float[np.ndarray, "faces 3 3"]:
    """Per-corner normals: the vertex's mean where the surface is round, the face's own at creases."""
    weighted = np.repeat(mesh.face_normals * mesh.face_areas_m2[:, None], 3, axis=0)
    _, position = np.unique(mesh.vertices_m, axis=0, return_inverse=True)
    corner = position.reshape(-1)[mesh.faces.reshape(-1)]
    total = np.stack([np.bincount(corner, weighted[:, k]) for k in range(3)], axis=1)
    mean = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    smooth = mean[corner].reshape(-1, 3, 3)
    is_round = np.einsum("fkd,fd->fk", smooth, mesh.face_normals) > np.cos(CREASE_ANGLE_RAD / 2)
    return np.where(is_round[..., None], smooth, mesh.face_normals[:, None]).astype(np.float32)


def _random_box(generator: np.random.Generator) -> Mesh:
    depth, width, height = generator.uniform((0.03, 0.05, 0.08), (0.08, 0.14, 0.24)).tolist()
    return label_box(generator, (depth, width, height), DISTRACTOR_PX_PER_M, spacing_m=0.05)


def _random_can(generator: np.random.Generator) -> Mesh:
    return can(generator, float(generator.uniform(0.02, 0.05)), float(generator.uniform(0.06, 0.2)))


def _random_ball(generator: np.random.Generator) -> Mesh:
    radius = float(generator.uniform(0.025, 0.045))
    outline = arc((0.0, 0.0), (radius, radius), -np.pi / 2, np.pi / 2, 16)
    return assemble([revolve(outline, 32, 0.02, random_brand(generator).ground)], "ball")
