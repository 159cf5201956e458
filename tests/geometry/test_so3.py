"""Rotations: an even covering that never changes, angles, uniform draws."""

import math

import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.geometry.so3 import (
    pairwise_angle_rad,
    random_rotations,
    super_fibonacci,
)

Z = torch.tensor([0.0, 0, 1])


def covering_radius_rad(rotations: torch.Tensor) -> float:
    """Largest angle from any rotation to the nearest of the set, over 4,000 random ones."""
    probes = random_rotations(4000, torch.Generator().manual_seed(0))
    return float(pairwise_angle_rad(probes, rotations).amin(1).max())


def test_super_fibonacci_is_the_same_every_time():
    torch.testing.assert_close(super_fibonacci(64), super_fibonacci(64), rtol=0, atol=0)


def test_the_single_rotation_of_a_covering_of_one_by_hand():
    """s = 1/2: r = R = sqrt(1/2), alpha = pi / sqrt(2), beta = pi / psi; quaternion x y z w."""
    alpha, beta = math.pi / math.sqrt(2), math.pi / 1.533751168755204288118041
    x, y, z, w = (
        math.sqrt(0.5) * f for f in (math.sin(alpha), math.cos(alpha), math.sin(beta), math.cos(beta))
    )
    R = super_fibonacci(1)[0].double()
    assert R[0, 0].item() == pytest.approx(1 - 2 * (y * y + z * z), abs=1e-6)
    assert R[0, 1].item() == pytest.approx(2 * (x * y - w * z), abs=1e-6)
    assert R[2, 0].item() == pytest.approx(2 * (x * z - w * y), abs=1e-6)


@pytest.mark.parametrize("count", [1, 7, 256])
def test_super_fibonacci_gives_proper_rotations(count):
    R = super_fibonacci(count)
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand(count, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.det(R), torch.ones(count), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("count", "largest_gap_deg"), [(64, 62), (256, 38), (1024, 24)])
def test_super_fibonacci_leaves_no_large_gap(count, largest_gap_deg):
    gap_deg = math.degrees(covering_radius_rad(super_fibonacci(count)))
    random_gap_deg = math.degrees(
        covering_radius_rad(random_rotations(count, torch.Generator().manual_seed(1)))
    )
    assert gap_deg < largest_gap_deg
    assert gap_deg < 0.8 * random_gap_deg


def test_super_fibonacci_has_no_near_duplicates():
    angles = pairwise_angle_rad(super_fibonacci(256), super_fibonacci(256)) + 10 * torch.eye(256)
    assert math.degrees(angles.min().item()) > 15


@given(st.floats(0.01, math.pi - 0.01))
def test_the_angle_of_a_rotation_about_an_axis(angle_rad):
    R = roma.rotvec_to_rotmat(torch.tensor([0.0, angle_rad, -angle_rad])[:, None] * Z)
    expected = torch.tensor([0.0, angle_rad, angle_rad])
    torch.testing.assert_close(pairwise_angle_rad(R[:1], R)[0], expected, atol=2e-3, rtol=0)


def test_angles_are_symmetric_and_obey_the_triangle_inequality():
    R = random_rotations(30, torch.Generator().manual_seed(2))
    angles = pairwise_angle_rad(R, R)
    torch.testing.assert_close(angles, angles.T)
    assert (angles[:, None, :] <= angles[:, :, None] + angles[None, :, :] + 1e-3).all()


def test_pairwise_angles_equal_one_by_one():
    R1 = random_rotations(4, torch.Generator().manual_seed(3))
    R2 = random_rotations(6, torch.Generator().manual_seed(4))
    one_by_one = torch.stack(
        [roma.rotmat_geodesic_distance(R1, R2[j].expand(4, 3, 3)) for j in range(6)], dim=1
    )
    torch.testing.assert_close(pairwise_angle_rad(R1, R2), one_by_one, atol=1e-3, rtol=0)


def test_random_rotations_follow_the_generator():
    draws = [random_rotations(5, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_random_rotations_are_uniform():
    """Angles of uniform rotations have the distribution (a - sin a) / pi, whatever they are measured from."""
    R = random_rotations(20_000, torch.Generator().manual_seed(9)).double()
    anywhere = random_rotations(1, torch.Generator().manual_seed(10)).double()
    angles = roma.rotmat_geodesic_distance(R, anywhere).sort().values
    distribution = (angles - angles.sin()) / math.pi
    deviation = (distribution - torch.arange(1, 20_001) / 20_000).abs().max().item()
    assert deviation < 1.63 / math.sqrt(20_000)  # Kolmogorov-Smirnov at 1 %
