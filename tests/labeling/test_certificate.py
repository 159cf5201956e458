"""The winner and what its certificate says: equals listed, symmetries forgiven, the weakest evidence named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from labeling.hand_made_calibration import GENEROUS, MOST, RANGES, certifying, good_terms, hand_made
from selfpose6d.errors import UsageError
from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.labeling.annotate import AnnotateOptions, annotate
from selfpose6d.labeling.candidates import Candidates
from selfpose6d.labeling.certificate import (
    CertificateOptions,
    Evidence,
    Standing,
    decide,
    may_certify,
    pose_distances,
    weigh,
)
from selfpose6d.labeling.certify import certify
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.score import ScoredPoses, Scores
from selfpose6d.labeling.search import SearchOptions
from selfpose6d.labeling.terms import TERM_NAMES, Terms
from selfpose6d.objects.variants import colourless_model
from selfpose6d.types import MaskQuality

HALF_ROTATIONS = [
    torch.diag(torch.tensor(signs)) for signs in ([-1.0, -1, 1, 1], [-1.0, 1, -1, 1], [1.0, -1, -1, 1])
]
LENGTHS = Lengths(0.27, 0.001)


def scored(T: torch.Tensor, total: list[float]) -> ScoredPoses:
    ones = torch.ones(len(T))
    shift = torch.full((len(T),), 40, dtype=torch.long)  # the middle of the fine crop's 9 x 9
    scores = Scores(torch.tensor(total), ones, 0.1 * ones, 0 * ones, 0.5 * ones, shift)
    return ScoredPoses(T, scores)


def standing(model, frame, T: torch.Tensor, total: list[float]) -> Standing:
    fine = Candidates(model, observed(model, frame).fine, T)
    return weigh(scored(T, total), fine, CertificateOptions())


def certificate_of(
    terms: Terms, options: CertificateOptions, agreement: float = 1.0, quality: MaskQuality = "exact"
):
    """With another pose as a competitor that has the rest of the weight."""
    T = torch.stack([tilted_pose(), tilted_pose() @ HALF_ROTATIONS[0]])
    stands = Standing(
        winner=0,
        probability=torch.tensor([agreement, 1 - agreement]),
        distance_m=torch.tensor([[0.0, 0.1], [0.1, 0.0]]),
        same=torch.tensor([True, False]),
        margin=0.1,
        significance=3.0,
    )
    terms = replace(terms, agreement=agreement)
    evidence = Evidence(terms, quality, True, LENGTHS, 0.002)
    return decide(scored(T, [1.0, 0.9]), stands, evidence, options).certificate


@pytest.fixture(scope="module")
def plain_box(box):
    """The box as a mesh without colour."""
    return colourless_model(box, None)


def test_good_evidence_is_certified_with_all_that_it_rests_on():
    certificate = certificate_of(good_terms(), certifying())
    assert certificate.status == "certified"
    assert certificate.reason == ""
    assert certificate.score == pytest.approx(MOST)
    assert certificate.confidence == pytest.approx(1.0)
    assert (certificate.risk, certificate.bound) == (0.05, 0.04)
    assert certificate.calibration == hand_made().content_hash
    assert certificate.mask_quality == "exact"
    assert certificate.noise_m == LENGTHS.noise_m
    assert certificate.alternatives == ()


@pytest.mark.parametrize("name", TERM_NAMES)
def test_the_weakest_evidence_is_named(name):
    worst = RANGES.get(name, (0.0, 1.0))[0]
    options = certifying(threshold=MOST - 0.5)
    values = {"agreement": 0.95} if name != "agreement" else {}
    terms = replace(good_terms(**values), **{name: worst})
    certificate = decide(
        scored(tilted_pose()[None], [1.0]),
        Standing(0, torch.ones(1), torch.zeros(1, 1), torch.ones(1, dtype=torch.bool), 0.2, 10.0),
        Evidence(terms, "exact", True, LENGTHS, 0.002),
        options,
    ).certificate
    assert certificate.status == "rejected"
    if name == "inside":
        assert certificate.reason == "100% of the predicted silhouette is outside the image"
    else:
        assert options.calibration.weakest(terms) == name
        assert certificate.reason.startswith("evidence too weak for a risk of 0.05: ")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("coverage", 0.3, "only 30% of the mask is covered"),
        ("inlier_ratio", 0.2, "only 20% within the noise"),
        ("free", 0.25, "75.0% of the mask's area lies in free space"),
        ("visible", 0.05, "mostly hidden"),
    ],
)
def test_faults_are_named_with_their_numbers(name, value, reason):
    certificate = certificate_of(good_terms(**{name: value}), certifying(threshold=MOST - 0.2))
    assert certificate.status == "rejected"
    assert reason in certificate.reason


def test_a_pose_with_rivals_is_ambiguous_unless_its_score_certifies_it():
    terms = good_terms()
    assert certificate_of(terms, certifying(threshold=MOST + 1), agreement=0.7).status == "ambiguous"
    assert certificate_of(terms, certifying(threshold=MOST - 1), agreement=0.7).status == "certified"
    half = certificate_of(terms, GENEROUS, agreement=0.49)
    assert half.status == "ambiguous"
    assert [one.confidence for one in half.alternatives] == pytest.approx([0.49, 0.51])
    assert half.reason.startswith("another pose fits about as well (margin 0.100)")


def test_no_score_certifies_what_is_mostly_outside_the_image():
    terms = good_terms(inside=0.7)
    assert not may_certify(terms, GENEROUS)
    certificate = certificate_of(terms, GENEROUS)
    assert certificate.status == "rejected"
    assert certificate.reason == "30% of the predicted silhouette is outside the image"
    assert certificate_of(good_terms(inside=0.81), GENEROUS).status == "certified"


def test_more_risk_certifies_more():
    terms = good_terms(visible=0.0, coverage=0.0, colour=0.0)
    status = {
        risk: certificate_of(terms, certifying(threshold=MOST - 3.5, risk=risk)).status
        for risk in (0.01, 0.05, 0.2)
    }
    assert status == {0.01: "rejected", 0.05: "certified", 0.2: "certified"}


@pytest.mark.parametrize("risk", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_risk_out_of_range_is_refused(risk):
    with pytest.raises(UsageError, match=r"--risk must be between 0 and 1, got .* Pass for example"):
        CertificateOptions(risk=risk)


def test_a_clear_winner_has_all_the_weight(box):
    T = torch.stack([tilted_pose(), tilted_pose() @ HALF_ROTATIONS[0]])
    found = standing(box, rendered_frame(box, tilted_pose()), T, [1.1, 0.7])
    assert found.winner == 0
    assert found.agreement == pytest.approx(1.0, abs=1e-4)
    assert found.margin == pytest.approx(0.2), "capped where nothing competes"


def test_direct_comparison_overrules_a_score_that_is_a_little_better(box):
    """The wrong of two scores a little better over the whole; where they differ the image says otherwise."""
    T = torch.stack([tilted_pose() @ HALF_ROTATIONS[0], tilted_pose()])
    found = standing(box, rendered_frame(box, tilted_pose()), T, [1.10, 1.06])
    assert found.winner == 1
    assert found.agreement > 0.9


def test_a_competing_pose_that_is_a_symmetry_of_the_winner_does_not_count(brick):
    half_rotation = next(S for S in brick.symmetries if S[:3, :3].trace() < -0.9)
    T = tilted_pose()
    found = standing(brick, rendered_frame(brick, T), torch.stack([T, T @ half_rotation]), [1.10, 1.095])
    assert found.agreement == pytest.approx(1.0)
    assert bool(found.same.all())


def test_among_equals_the_pose_of_least_expected_error_wins(box):
    T = tilted_pose().repeat(3, 1, 1)
    T[0, 0, 3] -= 0.012
    T[2, 0, 3] += 0.012
    found = standing(box, rendered_frame(box, tilted_pose()), T, [1.001, 1.0, 1.0])
    assert found.winner == 1
    assert found.agreement == pytest.approx(1.0)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]])
def test_among_equals_by_shape_the_choice_follows_a_rule(plain_box, order):
    """Whatever their order and which of them scores a little better."""
    T = tilted_pose()
    ways = torch.stack([T, *(T @ R for R in HALF_ROTATIONS)])
    least_turned = int(ways[:, :3, :3].diagonal(dim1=1, dim2=2).sum(-1).argmax())
    frame = rendered_frame(plain_box, T)
    found = standing(plain_box, frame, ways[order], [1.1, 1.095, 1.09, 1.1])
    assert order[found.winner] == least_turned
    assert found.agreement < 0.5


def test_candidates_of_one_pose_count_once(plain_box):
    """Four times the same answer is no more certain than once, against others of equal score."""
    T = tilted_pose()
    seen = observed(plain_box, rendered_frame(plain_box, T))
    agreement = []
    for copies in (1, 4):
        candidates = scored(torch.stack([T] * copies + [T @ HALF_ROTATIONS[0]]), [1.0] * (copies + 1))
        found = certify(seen, candidates, SearchOptions(), GENEROUS)
        assert found.certificate.status == "ambiguous"
        agreement.append(found.terms.agreement)
    assert agreement[0] == pytest.approx(agreement[1], abs=1e-5)
    assert agreement[0] < 0.6


def with_noise(frame, seed: int, sigma_m: float = 0.001):
    white = np.random.default_rng(seed).normal(size=frame.depth_m.shape)
    return replace(frame, depth_m=(frame.depth_m + sigma_m * white).astype(np.float32))


def test_a_box_without_colour_looks_alike_four_ways_round(plain_box):
    frame, T = rendered_frame(plain_box, tilted_pose()), tilted_pose()
    (label,) = annotate(frame, {1: plain_box}, AnnotateOptions(certificate=GENEROUS))
    certificate = label.certificate
    assert certificate.status == "ambiguous"
    assert certificate.reason.startswith("4 poses fit about as well")
    found = torch.from_numpy(np.stack([one.T_cam_obj for one in certificate.alternatives])).float()
    assert np.array_equal(certificate.alternatives[0].T_cam_obj, label.T_cam_obj)
    assert sum(one.confidence for one in certificate.alternatives) == pytest.approx(1.0)
    ways = torch.stack([T, *(T @ R for R in HALF_ROTATIONS)])
    distance_m = pose_distances(plain_box, torch.cat([found, ways]))[:4, 4:]
    assert sorted(distance_m.argmin(1).tolist()) == [0, 1, 2, 3]
    assert float(distance_m.amin(1).max()) < 0.003


def test_declared_symmetries_make_it_certifiable(box):
    group = SymmetryGroup(np.stack([np.eye(4), *(R.double().numpy() for R in HALF_ROTATIONS)]), ())
    declared = colourless_model(box, group)
    (label,) = annotate(
        rendered_frame(declared, tilted_pose()), {1: declared}, AnnotateOptions(certificate=GENEROUS)
    )
    assert label.certificate.status == "certified"
    assert label.certificate.alternatives == ()
    distance_m = pose_distances(
        declared, torch.stack([torch.from_numpy(label.T_cam_obj).float(), tilted_pose()])
    )
    assert float(distance_m[0, 1]) < 0.003


def test_near_duplicates_of_a_frame_choose_the_same_of_equal_poses(plain_box):
    frame = rendered_frame(plain_box, tilted_pose())
    labels = [
        annotate(with_noise(frame, seed), {1: plain_box}, AnnotateOptions(seed=seed))[0] for seed in range(4)
    ]
    T = torch.from_numpy(np.stack([label.T_cam_obj for label in labels])).float()
    assert {label.certificate.status for label in labels} == {"ambiguous"}
    assert float(pose_distances(plain_box, T).max()) < 0.01


def test_a_silhouette_that_leaves_the_image_is_not_certified(box):
    T = tilted_pose()
    T[0, 3] = 0.19
    (label,) = annotate(rendered_frame(box, T), {1: box}, AnnotateOptions(certificate=GENEROUS))
    assert label.certificate.status == "rejected"
    outside = int(label.certificate.reason.split("%")[0])
    assert 25 <= outside <= 45
    assert "of the predicted silhouette is outside the image" in label.certificate.reason
    assert np.linalg.norm(label.T_cam_obj[:3, 3] - T[:3, 3].numpy()) < 0.01, "right, and not certified"


def test_pose_distance_by_hand(box):
    T = tilted_pose().repeat(2, 1, 1)
    T[1, 2, 3] += 0.03
    distance_m = pose_distances(box, T)
    torch.testing.assert_close(distance_m, torch.tensor([[0.0, 0.03], [0.03, 0.0]]), atol=1e-5, rtol=0)
    symmetric = replace(box, symmetries=torch.stack([torch.eye(4), torch.eye(4)]))
    torch.testing.assert_close(pose_distances(symmetric, T), distance_m)
