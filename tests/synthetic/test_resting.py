"""Stable poses, checked on bodies whose stable faces are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import painted_box
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.meshes.primitives.shapes import box_corners
from selfpose6d.synthetic.resting import draw_resting, find_resting_poses, rotations_to_down


def plain_box(x: float, y: float, z: float) -> Mesh:
    return painted_box((x, y, z), dict.fromkeys(box_corners((x, y, z)), (9, 9, 9)), 1.0, "box")


def height_m(mesh: Mesh, R: np.ndarray) -> float:
    return float(np.ptp(mesh.vertices_m @ R.T[:, 2]))


def test_a_cube_lies_on_each_face_equally_often() -> None:
    poses = find_resting_poses(plain_box(0.1, 0.1, 0.1))
    np.testing.assert_allclose(poses.probability, np.full(6, 1 / 6), atol=1e-9)
    assert poses.upright.sum() == 1


def test_a_box_lies_on_its_faces_the_broad_ones_most() -> None:
    box = plain_box(0.04, 0.1, 0.2)
    poses = find_resting_poses(box)
    heights = np.array([height_m(box, R) for R in poses.R_world_obj])
    np.testing.assert_allclose(np.sort(heights), [0.04, 0.04, 0.1, 0.1, 0.2, 0.2], atol=1e-6)
    assert poses.probability[heights < 0.05].min() > poses.probability[heights > 0.15].max()


def test_a_plate_does_not_stand_on_its_edge() -> None:
    poses = find_resting_poses(plain_box(0.002, 0.2, 0.2))
    assert len(poses.probability) == 2


def test_a_can_stands_and_rolls() -> None:
    can = CATALOGUE[2].mesh()
    heights = np.array([height_m(can, R) for R in find_resting_poses(can).R_world_obj])
    assert (np.abs(heights - 0.102) < 1e-4).sum() == 2
    assert (np.abs(heights - 0.068) < 1e-3).sum() > 30


def test_a_carton_does_not_balance_on_its_fin() -> None:
    carton = CATALOGUE[8].mesh()
    poses = find_resting_poses(carton)
    upside_down = -poses.R_world_obj[:, 2, 2] > 0.99
    assert not upside_down.any()


@pytest.mark.parametrize("seed", range(5))
def test_a_scanned_box_stands_although_its_base_is_uneven(seed: int) -> None:
    """Half a millimetre of unevenness divides the base into facets, of which the one to stand on may be tiny."""
    generator = np.random.default_rng(seed)
    across, along = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)))
    base = np.stack([0.035 * across, 0.08 * along, -0.105 - 0.0005 * generator.random(81)], 1)
    top = np.stack([0.035 * across, 0.08 * along, np.full(81, 0.105)], 1)
    corners = np.concatenate([base, top]).astype(np.float32)
    poses = find_resting_poses(Mesh(corners, ConvexHull(corners).simplices.astype(np.int32)))
    upright = poses.R_world_obj[poses.upright]
    assert len(upright)
    assert min(height_m(Mesh(corners, np.zeros((1, 3), np.int32)), R) for R in upright) > 0.2
    drawn = [draw_resting(poses, generator)[2, 2] for _ in range(200)]
    assert np.mean(np.array(drawn) > 0.95) > 0.4


def test_a_surface_that_is_open_has_poses_too() -> None:
    box = plain_box(0.1, 0.1, 0.05)
    lidless = Mesh(box.vertices_m, box.faces[:-2])
    assert len(find_resting_poses(lidless).probability) >= 5


@given(st.integers(0, 2**31))
def test_rotations_turn_down_down(seed: int) -> None:
    down = np.random.default_rng(seed).normal(size=(5, 3))
    down = np.concatenate([down / np.linalg.norm(down, axis=1, keepdims=True), [[0, 0, 1.0], [0, 0, -1.0]]])
    R = rotations_to_down(down)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", R, down), np.tile([0, 0, -1.0], (7, 1)), atol=1e-7)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-7)


def test_drawn_poses_are_mostly_upright() -> None:
    poses = find_resting_poses(CATALOGUE[1].mesh())
    generator = np.random.default_rng(0)
    drawn = np.array([draw_resting(poses, generator) for _ in range(300)])
    assert (drawn[:, 2, 2] > 0.99).mean() == pytest.approx(
        0.6 + 0.4 * float(poses.probability[poses.upright].sum()), abs=0.1
    )
    assert np.ptp(np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0])) > 6, "every heading"
