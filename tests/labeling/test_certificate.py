from dataclasses import replace

import pytest
import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from selfpose6d.labeling.certificate import CertificateOptions, Evidence, certify, decide, pose_distances
from selfpose6d.labeling.score import ScoredPoses, Scores


def scored(T, total, coverage=1.0, free_space=0.0):
    n = len(T)
    return ScoredPoses(
        T,
        Scores(
            total=torch.tensor(total),
            coverage=torch.full((n,), coverage),
            depth=torch.full((n,), 0.1),
            free_space=torch.full((n,), free_space),
            colour=torch.full((n,), 0.5),
            shift=torch.zeros(n, dtype=torch.long),
        ),
    )


def verdict_on(model, candidates, rms_m=0.002, outside=0.0, visible=0.8):
    n = len(candidates.T_cam_obj)
    evidence = Evidence(*(torch.full((n,), value) for value in (rms_m, outside, visible)))
    return decide(model, candidates, evidence, CertificateOptions())


@pytest.fixture
def rotated():
    """A pose and the same rotated by half about the object's z axis."""
    T = tilted_pose()
    return torch.stack([T, T @ torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))])


def test_a_clear_winner_is_certified(box, rotated):
    verdict = verdict_on(box, scored(rotated, [1.1, 0.7]))
    assert verdict.winner == 0
    assert verdict.certificate.status == "certified"
    assert verdict.certificate.reason == ""
    assert verdict.certificate.margin == pytest.approx(0.4, abs=1e-5)
    assert verdict.certificate.confidence > 0.9


def test_two_different_poses_as_good_as_each_other_are_ambiguous(box, rotated):
    certificate = verdict_on(box, scored(rotated, [1.10, 1.095])).certificate
    assert certificate.status == "ambiguous"
    assert "runner-up too close" in certificate.reason
    assert len(certificate.alternatives) == 1
    assert certificate.confidence < 0.7


def test_a_competing_pose_that_is_a_symmetry_of_the_winner_does_not_count(brick):
    half_rotation = next(S for S in brick.symmetries if S[:3, :3].trace() < -0.9)
    T = tilted_pose()
    certificate = verdict_on(brick, scored(torch.stack([T, T @ half_rotation]), [1.10, 1.095])).certificate
    assert certificate.status == "certified"


def test_candidates_of_one_pose_count_once(box):
    """Four times the same answer is no more certain than once, against another of equal score."""
    T = tilted_pose()
    seen = observed(box, rendered_frame(box, T))
    competing = T @ torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    for copies in (1, 4):
        candidates = scored(torch.stack([T] * copies + [competing]), [1.1] * (copies + 1))
        certificate = certify(seen, candidates, CertificateOptions()).certificate
        assert certificate.status == "ambiguous"
        assert certificate.confidence == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        ({"rms_m": 0.02}, "rms 20.0 mm"),
        ({"outside": 0.4}, "40% of the predicted silhouette is outside the image"),
        ({"visible": 0.05}, "mostly hidden"),
    ],
)
def test_faults_are_named(box, rotated, measure, reason):
    certificate = verdict_on(box, scored(rotated, [1.1, 0.7]), **measure).certificate
    assert certificate.status == "rejected"
    assert reason in certificate.reason


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"coverage": 0.5}, "only 50% of the mask"),
        ({"free_space": 0.1}, "10.0% of the mask's area lies in free space"),
    ],
)
def test_bad_terms_are_named(box, rotated, terms, reason):
    certificate = verdict_on(box, scored(rotated, [1.1, 0.7], **terms)).certificate
    assert certificate.status == "rejected"
    assert reason in certificate.reason


def test_among_equals_the_pose_of_least_expected_error_wins(box):
    T = tilted_pose().repeat(3, 1, 1)
    T[0, 0, 3] -= 0.03
    T[2, 0, 3] += 0.03
    verdict = verdict_on(box, scored(T, [1.001, 1.0, 1.0]))
    assert verdict.winner == 1


def test_pose_distance_by_hand(box):
    T = tilted_pose().repeat(2, 1, 1)
    T[1, 2, 3] += 0.03
    distance_m = pose_distances(box, T)
    torch.testing.assert_close(distance_m, torch.tensor([[0.0, 0.03], [0.03, 0.0]]), atol=1e-5, rtol=0)
    symmetric = replace(box, symmetries=torch.stack([torch.eye(4), torch.eye(4)]))
    torch.testing.assert_close(pose_distances(symmetric, T), distance_m)
