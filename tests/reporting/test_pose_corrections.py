"""Poses that a person moves: along the camera's axes, about the object's centre."""

from unittest.mock import MagicMock

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.reporting.pose_corrections import PoseCorrections, moved_by

CENTRE_M = np.array([0.02, -0.01, 0.05])
NOTHING = np.zeros(3)


@pytest.fixture
def start() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec([0.3, -1.2, 0.4]).as_matrix()
    T[:3, 3] = 0.1, -0.05, 0.8
    return T


@pytest.fixture
def corrections() -> PoseCorrections:
    return PoseCorrections(MagicMock(spec=Dataset), config=None)


def test_moves_are_along_the_cameras_axes(corrections, start):
    corrections.nudge(3, start, CENTRE_M, np.array([0.002, 0, 0]), NOTHING)
    moved = corrections.nudge(3, start, CENTRE_M, np.array([0, 0, -0.001]), NOTHING)
    np.testing.assert_allclose(moved.T_cam_obj[:3, 3] - start[:3, 3], [0.002, 0, -0.001], atol=1e-12)
    np.testing.assert_allclose(moved.T_cam_obj[:3, :3], start[:3, :3])
    assert moved.version == 2
    assert moved.to_json()["moved_mm"] == pytest.approx(5**0.5)
    assert moved.to_json()["rotated_deg"] == pytest.approx(0, abs=1e-5)


def test_rotations_are_about_the_cameras_axes_and_keep_the_centre(corrections, start):
    turned = corrections.nudge(0, start, CENTRE_M, NOTHING, np.radians([0, 0, 90.0])).T_cam_obj
    centre = [T[:3, :3] @ CENTRE_M + T[:3, 3] for T in (start, turned)]
    np.testing.assert_allclose(centre[0], centre[1], atol=1e-12)
    np.testing.assert_allclose(
        turned[:3, :3] @ start[:3, :3].T, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12
    )
    assert corrections.get(0).to_json()["rotated_deg"] == pytest.approx(90)


def test_corrections_are_each_instances_own_and_can_be_dropped(corrections, start):
    corrections.nudge(0, start, CENTRE_M, np.ones(3), NOTHING)
    assert corrections.get(1) is None
    corrections.forget(0)
    assert corrections.get(0) is None
    again = corrections.nudge(0, start, CENTRE_M, NOTHING, NOTHING)
    np.testing.assert_allclose(again.T_cam_obj, start, atol=1e-12)
    assert again.version == 2  # pictures of the first one are not this one's


def test_a_dragged_pose_keeps_where_it_started(corrections, start):
    corrections.nudge(0, start, CENTRE_M, np.array([0.01, 0, 0]), NOTHING)
    dragged = np.eye(4)
    assert np.array_equal(corrections.set(0, dragged, dragged).T_cam_obj_start, start)


def test_changes_are_taken_back_one_by_one_and_a_drag_is_one(corrections, start):
    assert corrections.back(0) is None
    first = corrections.nudge(0, start, CENTRE_M, np.array([0.001, 0, 0]), NOTHING)
    for x_m in (0.01, 0.02, 0.03):
        dragged = start.copy()
        dragged[0, 3] += x_m
        corrections.set(0, start, dragged, dragged=True)
    last = corrections.nudge(0, start, CENTRE_M, np.array([0, 0.001, 0]), NOTHING)
    assert corrections.back(0).to_json()["moved_mm"] == pytest.approx(30)
    back = corrections.back(0)
    np.testing.assert_array_equal(back.T_cam_obj, first.T_cam_obj)
    assert back.version > last.version  # another picture
    assert corrections.back(0) is back  # there is nothing before it


def test_the_handle_is_at_the_centre(start):
    handle = moved_by(start, CENTRE_M)
    np.testing.assert_allclose(handle[:3, 3], start[:3, :3] @ CENTRE_M + start[:3, 3])
    np.testing.assert_allclose(moved_by(handle, -CENTRE_M), start, atol=1e-12)
