"""A small camera and two plain meshes to draw."""

import numpy as np
import pytest

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes


@pytest.fixture
def K() -> np.ndarray:
    """160x120 pixels; an object of 10 cm at 1 m is 20 px wide."""
    return np.array([[200.0, 0, 79.5], [0, 200, 59.5], [0, 0, 1]])


@pytest.fixture(scope="session")
def box_mesh() -> Mesh:
    """20 x 10 x 10 cm, green."""
    import trimesh

    box = trimesh.creation.box((0.2, 0.1, 0.1))
    green = np.tile(np.array([0, 200, 0], np.uint8), (len(box.vertices), 1))
    return Mesh(np.asarray(box.vertices, np.float32), np.asarray(box.faces, np.int64), vertex_rgb=green)


@pytest.fixture(scope="session")
def meshes(box_mesh: Mesh) -> PackedMeshes:
    """The box alone."""
    return pack_meshes([box_mesh])


@pytest.fixture
def T_cam_obj() -> np.ndarray:
    """Straight ahead at 1 m, 5 cm to the right."""
    T = np.eye(4)
    T[:3, 3] = (0.05, 0, 1)
    return T
