"""Closed shapes from patches: boxes, bodies of revolution, tubes. Metres; windings face outwards."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.meshes.merge import merge_meshes, weld
from selfpose6d.meshes.mesh import Mesh

Paint = UInt8[np.ndarray, "_ _ 3"] | tuple[int, int, int]


def box_corners(size_m: tuple[float, float, float]) -> dict[str, Float[np.ndarray, "4 3"]]:
    """Corners of a centred box's faces: lower left, lower right, upper right, upper left from outside."""
    x, y, z = 0.5 * np.array(size_m)
    return {
        "+x": np.array([[x, -y, -z], [x, y, -z], [x, y, z], [x, -y, z]]),
        "-x": np.array([[-x, y, -z], [-x, -y, -z], [-x, -y, z], [-x, y, z]]),
        "+y": np.array([[x, y, -z], [-x, y, -z], [-x, y, z], [x, y, z]]),
        "-y": np.array([[-x, -y, -z], [x, -y, -z], [x, -y, z], [-x, -y, z]]),
        "+z": np.array([[x, -y, z], [x, y, z], [-x, y, z], [-x, -y, z]]),
        "-z": np.array([[-x, -y, -z], [-x, y, -z], [x, y, -z], [x, -y, -z]]),
    }


def quad_patch(corners_m: Float[np.ndarray, "4 3"], spacing_m: float, paint: Paint) -> Mesh:
    """A grid over a quadrilateral (corners as in `box_corners`); two corners may coincide."""
    ll, lr, ur, ul = corners_m
    width_m, height_m = np.linalg.norm([[lr - ll, ur - ul], [ul - ll, ur - lr]], axis=-1).max(axis=1)
    columns, rows = _steps(float(width_m), spacing_m), _steps(float(height_m), spacing_m)
    u, v = np.linspace(0, 1, columns + 1)[None, :, None], np.linspace(0, 1, rows + 1)[:, None, None]
    grid_m = (1 - v) * ((1 - u) * ll + u * lr) + v * ((1 - u) * ul + u * ur)
    return grid_mesh(grid_m, np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1), paint)


def revolve(
    profile_rz_m: Sequence[tuple[float | int, float | int]], segments: int, spacing_m: float, paint: Paint
) -> Mesh:
    """Rotate a polyline of (radius, z) about z. It runs up the outside; u follows the angle, v the line.

    Points are added so that no step along the line is longer than `spacing_m`.
    """
    line = subdivide(np.array(profile_rz_m, float), spacing_m)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    angle[-1] = 0.0
    r, z = line[:, :1], line[:, 1:]
    x, y = r * np.cos(angle), r * np.sin(angle)
    grid_m = np.stack([x, y, np.broadcast_to(z, x.shape)], axis=-1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    return grid_mesh(grid_m, np.linspace(0, 1, segments + 1), along / along[-1], paint)


def tube(
    path_m: Float[np.ndarray, "steps 3"], radii_m: tuple[float, float], sides: int, paint: Paint
) -> Mesh:
    """An elliptic tube along a path in the x-z plane, ends closed. Radii: in the plane, along y."""
    tangent = np.gradient(path_m, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.array([0.0, 1.0, 0.0])
    inward = np.cross(tangent, across)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    angle[-1] = 0.0
    ring = (
        radii_m[0] * np.cos(angle)[None, :, None] * inward[:, None]
        + radii_m[1] * np.sin(angle)[None, :, None] * across
    )
    ends = [np.repeat(path_m[i][None, None], sides + 1, axis=1) for i in (0, -1)]
    grid_m = np.concatenate([ends[0], path_m[:, None] + ring, ends[1]])
    return grid_mesh(grid_m, np.linspace(0, 1, sides + 1), np.linspace(0, 1, len(grid_m)), paint)


def prism(
    outline_xz_m: Float[np.ndarray, "corners 2"], half_width_m: float
) -> list[Float[np.ndarray, "4 3"]]:
    """Side quads of an outline (counter-clockwise seen from -y) extruded along y; the ends stay open."""
    w, following = half_width_m, np.roll(outline_xz_m, -1, axis=0)
    return [
        np.array([[a[0], -w, a[1]], [a[0], w, a[1]], [b[0], w, b[1]], [b[0], -w, b[1]]])
        for a, b in zip(outline_xz_m, following, strict=True)
    ]


def grid_mesh(
    grid_m: Float[np.ndarray, "rows columns 3"],
    u: Float[np.ndarray, " columns"],
    v: Float[np.ndarray, " rows"],
    paint: Paint,
) -> Mesh:
    """Two triangles a cell, front where columns run right and rows run up. Collapsed cells go at the weld."""
    rows, columns = grid_m.shape[:2]
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], axis=2).reshape(-1, 3)
    vertices_m = grid_m.reshape(-1, 3).astype(np.float32)
    if isinstance(paint, tuple):
        return Mesh(vertices_m, faces, vertex_rgb=np.tile(np.array(paint, np.uint8), (rows * columns, 1)))
    uv = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)
    return Mesh(vertices_m, faces, corner_uv=uv[faces], texture=paint)


def assemble(parts: Sequence[Mesh], name: str) -> Mesh:
    """One welded mesh, its bounding box centred on the origin."""
    mesh = weld(merge_meshes(parts, source=name))
    return replace(mesh, vertices_m=mesh.vertices_m - mesh.centre_m)


def arc(
    centre: tuple[float, float], radii_m: tuple[float, float], start_rad: float, stop_rad: float, steps: int
) -> list[tuple[float, float]]:
    """Points of an ellipse's arc in the (r, z) plane, ends included."""
    angle = np.linspace(start_rad, stop_rad, steps + 1)
    r, z = centre[0] + radii_m[0] * np.cos(angle), centre[1] + radii_m[1] * np.sin(angle)
    return list(zip(np.maximum(r, 0.0).tolist(), z.tolist(), strict=True))


def subdivide(line: Float[np.ndarray, "points 2"], spacing_m: float) -> Float[np.ndarray, "more 2"]:
    """The same polyline with no step longer than `spacing_m`."""
    pieces = [
        np.linspace(a, b, _steps(float(np.linalg.norm(b - a)), spacing_m), endpoint=False)
        for a, b in pairwise(line)
    ]
    return np.concatenate([*pieces, line[-1:]])


def _steps(length_m: float, spacing_m: float) -> int:
    return max(1, int(np.ceil(length_m / spacing_m - 1e-6)))
