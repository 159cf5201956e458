"""The compiled back ends of scoring and refinement agree with their references in torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import rendered_frame, tilted_pose
from labeling.test_refine import disturbed
from selfpose6d.labeling.annotate import view_instance
from selfpose6d.labeling.detail import high_pass
from selfpose6d.labeling.observation import visible_cloud
from selfpose6d.labeling.refine import look
from selfpose6d.labeling.residuals import outside_distance, rendered_system
from selfpose6d.labeling.score import ScoreWeights, score
from selfpose6d.labeling.search import SearchOptions


@pytest.fixture(params=[True, False], ids=["coarse", "fine"])
def seen(request, box):
    """(observed crop, disturbed poses, what they look like)."""
    frame = rendered_frame(box, tilted_pose())
    frame.depth_m[100:120, 150:160] = 0
    cloud = visible_cloud(frame, frame.instances[0], box.diameter_m, 200, np.random.default_rng(0))
    view = view_instance(frame, frame.instances[0], cloud, SearchOptions())
    observed = view.coarse if request.param else view.fine
    T = disturbed(box, tilted_pose(), torch.Generator().manual_seed(0), distance_m=0.02, angle_rad=0.3)
    return observed, T, look(box, observed, T, coarse=request.param)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_high_pass(size):
    generator = torch.Generator().manual_seed(size)
    lab = 100 * torch.rand(3, size, size, 3, generator=generator)
    mask = torch.rand(3, size, size, generator=generator) > 0.4
    mask[0, : size // 3], mask[1, :, -size // 4 :], mask[2] = False, False, False
    torch.testing.assert_close(
        high_pass(lab, mask, "numba"), high_pass(lab, mask, "torch"), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("has_colour", [True, False])
def test_score(seen, has_colour):
    observed, _, view = seen
    compiled, reference = (score(observed, view, ScoreWeights(), has_colour, b) for b in ("numba", "torch"))
    for name, expected in vars(reference).items():
        torch.testing.assert_close(getattr(compiled, name), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("with_colour", [True, False])
def test_normal_equations(box, seen, with_colour):
    observed, T, view = seen
    centre = T[:, :3, :3] @ box.centre_m + T[:, :3, 3]
    shift = score(observed, view, ScoreWeights(), True).shift if with_colour else None
    compiled, reference = (
        rendered_system(box, observed, view, T, centre, outside_distance(observed.crop.mask), shift, backend)
        for backend in ("numba", "torch")
    )
    for got, expected in zip(compiled, reference, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-3)


def test_a_crop_without_mask_has_finite_equations(box, seen):
    observed, T, view = seen
    crop = replace(observed.crop, mask=torch.zeros_like(observed.crop.mask))
    empty = replace(observed, crop=crop, inner=torch.zeros_like(observed.inner))
    for backend in ("numba", "torch"):
        for value in rendered_system(
            box, empty, view, T, T[:, :3, 3], outside_distance(crop.mask), None, backend
        ):
            assert torch.isfinite(value).all()


def test_a_pose_outside_the_crop_has_nothing_to_say(box, seen):
    observed, T, _ = seen
    T = T.clone()
    T[:, 0, 3] += 5.0
    view = look(box, observed, T, coarse=False)
    scores = score(observed, view, ScoreWeights(), True)
    assert not view.covered.any()
    assert (scores.total == 0).all()
    H, g = rendered_system(
        box, observed, view, T, T[:, :3, 3], outside_distance(observed.crop.mask), scores.shift
    )
    assert (H == 0).all()
    assert (g == 0).all()
