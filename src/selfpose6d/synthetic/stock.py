"""Everything that can stand in a scene, made ready once per process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.io import load_mesh
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.synthetic.distractors import make_distractors
from selfpose6d.synthetic.resting import RestingPoses, find_resting_poses

DISTRACTORS = 16
CREASE_ANGLE_RAD = np.radians(40.0)


@dataclass(frozen=True)
class Stock:
    """Labelled objects first, then distractors; one entry per mesh, but for the per-face normals."""

    object_ids: tuple[int, ...]
    packed: PackedMeshes
    resting: tuple[RestingPoses, ...]
    corner_normals: Float[np.ndarray, "faces 3 3"]
    gloss: Float[np.ndarray, "meshes"]

    @property
    def distractors(self) -> range:
        """Mesh indices of the unlabelled things."""
        return range(len(self.object_ids), len(self.resting))


def load_stock(models_dir: Path, object_ids: Sequence[int], seed: int) -> Stock:
    """Read the written models back and add the distractors that follow `seed`."""
    generator = np.random.default_rng([seed, 0xD157])
    meshes = [load_mesh(models_dir / f"obj_{obj_id:06d}.ply", "mm") for obj_id in object_ids]
    meshes += make_distractors(DISTRACTORS, generator)
    return Stock(
        object_ids=tuple(object_ids),
        packed=pack_meshes(meshes),
        resting=tuple(find_resting_poses(mesh) for mesh in meshes),
        corner_normals=np.concatenate([smooth_normals(mesh) for mesh in meshes]),
        gloss=generator.uniform(0.02, 0.35, len(meshes)).astype(np.float32),
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
