"""Declared symmetries against the mesh: sound ones pass, false ones are one line that says what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from selfpose6d.datasets.declared_symmetries import (
    allowed_residual_m,
    doubtful_symmetries,
    require_declared_symmetries,
)
from selfpose6d.errors import DataError
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup, rotations_about
from selfpose6d.meshes.primitives.boxes import foam_brick
from selfpose6d.meshes.primitives.catalogue import HALF_ROTATIONS
from selfpose6d.meshes.primitives.rounds import bowl

Z = np.array([0.0, 0, 1])


@pytest.fixture(scope="module")
def brick():
    """52 x 78 x 46 mm, centred."""
    return foam_brick(np.random.default_rng(0))


def about_z(degrees: float, point_m=(0.0, 0, 0)) -> SymmetryGroup:
    return SymmetryGroup(rotations_about(Z, np.deg2rad([degrees]), np.array(point_m)))


def test_what_bop_allows():
    assert allowed_residual_m(0.1) == 0.015
    assert allowed_residual_m(0.3) == pytest.approx(0.03)


def test_true_ones_pass_without_doubt(brick):
    require_declared_symmetries(brick, HALF_ROTATIONS, "object 7")
    assert list(doubtful_symmetries(brick, HALF_ROTATIONS)) == []
    axis = SymmetryGroup(np.empty((0, 4, 4)), (ContinuousSymmetry(Z, np.zeros(3)),))
    require_declared_symmetries(bowl(np.random.default_rng(0)), axis, "object 6")
    assert list(doubtful_symmetries(bowl(np.random.default_rng(0)), axis)) == []


def test_a_false_axis_is_named_with_what_it_leaves(brick):
    axis = SymmetryGroup(np.empty((0, 4, 4)), (ContinuousSymmetry(np.array([1.0, 0, 0]), np.zeros(3)),))
    with pytest.raises(
        DataError, match=r"object 7: symmetries_continuous\[0\] \(axis 1 0 0\).*at most 15 mm"
    ) as error:
        require_declared_symmetries(brick, axis, "object 7")
    assert "selfpose6d symmetries MODELS" in str(error.value)


def test_a_shifted_half_turn_is_refused(brick):
    """Points are off by twice 2 cm."""
    with pytest.raises(
        DataError, match=r"symmetries_discrete\[0\] \(180 degrees about 0 0 1\).*up to (39|40)"
    ):
        require_declared_symmetries(brick, about_z(180, (0.02, 0, 0)), "object 7")


@pytest.mark.parametrize(("factor", "words"), [(1e-3, "too small"), (1e3, "too large")])
def test_a_wrong_unit_is_recognised(brick, factor, words):
    away = replace(brick, vertices_m=brick.vertices_m + np.array([0.1, 0, 0], np.float32))
    right = about_z(180, (0.1, 0, 0))
    require_declared_symmetries(away, right, "object 7")
    wrong = right.discrete.copy()
    wrong[:, :3, 3] *= factor
    with pytest.raises(DataError, match=f"a thousand times {words}: BOP's are in millimetres"):
        require_declared_symmetries(away, SymmetryGroup(wrong), "object 7")


def test_what_bop_allows_but_a_camera_sees_is_doubtful(brick):
    """A quarter turn of a brick of 52 x 78 mm leaves 13 mm: less than BOP's 15."""
    require_declared_symmetries(brick, about_z(90), "object 7")
    (text,) = doubtful_symmetries(brick, about_z(90))
    assert text.startswith("symmetries_discrete[0] (90 degrees about 0 0 1) leaves")


def test_none_declared_costs_nothing(brick, monkeypatch):
    monkeypatch.setattr("selfpose6d.datasets.declared_symmetries.SelfComparison", None)
    require_declared_symmetries(brick, SymmetryGroup(np.empty((0, 4, 4))), "object 7")
