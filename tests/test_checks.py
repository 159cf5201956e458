"""Checks at the door: what passes, what is refused, and that the message says how to mend it."""

import numpy as np
import pytest
import torch

from selfpose6d.checks import (
    require_depth_in_metres,
    require_equal_lengths,
    require_existing,
    require_indices,
    require_intrinsics,
    require_plausible_object_size,
)
from selfpose6d.errors import DataError, MeshError, UsageError

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])


def test_depth_in_metres_passes_whatever_is_unknown():
    require_depth_in_metres(np.array([[0.0, 0.8], [0, 1.2]]))
    require_depth_in_metres(np.zeros((2, 2)))


def test_depth_in_millimetres_is_refused():
    with pytest.raises(DataError, match=r"depth_m must be in metres: median 812\.0 > 20\. Divide .* by 1000"):
        require_depth_in_metres(np.array([[0.0, 812.0]]))


@pytest.mark.parametrize("extent_m", [0.001, 0.2, 5.0])
def test_objects_of_1_mm_to_5_m_pass(extent_m):
    require_plausible_object_size(extent_m, "mesh")


@pytest.mark.parametrize("extent_m", [0.0, 0.0009, 100.0, float("nan"), float("inf")])
def test_other_sizes_are_refused_with_the_option_to_pass(extent_m):
    with pytest.raises(MeshError, match=r"mug\.ply: .* --model-unit mm, cm, m or inch"):
        require_plausible_object_size(extent_m, "mug.ply")


@pytest.mark.parametrize(
    "camera", [np.eye(4), K * [[0.0], [1], [1]], K * [[1.0], [-1], [1]], K * np.nan], ids=str
)
def test_matrices_that_cannot_be_a_camera_are_refused(camera):
    require_intrinsics(K)
    with pytest.raises(DataError, match="K must be a finite 3x3 matrix with positive focal lengths"):
        require_intrinsics(camera)


def test_a_missing_path_is_named_with_its_remedy(tmp_path):
    assert require_existing(tmp_path, "folder", "Make it.") == tmp_path
    with pytest.raises(UsageError, match=r"models not found: .*nowhere does not exist\. Pass --models\."):
        require_existing(tmp_path / "nowhere", "models", "Pass --models.")


def test_indices_must_lie_within_what_they_count():
    require_indices(torch.tensor([0, 2, 1]), 3, "mesh_index")
    require_indices(torch.tensor([], dtype=torch.int64), 0, "mesh_index")
    for index in (torch.tensor([0, 3]), torch.tensor([-1, 0])):
        with pytest.raises(UsageError, match=r"mesh_index must be from 0 to 2, got -?\d to \d"):
            require_indices(index, 3, "mesh_index")


def test_batches_must_have_one_length():
    require_equal_lengths(poses=torch.zeros(2, 4, 4), cloud=[0, 1])
    with pytest.raises(UsageError, match="poses, cloud must have the same length, got poses 2, cloud 1"):
        require_equal_lengths(poses=torch.zeros(2, 4, 4), cloud=[0])
