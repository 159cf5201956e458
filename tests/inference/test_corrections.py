"""Corrections of modes: the same as all of them one after another, and only as many looks as matter."""

import pytest
import torch
from networks import TINY_COORDINATES, build_both, random_input, surfaces

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.inference import corrections
from selfpose6d.inference.clustering import distinct_poses
from selfpose6d.inference.corrections import corrected_modes
from selfpose6d.inference.options import NETWORK_STEPS
from selfpose6d.network.comparison import PoseComparison
from selfpose6d.network.evidence import Evidence
from selfpose6d.network.interface import RatedPoses, Refinement

STEPS, MODES, KEPT = 6, 4, 3
SURFACES, INPUTS = surfaces(), random_input(3, TINY_COORDINATES)


class Counting(PoseComparison):
    """Counts the poses that it looks at."""

    looked_at = 0

    def compared(self, evidence, T_crop_obj):
        self.looked_at += T_crop_obj.shape[0] * T_crop_obj.shape[1]
        return super().compared(evidence, T_crop_obj)


def refiner(gain: float = 1.0) -> Counting:
    """Its corrections are `gain` times those of a network with random weights."""
    refiner = build_both(TINY_COORDINATES).refiner
    refiner.__class__ = Counting
    with torch.no_grad():
        for parameter in refiner.correction[-1].parameters():
            parameter.mul_(gain)
    return refiner


def modes() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    R = random_rotations(3 * MODES, generator).unflatten(0, (3, MODES))
    return make_transform(R, 0.02 * torch.randn(3, MODES, 3, generator=generator))


def distinct(rows: slice = slice(None)):
    index = INPUTS.object_index[rows]
    sizes = SURFACES.centre_m[index], SURFACES.diameter_m[index]
    return lambda poses: distinct_poses(poses, *sizes, KEPT)


@torch.no_grad()
def correct(network: Counting, steps: int = STEPS, rows: slice = slice(None)):
    evidence = Evidence.of(INPUTS, SURFACES, network.points)
    if rows != slice(None):
        evidence = evidence.rows(torch.arange(3)[rows])
    return corrected_modes(network, evidence, modes()[rows], steps, distinct(rows))


def without_stops(monkeypatch):
    for name, value in (
        ("MAX_BEHIND", 1e9),
        ("LEAST_ROTATION_RAD", -1),
        ("LEAST_SHIFT", -1),
    ):
        monkeypatch.setattr(corrections, name, value)


def same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected, atol=1e-5)


def best_until(refined: Refinement, step: int) -> RatedPoses:
    """Of each start the pose that is rated best after up to `step` corrections."""
    assert refined.rating is not None
    sharpness, best = refined.rating.sharpness[..., : step + 1].max(-1, keepdim=True)
    T = refined.T_crop_obj.take_along_dim(best[..., None, None], 2).squeeze(2)
    return RatedPoses(T, sharpness.squeeze(2), refined.rating.right_logit.gather(2, best).squeeze(2))


@torch.no_grad()
def test_without_stops_it_is_the_networks_own_corrections_twice(monkeypatch):
    without_stops(monkeypatch)
    network = refiner()
    first = network(INPUTS, modes(), SURFACES, NETWORK_STEPS)
    chosen = distinct()(best_until(first, NETWORK_STEPS))
    then = network(INPUTS, chosen.T, SURFACES, STEPS - NETWORK_STEPS)
    expected = distinct()(best_until(then, STEPS - NETWORK_STEPS))
    found = correct(network)
    assert same(found.poses.T[:, 0], expected.T[:, 0])
    assert same(found.poses.right_logit[:, 0], expected.right_logit[:, 0])
    path = [best_until(first, step).T_best for step in range(NETWORK_STEPS + 1)]
    path += [best_until(then, step).T_best for step in range(1, STEPS - NETWORK_STEPS + 1)]
    assert same(found.T_path, torch.stack(path, 1))


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 6])
def test_the_path_has_a_pose_for_every_step_and_ends_with_the_best(steps):
    found = correct(refiner(), steps)
    assert found.T_path.shape == (3, steps + 1, 4, 4)
    assert same(found.T_path[:, -1], found.poses.T_best)
    assert found.poses.T.shape == (3, KEPT, 4, 4)


def test_instances_that_are_done_do_not_change_the_others():
    network = refiner()
    together = correct(network)
    for row in range(3):
        alone = correct(network, rows=slice(row, row + 1))
        assert same(alone.T_path[0], together.T_path[row])
        assert same(alone.poses.T[0], together.poses.T[row])


def test_corrections_that_are_too_small_to_matter_are_not_looked_at():
    network = refiner(1e-4)
    found = correct(network)
    assert network.looked_at == 3 * MODES * (NETWORK_STEPS + 1)
    assert torch.equal(found.T_path[:, NETWORK_STEPS], found.T_path[:, -1])


def test_poses_that_are_expected_to_be_far_worse_are_not_corrected_further(monkeypatch):
    without_stops(monkeypatch)
    every = refiner()
    correct(every)
    assert every.looked_at > 3 * MODES * (NETWORK_STEPS + 1)
    monkeypatch.setattr(corrections, "MAX_BEHIND", 1e-9)  # of each instance the best alone
    one = refiner()
    correct(one)
    first = 3 * MODES * (NETWORK_STEPS + 1)
    assert one.looked_at - first <= 3 * (STEPS - NETWORK_STEPS) < every.looked_at - first


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_a_rating_that_is_no_number_ends_in_poses_all_the_same(broken):
    network = refiner()
    with torch.no_grad():
        network.rating[-1].bias.fill_(broken)
    assert correct(network).poses.T.shape == (3, KEPT, 4, 4)


def test_poses_without_their_corrections_cannot_go_on():
    rated = RatedPoses(modes(), torch.zeros(3, MODES), torch.zeros(3, MODES))
    assert rated.starts(torch.zeros(3, 2, dtype=torch.long)).change is None
    assert rated.rows(torch.tensor([2])).T.shape == (1, MODES, 4, 4)
