"""Clusters of pixel poses: the middle of the agreeing majority, other modes as further hypotheses."""

import math

import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.inference.clustering import cluster_poses, distinct_poses, mean_rotation
from selfpose6d.network.interface import RatedPoses


def scattered(R: torch.Tensor, t: torch.Tensor, count: int, spread: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    R_noise = roma.rotvec_to_rotmat(spread * torch.randn(count, 3, generator=generator))
    return make_transform(R @ R_noise, t + 0.02 * spread * torch.randn(count, 3, generator=generator))


def two_modes(seed: int = 0, first: int = 40, second: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """A majority about one pose and a minority about its half rotation, shuffled; and the two poses."""
    generator = torch.Generator().manual_seed(seed)
    R, t = random_rotations(1, generator)[0], torch.tensor([0.05, -0.02, 0.6])
    rotated = R @ torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    poses = torch.cat([scattered(R, t, first, 0.05, seed), scattered(rotated, t, second, 0.05, seed + 1)])
    order = torch.randperm(len(poses), generator=generator)
    return poses[order][None], torch.stack([make_transform(R, t), make_transform(rotated, t)])


CENTRE, DIAMETER = torch.zeros(1, 3), torch.tensor([0.2])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_majority_is_first_and_the_minority_second(seed):
    T, modes = two_modes(seed)
    clusters = cluster_poses(T, torch.full((1, 64), 0.5), CENTRE, DIAMETER, 2)
    for found, expected in zip(clusters.T[0], modes, strict=True):
        assert roma.rotmat_geodesic_distance(found[:3, :3], expected[:3, :3]) < math.radians(4)
        assert (found[:3, 3] - expected[:3, 3]).norm() < 0.002
    assert clusters.fraction[0, 0] > clusters.fraction[0, 1] > 0


def test_confidence_outweighs_number():
    T, modes = two_modes()
    is_minority = (T[0, :, :3, 0] @ modes[1, :3, 0]) > 0
    confidence = torch.where(is_minority, 0.9, 0.2)[None]
    clusters = cluster_poses(T, confidence, CENTRE, DIAMETER, 1)
    assert roma.rotmat_geodesic_distance(clusters.T[0, 0, :3, :3], modes[1, :3, :3]) < math.radians(4)
    assert clusters.confidence[0, 0] == pytest.approx(0.9, abs=1e-4)


def test_the_middle_is_nearer_to_the_truth_than_a_pixel():
    T, modes = two_modes(first=64, second=0)
    confidence = torch.rand(1, 64, generator=torch.Generator().manual_seed(0))
    found = cluster_poses(T, confidence, CENTRE, DIAMETER, 1).T[0, 0]
    errors = roma.rotmat_geodesic_distance(T[0, :, :3, :3], modes[:1, :3, :3])
    assert roma.rotmat_geodesic_distance(found[:3, :3], modes[0, :3, :3]) < 0.5 * errors.mean()


def test_clusters_beyond_the_last_repeat_the_first_with_fraction_0():
    T, _ = two_modes()
    clusters = cluster_poses(T, torch.full((1, 64), 0.5), CENTRE, DIAMETER, 6)
    assert clusters.T.shape == (1, 6, 4, 4)
    empty = clusters.fraction[0] == 0
    assert empty.any()
    assert torch.equal(clusters.T[0][empty], clusters.T[0, :1].expand(int(empty.sum()), 4, 4))
    assert clusters.fraction[0].sum() == pytest.approx(1.0, abs=1e-4)


def test_instances_of_a_batch_do_not_mix():
    batches = [two_modes(seed)[0] for seed in (1, 2)]
    confidence = torch.rand(2, 64, generator=torch.Generator().manual_seed(0))
    both = cluster_poses(torch.cat(batches), confidence, CENTRE.expand(2, 3), DIAMETER.expand(2), 3)
    for i in range(2):
        alone = cluster_poses(batches[i], confidence[i : i + 1], CENTRE, DIAMETER, 3)
        assert torch.allclose(both.T[i], alone.T[0], atol=1e-5)


def test_poses_are_compared_at_the_objects_centre():
    """An origin far outside the object must not make small rotations seem large moves."""
    centre = torch.tensor([[1.0, 0.0, 0.0]])
    T, _ = two_modes(first=64, second=0)
    far = T.clone()
    far[..., :3, 3] -= (T[..., :3, :3] @ centre[:, None, :, None]).squeeze(-1)
    found = cluster_poses(far, torch.full((1, 64), 0.5), centre, DIAMETER, 1)
    assert found.fraction[0, 0] > 0.9
    near = cluster_poses(T, torch.full((1, 64), 0.5), CENTRE, DIAMETER, 1)
    assert torch.allclose(found.T[0, 0, :3, :3], near.T[0, 0, :3, :3], atol=1e-4)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.01, 2.5))
def test_the_mean_of_two_rotations_is_half_way(seed, angle_rad):
    R = random_rotations(1, torch.Generator().manual_seed(seed)).double()
    R_offset = roma.rotvec_to_rotmat(torch.tensor([[0.0, 0.0, angle_rad]], dtype=torch.float64))
    mean = mean_rotation(torch.stack([R, R @ R_offset], 1), torch.full((1, 2), 0.5, dtype=torch.float64))
    half = roma.rotvec_to_rotmat(torch.tensor([[0.0, 0.0, angle_rad / 2]], dtype=torch.float64))
    assert torch.allclose(mean, R @ half, atol=1e-6)


def rated(T: torch.Tensor, seed: int = 0) -> RatedPoses:
    score = torch.rand(T.shape[:2], generator=torch.Generator().manual_seed(seed))
    return RatedPoses(T, score, 0.5 * score)


def test_distinct_poses_are_the_best_of_each_kind_as_they_are():
    T, modes = two_modes()
    poses = rated(T)
    found = distinct_poses(poses, CENTRE, DIAMETER, 2)
    best = poses.score.argmax(1)
    assert torch.equal(found.T[:, 0], T[0, best])
    assert found.score[0, 0] == poses.score.max()
    assert found.right_logit[0, 0] == 0.5 * found.score[0, 0]
    of_kind = [
        roma.rotmat_geodesic_distance(found.T[0, k, :3, :3], modes[:, :3, :3]).argmin() for k in (0, 1)
    ]
    assert {*map(int, of_kind)} == {0, 1}
    other = roma.rotmat_geodesic_distance(T[0, :, :3, :3], modes[of_kind[1], :3, :3][None]) < 0.5
    assert found.score[0, 1] == poses.score[0, other].max()


def test_where_there_is_one_kind_of_pose_it_is_repeated():
    _, modes = two_modes()
    T = scattered(modes[0, :3, :3], modes[0, :3, 3], 64, 0.005, 0)[None]
    found = distinct_poses(rated(T), CENTRE, DIAMETER, 3)
    assert torch.equal(found.T[0], found.T[0, :1].expand(3, -1, -1))
    assert found.score[0].isneginf().tolist() == [False, True, True]


def test_poses_that_look_alike_are_one():
    T, modes = two_modes()

    def alike(T_pred: torch.Tensor, T_other: torch.Tensor) -> torch.Tensor:
        turned = T_other @ torch.linalg.inv(modes[0]) @ modes[1]
        nearer = (turned - T_pred).norm(dim=(-2, -1)) < (T_other - T_pred).norm(dim=(-2, -1))
        return torch.where(nearer[..., None, None], turned, T_other)

    poses = rated(T)
    assert distinct_poses(poses, CENTRE, DIAMETER, 2).score[0, 1] > 0
    half = RatedPoses(*(values[:, :1] for values in poses[:3]))
    both = RatedPoses(
        torch.cat([half.T, alike(modes[None, 1:], half.T)], 1), torch.tensor([[0.9, 0.8]]), torch.zeros(1, 2)
    )
    assert distinct_poses(both, CENTRE, DIAMETER, 2, alike).score[0, 1] == -torch.inf


def test_instances_keep_their_own_distinct_poses():
    T = torch.cat([two_modes(0)[0], two_modes(1)[0]])
    together = distinct_poses(rated(T), torch.zeros(2, 3), torch.tensor([0.2, 0.2]), 2)
    poses = rated(T).rows(torch.tensor([1]))
    alone = distinct_poses(poses, CENTRE, DIAMETER, 2)
    assert torch.equal(together.T[1:], alone.T)
