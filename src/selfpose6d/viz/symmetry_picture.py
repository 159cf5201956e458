"""A mesh with its symmetries: views with the axes, and what the worst of them leaves of shape and colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from selfpose6d.geometry.viewpoints import look_from
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.render import render
from selfpose6d.viz.overlay import SUBPIXEL_BITS, draw_text
from selfpose6d.viz.palette import BACKGROUND_RGB, TEXT_RGB, Colour

TILE_PX = 260
CAPTION_PX = 20
VIEW_DIRECTIONS = ((1.0, 0.35, 0.45), (-0.4, 1.0, 0.35), (0.35, -0.5, 1.0))
"""Object frame: no face of a box that is aligned with the axes is seen edge-on."""
DISTANCE_RATIO = 6.0
"""Of the camera, in radii: little perspective."""
AXIS_RATIO = 1.15
"""Length of a drawn axis from the middle, in radii: it sticks out of the mesh."""
LIGHT = (0.3, -0.5, -0.8)
"""Towards the light, camera frame, for meshes that would be flat without shading."""


@dataclass(frozen=True)
class DrawnAxis:
    """A line through `point_m` along `axis`, object frame, and the colour that it is drawn in."""

    axis: Float[np.ndarray, "3"]
    point_m: Float[np.ndarray, "3"]
    rgb: Colour


@dataclass(frozen=True)
class ComparedMotion:
    """A motion that is drawn beside the mesh as it is, under this caption."""

    T_obj_sym: Float[np.ndarray, "4 4"]
    caption: str


def draw_symmetries(
    mesh: Mesh, axes: Sequence[DrawnAxis], motions: Sequence[ComparedMotion], captions: Sequence[str]
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Three views with the axes, `captions` below; then for each motion the mesh, the moved mesh, and its depth change.

    The last tile is grey where the depth stays, red where the moved mesh is nearer, blue where it is farther: full
    colour at 5 % of the diameter or where only one of the two is seen.
    """
    packed = pack_meshes([mesh])
    views = [_look(mesh, direction) for direction in VIEW_DIRECTIONS]
    tiles = [_tile(packed, T, _camera(mesh)) for T in views]
    for tile, T in zip(tiles, views, strict=True):
        for axis in axes:
            _draw_axis(tile, mesh, axis, T)
    blocks = [np.concatenate(tiles, axis=1), _captions(captions)]
    for motion in motions:
        blocks += [_comparison(mesh, packed, views[0], motion), _captions([motion.caption])]
    return np.concatenate(blocks)


def _comparison(
    mesh: Mesh, packed: PackedMeshes, T_cam_obj: np.ndarray, motion: ComparedMotion
) -> UInt8[np.ndarray, "tile columns 3"]:
    moved = T_cam_obj @ motion.T_obj_sym
    K = _camera(mesh)
    before, after = _depth(packed, T_cam_obj, K), _depth(packed, moved, K)
    change = np.where(
        (before > 0) & (after > 0), before - after, 0.05 * mesh.diameter_m * np.sign(after - before)
    )
    strength = np.clip(change / (0.05 * mesh.diameter_m), -1, 1)[..., None]
    red, blue, grey = np.array([255.0, 60, 50]), np.array([60.0, 120, 255]), np.array([120.0, 124, 130])
    towards = np.where(strength > 0, red, blue)
    shown = grey + np.abs(strength) * (towards - grey)
    covered = ((before > 0) | (after > 0))[..., None]
    difference = np.where(covered, shown, np.array(BACKGROUND_RGB)).astype(np.uint8)
    tiles = [_tile(packed, T_cam_obj, K), _tile(packed, moved, K), difference]
    for tile, text in zip(tiles, ("as it is", "moved", "depth: red nearer, blue farther"), strict=True):
        draw_text(tile, text, 0, 0, TEXT_RGB)
    return np.concatenate(tiles, axis=1)


def _look(mesh: Mesh, direction: tuple[float, float, float]) -> Float[np.ndarray, "4 4"]:
    unit = torch.nn.functional.normalize(torch.tensor([direction]), dim=1)
    centre = torch.from_numpy(np.asarray(mesh.centre_m, np.float32))
    T_cam_obj = look_from(unit, centre, DISTANCE_RATIO * mesh.radius_m)[0].double().numpy()
    return np.diag([-1.0, -1, 1, 1]) @ T_cam_obj  # z upwards in the picture


def _camera(mesh: Mesh) -> Float[np.ndarray, "3 3"]:
    """The mesh's sphere, and an axis that sticks out of it, fill the tile."""
    focal = 0.46 * TILE_PX * DISTANCE_RATIO / AXIS_RATIO
    middle = (TILE_PX - 1) / 2
    return np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1.0]])


def _posed(packed: PackedMeshes, T: np.ndarray, K: np.ndarray) -> PosedMeshes:
    pose, camera = torch.from_numpy(T[None]).float(), torch.from_numpy(K).float()
    return PosedMeshes.of_one(packed, 0, pose, camera, (TILE_PX, TILE_PX))


def _depth(packed: PackedMeshes, T: np.ndarray, K: np.ndarray) -> Float[np.ndarray, "tile tile"]:
    return rasterize(_posed(packed, T, K)).depth_m[0].numpy().astype(np.float64)


def _tile(packed: PackedMeshes, T: np.ndarray, K: np.ndarray) -> UInt8[np.ndarray, "tile tile 3"]:
    """The mesh in its colours, shaded by the depth's slope, on the ground colour."""
    rendering = render(_posed(packed, T, K), supersample=2)
    light = _shading(rendering.depth_m[0].numpy().astype(np.float64), K)[..., None]
    coverage = rendering.mask[0, ..., None].numpy()
    rgb = 255 * rendering.rgb[0].numpy() * light + (1 - coverage) * np.array(BACKGROUND_RGB)
    return np.ascontiguousarray(np.rint(rgb).clip(0, 255).astype(np.uint8))


def _shading(depth_m: np.ndarray, K: np.ndarray) -> Float[np.ndarray, "tile tile"]:
    """0.55 away from the light to 1 towards it; 1 where the depth jumps."""
    metres_a_px = np.where(depth_m > 0, depth_m, 1.0) / K[0, 0]
    down, right = np.gradient(depth_m)
    normal = np.stack([right / metres_a_px, down / metres_a_px, -np.ones_like(depth_m)], axis=-1)
    steep = np.linalg.norm(normal, axis=-1)
    cosine = (normal @ (np.array(LIGHT) / np.linalg.norm(LIGHT)) / steep).clip(0, 1)
    return np.where((depth_m > 0) & (steep < 8), 0.55 + 0.45 * cosine, 1.0)


def _draw_axis(tile: np.ndarray, mesh: Mesh, axis: DrawnAxis, T_cam_obj: np.ndarray) -> None:
    middle_m = axis.point_m + axis.axis * (axis.axis @ (mesh.centre_m - axis.point_m))
    ends_m = middle_m + np.outer([-1.0, 1.0], axis.axis) * AXIS_RATIO * mesh.radius_m
    ends_cam_m = ends_m @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3]
    homogeneous = ends_cam_m @ _camera(mesh).T
    uv = np.rint(homogeneous[:, :2] / homogeneous[:, 2:] * 2**SUBPIXEL_BITS)
    start, end = (tuple(map(int, point)) for point in uv)
    cv2.line(tile, start, end, (0, 0, 0), 4, cv2.LINE_AA, SUBPIXEL_BITS)
    cv2.line(tile, start, end, axis.rgb, 2, cv2.LINE_AA, SUBPIXEL_BITS)


def _captions(lines: Sequence[str]) -> np.ndarray:
    area = np.full((CAPTION_PX * len(lines) + 6, len(VIEW_DIRECTIONS) * TILE_PX, 3), BACKGROUND_RGB, np.uint8)
    for index, line in enumerate(lines):
        at = (6, (index + 1) * CAPTION_PX - 3)
        cv2.putText(area, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, TEXT_RGB, 1, cv2.LINE_AA)
    return area
