"""Lengths follow the object and the noise: all of them, in proportion."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.labeling.hypotheses import PoseSpacing
from selfpose6d.labeling.lengths import Lengths

NAMES = [name for name, value in vars(Lengths).items() if isinstance(value, property)]


@given(st.floats(0.01, 5), st.floats(1e-4, 0.02), st.floats(0.1, 10))
def test_a_copy_of_another_size_has_all_lengths_in_proportion(diameter_m, noise_m, factor):
    one, other = Lengths(diameter_m, noise_m), Lengths(factor * diameter_m, factor * noise_m)
    assert len(NAMES) >= 10
    for name in NAMES:
        first, second = getattr(one, name), getattr(other, name)
        if isinstance(first, PoseSpacing):
            assert first.angle_rad == second.angle_rad
            first, second = first.distance_m, second.distance_m
        assert second == pytest.approx(factor * first, rel=1e-9), name


@given(st.floats(0.01, 5), st.floats(1e-4, 0.02))
def test_more_noise_never_makes_a_length_shorter(diameter_m, noise_m):
    quiet, noisy = Lengths(diameter_m, noise_m), Lengths(diameter_m, 2 * noise_m)
    for name in NAMES:
        assert getattr(noisy, name) >= getattr(quiet, name), name


def test_a_household_object_has_the_lengths_that_the_search_was_developed_with():
    lengths = Lengths(0.2, 0.001)
    metres = {
        "depth_cap_m": 0.020,
        "free_space_m": 0.015,
        "agree_m": 0.010,
        "inlier_m": 0.006,
        "geometry_scale_m": 0.003,
        "rms_slack_m": 0.002,
        "max_step_m": 0.020,
        "right_m": 0.020,
    }
    assert {name: getattr(lengths, name) for name in metres} == pytest.approx(metres)
    assert astuple(lengths) == (0.2, 0.001)
    assert lengths.same_candidate.distance_m == pytest.approx(0.010)
    assert lengths.same_kind.distance_m == pytest.approx(0.020)
    assert lengths.same_candidate.angle_rad < lengths.same_refined.angle_rad < lengths.same_kind.angle_rad
