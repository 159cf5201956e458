"""Depth images made of planes, and a frame of a rendered box and brick on a table."""

import numpy as np
import pytest
import torch

from labeling.conftest import model_of
from selfpose6d.geometry.se3 import make_transform
from selfpose6d.labeling.observation import ObservedFrame
from selfpose6d.meshes.primitives.boxes import foam_brick, label_box
from selfpose6d.meshes.primitives.rounds import can
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.types import Frame

K = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])
SHAPE = (480, 640)
TABLE = np.array([0.0, -0.8, -0.6]), -0.55
"""Normal towards the camera, and offset: a table 0.9 m ahead, seen from above by 53 degrees."""


def plane_depth(normal: np.ndarray, offset_m: float) -> np.ndarray:
    """Depth of the plane n . X = d along every pixel's ray; 0 where it is behind the camera or beyond 4 m."""
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ray = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(SHAPE)], -1)
    with np.errstate(divide="ignore"):
        z = offset_m / (ray @ normal)
    return np.where((z > 0) & (z < 4), z, 0.0).astype(np.float32)


def nearest(*depths: np.ndarray) -> np.ndarray:
    """The first surface of each ray."""
    stacked = np.stack([np.where(depth > 0, depth, np.inf) for depth in depths])
    depth = stacked.min(0)
    return np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)


def frame_of(depth_m: np.ndarray, rgb: np.ndarray | None = None) -> Frame:
    """A frame without instances."""
    rgb = np.full((*SHAPE, 3), 120, np.uint8) if rgb is None else rgb
    return Frame("test", 0, 0, rgb, depth_m, K, ())


def seen(depth_m: np.ndarray) -> ObservedFrame:
    """The same, prepared."""
    return ObservedFrame.of(frame_of(depth_m))


@pytest.fixture(scope="session")
def models() -> dict[int, ObjectModel]:
    """1: a box with six different faces, 2: a plain brick, 3: a can."""
    make = (label_box, foam_brick, can)
    return {k: model_of(one(np.random.default_rng(0))) for k, one in enumerate(make, start=1)}


def standing_pose(
    model: ObjectModel, x_m: float, along_m: float = 0.0, angle_rad: float = 0.6
) -> torch.Tensor:
    """On the table, upright in the mesh's frame, turned about the table's normal."""
    normal, offset = TABLE
    up = normal / np.linalg.norm(normal)
    right = np.array([1.0, 0, 0])
    ahead = np.cross(up, right)
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    R = np.stack([c * right + s * ahead, -s * right + c * ahead, up], 1)
    at = np.array([x_m, 0, offset / normal[2]]) + along_m * ahead
    base = at - (at @ up - offset) * up
    low = float(model.mesh.vertices_m[:, 2].min())
    centre = model.mesh.vertices_m[:, :2].mean(0)
    t = base - R @ np.array([*centre, low])
    return make_transform(torch.from_numpy(R)[None].float(), torch.from_numpy(t)[None].float())[0]


def table_frame(
    models: dict[int, ObjectModel], poses: dict[int, torch.Tensor]
) -> tuple[Frame, dict[int, np.ndarray]]:
    """Objects on a grey table, 1 mm of noise; and the visible mask of each object."""
    depths, images = [plane_depth(*TABLE)], [np.full((*SHAPE, 3), 110, np.uint8)]
    for obj_id, T in poses.items():
        posed = PosedMeshes.of_one(
            pack_meshes([models[obj_id].mesh]), 0, T[None], torch.from_numpy(K).float(), SHAPE
        )
        image = render(posed)
        covered = image.mask[0].numpy() > 0.5
        depths.append(np.where(covered, image.surface_depth_m[0].numpy(), 0.0).astype(np.float32))
        images.append((image.rgb[0].numpy() * 255).clip(0, 255).astype(np.uint8))
    stacked = np.stack([np.where(depth > 0, depth, np.inf) for depth in depths])
    first = stacked.argmin(0)
    rgb = np.choose(first[..., None], images)
    noise = np.random.default_rng(0).normal(0, 0.001, SHAPE)
    depth = nearest(*depths)
    depth = np.where(depth > 0, depth + noise, 0).astype(np.float32)
    return frame_of(depth, rgb.astype(np.uint8)), {
        obj_id: first == k for k, obj_id in enumerate(poses, start=1)
    }
