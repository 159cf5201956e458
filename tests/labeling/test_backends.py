"""The compiled back ends of scoring and refinement agree with their references in torch."""

from dataclasses import replace

import pytest
import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from labeling.test_refine import perturbed
from selfpose6d.labeling.candidates import Candidates, RenderedCandidates, render_candidates
from selfpose6d.labeling.detail import high_pass
from selfpose6d.labeling.residuals import rendered_system
from selfpose6d.labeling.score import ScoreWeights, score


@pytest.fixture(params=["coarse", "fine"])
def rendered(request, box) -> RenderedCandidates:
    """Perturbed poses before one of the crops."""
    frame = rendered_frame(box, tilted_pose())
    frame.depth_m[100:120, 150:160] = 0
    T = perturbed(box, tilted_pose(), torch.Generator().manual_seed(0), distance_m=0.02, angle_rad=0.3)
    return render_candidates(Candidates(box, getattr(observed(box, frame), request.param), T))


@pytest.mark.parametrize("size", [32, 64, 128])
def test_high_pass(size):
    generator = torch.Generator().manual_seed(size)
    lab = 100 * torch.rand(3, size, size, 3, generator=generator)
    mask = torch.rand(3, size, size, generator=generator) > 0.4
    mask[0, : size // 3], mask[1, :, -size // 4 :], mask[2] = False, False, False
    torch.testing.assert_close(
        high_pass(lab, mask, "numba"), high_pass(lab, mask, "torch"), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("with_colour", [True, False])
def test_score(rendered, with_colour):
    rendered = rendered if with_colour else replace(rendered, detail=None)
    compiled, reference = (score(rendered, ScoreWeights(), backend) for backend in ("numba", "torch"))
    for name, expected in vars(reference).items():
        torch.testing.assert_close(getattr(compiled, name), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("with_colour", [True, False])
def test_normal_equations(rendered, with_colour):
    shift = score(rendered, ScoreWeights()).shift if with_colour else None
    compiled, reference = (rendered_system(rendered, shift, backend) for backend in ("numba", "torch"))
    for got, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-3)


def test_without_colour_a_shift_changes_nothing(rendered):
    plain, shift = replace(rendered, detail=None), score(rendered, ScoreWeights()).shift
    for backend in ("numba", "torch"):
        for got, expected in zip(
            rendered_system(plain, shift, backend), rendered_system(plain, None, backend), strict=True
        ):
            assert torch.equal(got, expected)


def test_a_crop_without_mask_has_finite_equations(rendered):
    crop = rendered.crop
    empty = replace(crop, mask=torch.zeros_like(crop.mask), inner=torch.zeros_like(crop.inner))
    unmasked = replace(rendered, candidates=replace(rendered.candidates, crop=empty))
    for backend in ("numba", "torch"):
        for value in rendered_system(unmasked, None, backend):
            assert torch.isfinite(value).all()


def test_a_pose_outside_the_crop_has_nothing_to_say(rendered):
    T = rendered.candidates.T_cam_obj.clone()
    T[:, 0, 3] += 5.0
    away = render_candidates(rendered.candidates.at(T))
    scores = score(away, ScoreWeights())
    assert not away.covered.any()
    assert (scores.total == 0).all()
    H, g = rendered_system(away, scores.shift)
    assert (H == 0).all()
    assert (g == 0).all()
