"""A rendered data set that can be learned from, small enough for tests, and a short way to train on it."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import roma
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

from networks import TINY, TINY_COORDINATES
from small_roots import CAM_K, cube, scene_gt_entry, write_image, write_json, write_models

from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.options import DataOptions
from selfpose6d.network.config import COORDINATES, SIZES
from selfpose6d.objects import shapes
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render

FRAMES = 10


@pytest.fixture(scope="session")
def rendered_root(tmp_path_factory) -> Path:
    """A BOP root of 10 frames, split train: a coloured cube of 10 cm, rotated by some 30 degrees, at 0.5 m."""
    return render_root(tmp_path_factory.mktemp("rendered"), "train", seed=0)


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory) -> Path:
    """The same cube in other poses, split train_pbr: what stands for rendered frames beside a recording."""
    return render_root(tmp_path_factory.mktemp("synthetic"), "train_pbr", seed=1)


def render_root(root: Path, split: str, seed: int) -> Path:
    write_models(root / "models", (2,))
    scene = root / split / "000001"
    T = torch.eye(4).repeat(FRAMES, 1, 1)
    rotvecs = 0.4 * torch.randn(FRAMES, 3, generator=torch.Generator().manual_seed(seed))
    T[:, :3, :3] = roma.rotvec_to_rotmat(rotvecs)
    T[:, 2, 3] = 0.5
    K = torch.tensor(CAM_K).reshape(3, 3).expand(FRAMES, 3, 3)
    images = render(PosedMeshes(pack_meshes([cube()]), torch.zeros(FRAMES, dtype=torch.long), T, K, 48, 64))
    poses, cameras = {}, {}
    for i in range(FRAMES):
        write_image(scene / "rgb" / f"{i:06d}.png", (255 * images.rgb[i]).byte().numpy())
        write_image(scene / "depth" / f"{i:06d}.png", (1e4 * images.depth_m[i]).numpy().astype(np.uint16))
        write_image(scene / "mask_visib" / f"{i:06d}_000000.png", (255 * images.mask[i]).byte().numpy())
        cameras[str(i)] = {"cam_K": CAM_K, "depth_scale": 0.1}
        entry = scene_gt_entry(2, (0.0, 0.0, 500.0))
        poses[str(i)] = [entry | {"cam_R_m2c": T[i, :3, :3].reshape(-1).tolist()}]
    write_json(scene / "scene_camera.json", cameras)
    write_json(scene / "scene_gt.json", poses)
    assert cv2.imread(str(scene / "rgb" / "000000.png")) is not None
    return root


@pytest.fixture
def cache(tmp_path) -> CacheOptions:
    return CacheOptions(tmp_path / "cache")


@pytest.fixture
def dataset(rendered_root):
    return DataOptions(rendered_root, "train").open()


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch):
    """`--size small` is a network for tests, and nearest points are looked up in a coarse grid."""
    monkeypatch.setitem(SIZES, "small", replace(TINY, log_softmax=False, dropout=0.2))
    monkeypatch.setitem(COORDINATES, "small", TINY_COORDINATES)
    monkeypatch.setattr(shapes, "GRID_CELLS", 24)


@pytest.fixture
def label_run(dataset, tmp_path) -> Path:
    """What `annotate` would have written: true poses, all certified but the last frame's."""
    from label_runs import write_label_run

    return write_label_run(dataset, tmp_path / "labels")
