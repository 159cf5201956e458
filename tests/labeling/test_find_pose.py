"""Objects of any size: the same scene, object and noise `factor` times as large, has the pose `factor` times as far."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import rendered_frame, tilted_pose
from labeling.hand_made_calibration import GENEROUS
from labeling.test_refine import add_m
from selfpose6d.geometry.se3 import retract
from selfpose6d.labeling import annotate as annotate_module
from selfpose6d.labeling.annotate import AnnotateOptions, Proposed, annotate, find_pose
from selfpose6d.labeling.certificate import CertifiedPose
from selfpose6d.labeling.observation import ObservedFrame
from selfpose6d.objects.variants import scaled_model
from selfpose6d.types import Frame

NOISE_M = 0.001


def found_at(box, factor: float, noise_m: float | None) -> CertifiedPose:
    frame = rendered_frame(box, tilted_pose())
    white = np.random.default_rng(0).normal(size=frame.depth_m.shape)
    depth_m = (factor * (frame.depth_m + NOISE_M * white)).astype(np.float32)
    frame: Frame = replace(frame, depth_m=depth_m)
    options = AnnotateOptions(certificate=GENEROUS)
    seen, model = ObservedFrame.of(frame, noise_m), scaled_model(box, factor)
    found = find_pose(seen, frame.instances[0], model, options)
    assert isinstance(found, CertifiedPose)
    return found


@pytest.fixture(scope="module")
def as_it_is(box) -> CertifiedPose:
    return found_at(box, 1.0, NOISE_M)


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_the_pose_scales_with_object_and_noise(box, as_it_is, factor):
    found = found_at(box, factor, factor * NOISE_M)
    T, expected = found.T_cam_obj, as_it_is.T_cam_obj
    torch.testing.assert_close(T[:3, :3], expected[:3, :3], atol=0.01, rtol=0)
    torch.testing.assert_close(T[:3, 3] / factor, expected[:3, 3], atol=0.002, rtol=0)
    assert found.certificate.status == as_it_is.certificate.status == "certified"
    for name in ("coverage", "free", "colour", "inlier_ratio", "explained", "visible", "sharpness"):
        ours, theirs = getattr(found.terms, name), getattr(as_it_is.terms, name)
        assert ours == pytest.approx(theirs, abs=0.02), name


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_the_pose_is_right_by_the_noise_that_the_frame_shows(box, factor):
    found = found_at(box, factor, None)
    model, true = scaled_model(box, factor), tilted_pose()
    true[:3, 3] *= factor
    assert add_m(model, found.T_cam_obj[None], true)[0] < 0.01 * model.diameter_m
    assert found.certificate.status == "certified"


@pytest.fixture
def searches(monkeypatch) -> list:
    """One entry for every search."""
    calls, search = [], annotate_module.search_observations

    def counted(*arguments):
        calls.append(len(calls))
        return search(*arguments)

    monkeypatch.setattr(annotate_module, "search_observations", counted)
    return calls


@pytest.mark.parametrize(
    ("off_rad", "search_all", "searched"), [(0.05, False, 0), (0.05, True, 1), (1.2, False, 1)]
)
def test_proposals_that_lead_to_a_certified_pose_need_no_search(box, searches, off_rad, search_all, searched):
    """Unless all is asked to be searched; those that lead nowhere are searched as without them."""
    frame = rendered_frame(box, tilted_pose())
    T = tilted_pose() @ retract(torch.tensor([0.002, 0.0, 0.0, off_rad, off_rad / 2, 0.0]))
    options = AnnotateOptions(attempts=1)
    proposed = Proposed(T[None], search_all)
    found = find_pose(ObservedFrame.of(frame, NOISE_M), frame.instances[0], box, options, proposed)
    assert isinstance(found, CertifiedPose)
    assert len(searches) == searched
    assert found.certificate.status == "certified"
    assert found.certificate.source == ("search" if searched else "hypotheses")
    assert add_m(box, found.T_cam_obj[None], tilted_pose())[0] < 0.002


def test_only_instances_with_proposals_are_spared_a_search(box, searches):
    frame = rendered_frame(box, tilted_pose())
    key = frame.instances[0].key
    options = AnnotateOptions(attempts=1)
    for proposals, searched in (({key: tilted_pose()[None]}, 0), ({}, 1)):
        searches.clear()
        (label,) = annotate(frame, {key.obj_id: box}, options, proposals)
        assert label.certificate.status == "certified"
        assert len(searches) == searched
