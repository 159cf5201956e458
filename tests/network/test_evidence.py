"""The look-ups of the comparison: compiled against torch, wherever a pose puts the points."""

import pytest
import torch
from networks import TINY_COORDINATES, random_input, surfaces

from selfpose6d.errors import UsageError
from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.network.evidence import Comparison, Evidence
from selfpose6d.network.interface import Surfaces

POINTS = 16


def poses(spread_m: float = 0.02, batch: int = 2, starts: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    R = random_rotations(batch * starts, generator).unflatten(0, (batch, starts))
    return make_transform(R, spread_m * torch.randn(batch, starts, 3, generator=generator))


def evidence(known: Surfaces | None = None) -> Evidence:
    return Evidence.of(random_input(2, TINY_COORDINATES), known or surfaces(), POINTS)


def both(given: Evidence, T_crop_obj: torch.Tensor) -> tuple[Comparison, Comparison]:
    return given.under(T_crop_obj, "numba"), given.under(T_crop_obj, "torch")


def assert_alike(found: Comparison, expected: Comparison):
    """A point on the border of a cell or pixel may be looked up on either side: one of 160 is allowed."""
    for values, others in zip(found, expected, strict=True):
        assert values.shape == others.shape
        assert ((values - others).abs().amax(-1) > 1e-4).float().mean() < 0.01


@pytest.mark.parametrize("spread_m", [0.0, 0.02, 0.3, 3.0])
def test_both_back_ends_agree_near_the_mesh_and_far_out_of_the_crop(spread_m):
    assert_alike(*both(evidence(), poses(spread_m)))


def test_both_agree_behind_the_camera():
    T = poses()
    T[..., 2, 3] -= 0.6
    assert_alike(*both(evidence(), T))


@pytest.mark.parametrize("change", ["no colours", "one object coloured", "32-bit cells"])
def test_both_agree_on_other_surfaces(change):
    known = surfaces(coloured=change != "no colours")
    if change == "one object coloured":
        known = known._replace(coloured=torch.tensor([True, False]))
    if change == "32-bit cells":
        known = known._replace(grid=known.grid._replace(nearest=known.grid.nearest.int()))
    assert_alike(*both(evidence(known), poses()))


def test_a_pose_that_is_no_number_is_none_in_both_and_spoils_no_other():
    T = poses()
    whole, _ = both(evidence(), T)
    T[1, 2] = torch.nan
    found, expected = both(evidence(), T)
    assert torch.equal(found.measured.isnan(), expected.measured.isnan())
    assert torch.equal(found.expected.isnan(), expected.expected.isnan())
    assert torch.equal(found.measured[0], whole.measured[0])
    assert found.measured[1, 2].isnan().any()


def test_some_of_the_instances_see_what_they_saw():
    given, T = evidence(), poses()
    whole, part = given.under(T), given.rows(torch.tensor([1])).under(T[1:])
    assert torch.equal(whole.measured[1:], part.measured)
    assert torch.equal(whole.expected[1:], part.expected)
    part = given.rows(torch.tensor([1])).under(T[1:], "torch")
    assert_alike(Comparison(whole.measured[1:], whole.expected[1:]), part)


def test_what_has_no_kernel_is_computed_by_torch():
    given = evidence()
    double = given.under(poses().double().float(), "torch")
    assert double.measured.dtype == torch.float32
    with pytest.raises(UsageError, match="no kernel"):
        given.under(poses().double(), "numba")
