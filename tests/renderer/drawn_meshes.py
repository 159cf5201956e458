"""Meshes and cameras whose pictures are known, and random ones on which back ends must agree."""

import numpy as np
import torch

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.meshes.mesh import Mesh

AT_ORIGIN = torch.eye(4)[None]
FIRST = torch.zeros(1, dtype=torch.int64)


def camera(focal_px: float, cx: float, cy: float) -> torch.Tensor:
    """(1, 3, 3) camera matrix."""
    return torch.tensor([[[focal_px, 0, cx], [0, focal_px, cy], [0, 0, 1.0]]])


def triangles(*corners_m) -> Mesh:
    """Faces that share no vertices, each given by three points."""
    vertices_m = np.array(corners_m, np.float32).reshape(-1, 3)
    return Mesh(vertices_m, np.arange(len(vertices_m), dtype=np.int64).reshape(-1, 3))


def sheet(cells: int, side_m: float = 1.0, z_m: float = 0.0) -> Mesh:
    """A square in the plane z, about the axis, made of 2 x cells x cells faces; y is down, as in images."""
    axis_m = np.linspace(-0.5, 0.5, cells + 1) * side_m
    y, x = np.meshgrid(axis_m, axis_m, indexing="ij")
    vertices_m = np.stack([x, y, np.full_like(x, z_m)], -1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).reshape(-1)
    right, below = corner + 1, corner + cells + 1
    faces = np.concatenate([np.stack([corner, right, below], 1), np.stack([right, below + 1, below], 1)])
    return Mesh(vertices_m, faces.astype(np.int64))


def textured_sheet(texture: np.ndarray, side_m: float = 1.0, repeats: float = 1.0) -> Mesh:
    """Two faces that show the picture upright when seen from -z, `repeats` times across."""
    plain = sheet(1, side_m)
    vertex_uv = plain.vertices_m[:, :2] / side_m * (1, -1) + 0.5
    corner_uv = (repeats * vertex_uv)[plain.faces].astype(np.float32)
    return Mesh(plain.vertices_m, plain.faces, corner_uv=corner_uv, texture=texture)


def soup(seed: int, faces: int, size_m: float, grid_m: float | None = None) -> Mesh:
    """Random triangles in a cube of 30 cm; a fifth shares edges, some are degenerate; corners on a grid if asked."""
    rng = np.random.default_rng(seed)
    centres_m = rng.uniform(-0.15, 0.15, (faces, 1, 3))
    corners_m = centres_m + rng.normal(size=(faces, 3, 3)) * size_m * rng.uniform(0.01, 1, (faces, 1, 1))
    corners_m[::5, :2] = np.roll(corners_m, 1, axis=0)[::5, 1:]
    corners_m[3::11, 2] = corners_m[3::11, 0]
    if grid_m is not None:
        corners_m = np.round(corners_m / grid_m) * grid_m
    return triangles(*corners_m)


def coloured(mesh: Mesh, seed: int) -> Mesh:
    """The same with a random colour per vertex."""
    rgb = np.random.default_rng(seed).integers(0, 256, (len(mesh.vertices_m), 3), np.uint8)
    return Mesh(mesh.vertices_m, mesh.faces, vertex_rgb=rgb)


def textured(mesh: Mesh, seed: int, rows: int, columns: int) -> Mesh:
    """The same with random texels and texture coordinates that also leave 0..1."""
    rng = np.random.default_rng(seed)
    return Mesh(
        mesh.vertices_m,
        mesh.faces,
        corner_uv=rng.uniform(-1, 2, (len(mesh.faces), 3, 2)).astype(np.float32),
        texture=rng.integers(0, 256, (rows, columns, 3), np.uint8),
    )


def poses_ahead(count: int, seed: int, nearest_m: float = 0.4, farthest_m: float = 1.0) -> torch.Tensor:
    """Any rotation, roughly on the axis."""
    generator = torch.Generator().manual_seed(seed)
    t = (torch.rand(count, 3, generator=generator) - 0.5) * 0.2
    t[:, 2] = nearest_m + (farthest_m - nearest_m) * torch.rand(count, generator=generator)
    return make_transform(random_rotations(count, generator), t)
