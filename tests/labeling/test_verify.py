"""Verification by rendering: a wrong hypothesis is replaced, by search where it leads nowhere; a right one is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import selfpose6d.labeling.verify as verify_module
from labeling.conftest import model_of, observed, rendered_frame, tilted_pose
from labeling.hand_made_calibration import GENEROUS
from labeling.test_refine import add_m
from selfpose6d.geometry.se3 import make_transform, retract
from selfpose6d.labeling.certificate import CertificateOptions
from selfpose6d.labeling.search import SearchOptions, refine_candidates
from selfpose6d.labeling.verify import VerifyOptions, verify
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.rounds import mug


def verified(box, T: torch.Tensor, search_doubtful: bool):
    options = VerifyOptions(SearchOptions(), CertificateOptions(), search_doubtful=search_doubtful)
    return verify([observed(box, rendered_frame(box, tilted_pose()))], T[None], options)


def lying_wrong() -> torch.Tensor:
    """On another side, a quarter rotation away: nothing that is alike in shape."""
    return tilted_pose() @ retract(torch.tensor([0.0, 0.0, 0.0, 1.1, 0.5, 0.0]))


def test_a_hopeless_hypothesis_makes_it_search(box):
    stuck, searched = (verified(box, lying_wrong(), search) for search in (False, True))
    assert add_m(box, stuck.T_cam_obj[None], tilted_pose())[0] > 0.01
    assert add_m(box, searched.T_cam_obj[None], tilted_pose())[0] < 0.003
    assert searched.certificate.status == "certified"
    assert stuck.certificate.status != "certified"
    assert (stuck.certificate.source, searched.certificate.source) == ("hypotheses", "search")


def test_a_search_that_finds_the_same_pose_does_not_take_over(box):
    """Nothing is certified by these options, so the search joins in, and confirms what the hypothesis led to."""
    never = CertificateOptions(min_agreement=1.1)
    options = VerifyOptions(SearchOptions(rotations=64), never)
    found = verify([observed(box, rendered_frame(box, tilted_pose()))], tilted_pose()[None], options)
    assert found.certificate.status != "certified"
    assert found.certificate.source == "hypotheses"
    assert add_m(box, found.T_cam_obj[None], tilted_pose())[0] < 0.002


@pytest.mark.parametrize("turned_rad", [0.5, 1.6, 3.1])
def test_one_hypothesis_that_slid_is_turned_back(round_can, turned_rad):
    """Depth says nothing about a can's rotation, and no other hypothesis speaks for the right one: its label does."""
    T = tilted_pose()
    slid = T @ retract(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, turned_rad]))
    assert add_m(round_can, slid[None], T)[0] > 0.015
    options = VerifyOptions(SearchOptions(), CertificateOptions())
    seen = observed(round_can, rendered_frame(round_can, T))
    found = verify_module.certify_hypotheses(seen, slid[None], options)
    assert add_m(round_can, found.T_cam_obj[None], T)[0] < 0.003
    assert found.certificate.status == "certified"


def test_a_pose_that_was_verified_is_certified_again(box):
    first = verified(box, tilted_pose(), search_doubtful=False)
    again = verified(box, first.T_cam_obj, search_doubtful=False)
    assert again.certificate.status == "certified"
    assert again.certificate.source == "hypotheses"
    assert add_m(box, again.T_cam_obj[None], tilted_pose())[0] < 0.001


@pytest.mark.parametrize("search_doubtful", [True, False])
def test_the_hidden_handle_of_a_mug_is_not_certified(search_doubtful):
    """The one hypothesis is right, and nothing in the image says so: no calibration, however generous, certifies it."""
    shape = mug(np.random.default_rng(0))
    model = model_of(Mesh(shape.vertices_m, shape.faces))
    handle_away = torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    T = make_transform(handle_away, torch.tensor([0.0, 0.05, 0.8]))
    frame = rendered_frame(model, T)
    # without noise the truth alone would fit to the last digit, as nothing that is measured does
    noise_m = 0.001 * np.random.default_rng(0).normal(size=frame.depth_m.shape)
    noisy = replace(frame, depth_m=(frame.depth_m + noise_m).astype(np.float32))
    options = VerifyOptions(SearchOptions(), GENEROUS, search_doubtful=search_doubtful)
    found = verify([observed(model, noisy)], T[None], options)
    assert found.certificate.status == "ambiguous"
    assert len(found.certificate.alternatives) >= 2


def test_a_hypothesis_a_little_off_is_refined_without_a_search(box):
    T = tilted_pose() @ retract(torch.tensor([0.004, -0.003, 0.002, 0.05, 0.03, -0.04]))
    found = verified(box, T, search_doubtful=False)
    assert add_m(box, found.T_cam_obj[None], tilted_pose())[0] < 0.002


def test_what_could_slide_is_certified_by_hypotheses_alone_only_if_clear(box, monkeypatch):
    """A pose that could have slid and hardly beats another is not certified without a search."""
    one = observed(box, rendered_frame(box, tilted_pose()))
    options = VerifyOptions(SearchOptions(), CertificateOptions())
    monkeypatch.setattr(verify_module, "sliding_poses", lambda model, cloud, T, lengths: T)
    clear = verify_module.certify_hypotheses(one, tilted_pose()[None], options)
    assert clear.certificate.status == "certified"
    assert clear.certificate.margin >= verify_module.CLEAR_MARGIN
    monkeypatch.setattr(verify_module, "CLEAR_MARGIN", clear.certificate.margin + 1e-6)
    doubtful = verify_module.certify_hypotheses(one, tilted_pose()[None], options)
    assert (doubtful.certificate.status, doubtful.certificate.reason) == (
        "rejected",
        verify_module.NOT_SEARCHED,
    )
    assert verified(box, tilted_pose(), search_doubtful=True).certificate.status == "certified"


def test_hypotheses_that_need_no_search(box):
    """Certified as with a search; where they lead nowhere, not certified."""
    one = observed(box, rendered_frame(box, tilted_pose()))
    options = VerifyOptions(SearchOptions(), CertificateOptions())
    right, wrong = (
        verify_module.certify_hypotheses(one, T[None], options) for T in (tilted_pose(), lying_wrong())
    )
    assert (right.certificate.status, right.certificate.source) == ("certified", "hypotheses")
    assert wrong.certificate.status != "certified"


@pytest.mark.parametrize(("turned", "searches"), [(0.0, 0), (1.0, 1)])
def test_what_only_the_images_border_leaves_open_is_not_searched(box, monkeypatch, turned, searches):
    """A right pose that is cut off is as good as it gets; a wrong one may be another's."""
    calls = []
    monkeypatch.setattr(
        verify_module, "search_observations", lambda *_: calls.append(1) or searched(box, tilted_pose())[0]
    )
    T = tilted_pose()
    T[0, 3] = 0.19
    hypothesis = T @ retract(turned * torch.tensor([0.0, 0.0, 0.0, 1.1, 0.5, 0.0]))
    options = VerifyOptions(SearchOptions(), CertificateOptions())
    found = verify([observed(box, rendered_frame(box, T))], hypothesis[None], options)
    assert len(calls) == searches
    if not searches:
        assert found.certificate.status == "rejected"
        assert "of the predicted silhouette is outside the image" in found.certificate.reason
        assert add_m(box, found.T_cam_obj[None], T)[0] < 0.003


def searched(box, *starts: torch.Tensor):
    """What searches found that ended at these poses, refined."""
    one = observed(box, rendered_frame(box, tilted_pose()))
    return [(one, refine_candidates(one, T[None], SearchOptions())) for T in starts]


def with_hypotheses(box, found, T: torch.Tensor, **changes):
    options = VerifyOptions(SearchOptions(), replace(CertificateOptions(), **changes))
    return verify_module.certify_with_hypotheses(found, T, lambda pose: True, options)


def test_a_hypothesis_joins_what_the_search_missed(box):
    found = with_hypotheses(box, searched(box, lying_wrong()), tilted_pose()[None])
    assert add_m(box, found.T_cam_obj[None], tilted_pose())[0] < 0.002
    assert (found.certificate.status, found.certificate.source) == ("certified", "hypotheses")


def test_wrong_hypotheses_change_nothing(box):
    """They compete, and lose: the pose is the search's, and its own measures are what they were."""
    found = searched(box, tilted_pose())
    alone = verify_module.certify_after_searches(
        found, lambda pose: True, SearchOptions(), CertificateOptions()
    )
    joined = with_hypotheses(box, found, torch.stack([lying_wrong(), lying_wrong() @ lying_wrong()]))
    assert (joined.certificate.status, joined.certificate.source) == ("certified", "search")
    torch.testing.assert_close(joined.T_cam_obj, alone.T_cam_obj)
    assert joined.terms.total == pytest.approx(alone.terms.total, abs=1e-6)


def test_all_is_searched_that_would_be_without_hypotheses(box):
    """The first search is not enough and the second is: a third is not asked for, with hypotheses or without."""
    wrong, right, never = searched(box, lying_wrong(), tilted_pose(), tilted_pose())
    asked = []

    def searches():
        for index, one in enumerate((wrong, right, never)):
            asked.append(index)
            yield one

    def is_enough(pose) -> bool:
        return add_m(box, pose.T_cam_obj[None], tilted_pose())[0] < 0.002

    options = VerifyOptions(SearchOptions(), CertificateOptions())
    found = verify_module.certify_with_hypotheses(searches(), tilted_pose()[None], is_enough, options)
    assert asked == [0, 1]
    assert found.certificate.source == "search"


@pytest.mark.parametrize(
    ("alone_is", "better", "expected"),
    [
        ("certified", False, ("rejected", verify_module.CONTRADICTED, "search")),
        ("ambiguous", False, ("ambiguous", "", "search")),
        ("certified", True, ("certified", "", "hypotheses")),
    ],
)
def test_another_pose_is_only_taken_where_it_fits_better(box, monkeypatch, alone_is, better, expected):
    """What the evidence prefers but fits less does not move the pose, and takes its certificate."""
    found = searched(box, tilted_pose())
    alone = verify_module.certify_after_searches(
        found, lambda pose: True, SearchOptions(), CertificateOptions()
    )
    alone = replace(alone, certificate=replace(alone.certificate, status=alone_is))
    total = alone.terms.total + (0.1 if better else -0.1)
    other = replace(alone, T_cam_obj=lying_wrong(), terms=replace(alone.terms, total=total))
    other = replace(other, certificate=replace(other.certificate, status="certified"))
    monkeypatch.setattr(
        verify_module,
        "certified_in_turn",
        lambda searches, *_: (pose for _, pose in zip(searches, (alone, other), strict=True)),
    )
    taken = with_hypotheses(box, found, lying_wrong()[None])
    assert (taken.certificate.status, taken.certificate.reason, taken.certificate.source) == expected
    torch.testing.assert_close(taken.T_cam_obj, lying_wrong() if better else alone.T_cam_obj)
