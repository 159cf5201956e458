"""Objects of any size: the same scene, object and noise `factor` times as large, has the pose `factor` times as far."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import rendered_frame, tilted_pose
from labeling.hand_made_calibration import GENEROUS
from labeling.test_refine import add_m
from selfpose6d.labeling.annotate import AnnotateOptions, find_pose
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
