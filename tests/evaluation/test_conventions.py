import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pose_rows import make_estimates, make_truths
from scipy.spatial.transform import Rotation

from selfpose6d.evaluation.conventions import MIN_LOOKED_AT, RotationCheck
from selfpose6d.evaluation.score import score

COUNT = 12


def with_rotations(table, R: np.ndarray):
    T_cam_obj = table.T_cam_obj.copy()
    T_cam_obj[:, :3, :3] = R
    return replace(table, T_cam_obj=T_cam_obj)


def check(R_written: np.ndarray, R_true: np.ndarray, points_m) -> None:
    count = len(R_true)
    truths = with_rotations(make_truths([(1, i, 1, 0.0, True) for i in range(count)]), R_true)
    estimates = make_estimates([(1, i, 1, 0.5, 0.0, "") for i in range(count)])
    estimates = with_rotations(estimates, R_written)
    scores = score(estimates, truths, points_m, set())
    rotations = RotationCheck()
    rotations.look_at(estimates, scores, truths)
    rotations.warn(Path("p.csv"))


@pytest.fixture
def R_true() -> np.ndarray:
    return Rotation.random(COUNT, random_state=1).as_matrix()


def test_rotations_written_column_by_column_are_named(points_m, R_true):
    R = (Rotation.from_rotvec([0, 0, 0.05]) * Rotation.from_matrix(R_true)).as_matrix()
    with pytest.warns(
        UserWarning, match=r"p\.csv: its rotations are \d+ degrees off .* 2\.9 when transposed"
    ):
        check(R.transpose(0, 2, 1), R_true, points_m)


@pytest.mark.parametrize("kind", ["right", "wrong", "facing the camera", "few"])
def test_nothing_is_said_where_it_is_not_that(points_m, R_true, kind):
    R = {
        "right": R_true,
        "wrong": Rotation.random(COUNT, random_state=2).as_matrix(),
        "facing the camera": np.tile(np.eye(3), (COUNT, 1, 1)),
        "few": R_true.transpose(0, 2, 1)[: MIN_LOOKED_AT - 1],
    }[kind]
    true = {"facing the camera": R, "few": R_true[: MIN_LOOKED_AT - 1]}.get(kind, R_true)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check(R, true, points_m)
    assert said == []
