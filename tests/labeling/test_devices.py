"""Devices follow inputs: nothing that labelling makes lands on the ambient device."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from selfpose6d.backend import runs_numba
from selfpose6d.labeling import detail, residuals, score
from selfpose6d.labeling.annotate import AnnotateOptions, annotate
from selfpose6d.labeling.certificate import CertificateOptions
from selfpose6d.labeling.search import SearchOptions
from selfpose6d.labeling.verify import VerifyOptions, verify
from selfpose6d.renderer import rasterize, shade
from selfpose6d.resolver import icp

FEW = SearchOptions(rotations=60, rendered=16, coarse_candidates=6, fine_candidates=3)


@pytest.fixture(params=["auto", "torch"])
def back_end(request, monkeypatch):
    """As on CPUs, and by the references that other devices run."""
    if request.param == "torch":
        for module in (detail, residuals, score, rasterize, shade, icp):
            monkeypatch.setattr(module, "runs_numba", lambda backend, device, *_: runs_numba("torch", device))
    return request.param


@pytest.mark.parametrize("refinement", ["gauss-newton", "joint-loss"])
def test_annotation_with_another_default_device(back_end, refinement, box):
    """Tensors on `meta` hold nothing: one of them anywhere on the way would end in an error."""
    frame = rendered_frame(box, tilted_pose())
    options = AnnotateOptions(search=replace(FEW, refinement=refinement))
    (expected,) = annotate(frame, {1: box}, options)
    with torch.device("meta"):
        (label,) = annotate(frame, {1: box}, options)
    np.testing.assert_array_equal(label.T_cam_obj, expected.T_cam_obj)
    assert label.certificate.status == expected.certificate.status


def test_verification_and_pure_icp_with_another_default_device(back_end, box):
    frame, T = rendered_frame(box, tilted_pose()), tilted_pose()[None]
    with torch.device("meta"):
        (label,) = annotate(frame, {1: box}, AnnotateOptions(method="icp"))
        observation = observed(box, frame)
        found = verify([observation], T, VerifyOptions(FEW, CertificateOptions()))
    assert label.valid
    assert found.certificate.status == "certified"
