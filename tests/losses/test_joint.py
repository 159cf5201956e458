"""The joint loss: the weighted sum, occlusion, meshes without colour, nothing rendered."""

import numpy as np
import pytest
import torch

from selfpose6d.errors import UsageError
from selfpose6d.geometry.nearest import build_nearest_grid
from selfpose6d.losses.joint import JointLossOptions, ObservedImages, joint_loss, known_pixels
from selfpose6d.types import Rendering

POINTS = np.random.default_rng(0).normal(size=(50, 3)) * 0.03
GRID = build_nearest_grid(POINTS, np.tile([0.0, 0.0, 1.0], (50, 1)), cells=16)
FIRST = torch.zeros(1, dtype=torch.long)


def observed_images(mask: torch.Tensor, depth_m: torch.Tensor) -> ObservedImages:
    ab = torch.zeros(1, 4, 4, 2)
    ab[..., 0] = 7.0
    return ObservedImages(
        ab, mask, depth_m, torch.from_numpy(POINTS).float()[None] + torch.tensor([0, 0, 0.003])
    )


def rendering(mask: torch.Tensor, depth_m: float = 0.5) -> Rendering:
    lab = torch.zeros(1, 4, 4, 3)
    lab[..., 1] = 10.0 * mask
    lab[..., 0] = 50.0
    return Rendering(lab, mask, depth_m * mask)


def columns(*which: int) -> torch.Tensor:
    mask = torch.zeros(1, 4, 4)
    mask[..., list(which)] = 1
    return mask


def loss(observed: ObservedImages, rendered: Rendering, options: JointLossOptions, has_colour: bool = True):
    return joint_loss(
        observed, rendered, torch.eye(4)[None], GRID, FIRST, torch.tensor([has_colour]), options
    )


def test_the_sum_by_hand():
    options = JointLossOptions(colour=0.5, iou=2.0, geometry=1000.0, window_px=0)
    observed = observed_images(columns(0, 1).bool(), torch.full((1, 4, 4), 0.5))
    terms = loss(observed, rendering(columns(1, 2)), options)
    # a: 7 against 0 in column 0, 7 against 10 in column 1, 0 against 10 in column 2, both ways
    assert terms.colour.item() == pytest.approx(2 * (7 + 3 + 10) / 4)
    assert terms.iou.item() == pytest.approx(1 - 1 / 3)
    assert terms.geometry.item() == pytest.approx(0.003**2, rel=0.2)
    expected = 0.5 * terms.colour + 2.0 * terms.iou + 1000.0 * terms.geometry
    torch.testing.assert_close(terms.total, expected)


def test_an_occluder_beside_the_mask_is_unknown_in_the_aware_form_only():
    depth_m = torch.full((1, 4, 4), 0.8)
    depth_m[..., 2] = 0.3
    observed = observed_images(columns(0, 1).bool(), depth_m)
    rendered = rendering(columns(0, 1, 2))
    aware, literal = (
        loss(observed, rendered, JointLossOptions(window_px=0, occlusion_aware=aware))
        for aware in (True, False)
    )
    assert aware.iou.item() == 0.0
    assert literal.iou.item() == pytest.approx(1 / 3)
    assert aware.colour.item() == pytest.approx(2 * (3 + 3) / 4)
    assert literal.colour.item() == pytest.approx(2 * (3 + 3 + 10) / 4)


def test_what_is_known_pixel_by_pixel():
    mask = torch.tensor([[[True, False, False, False, False]]])
    depth_m = torch.tensor([[[0.2, 0.2, 0.9, 0.0, 0.0]]])
    rendered_m = torch.tensor([[[0.5, 0.5, 0.5, 0.5, 0.0]]])
    # in the mask; an occluder; seen past; no depth; nothing rendered
    assert known_pixels(mask, depth_m, rendered_m).tolist() == [[[True, False, True, False, True]]]


def test_a_mesh_without_colours_has_no_colour_term():
    observed = observed_images(columns(0, 1).bool(), torch.full((1, 4, 4), 0.5))
    terms = loss(observed, rendering(columns(1, 2)), JointLossOptions(), has_colour=False)
    assert terms.colour.item() == 0.0
    torch.testing.assert_close(terms.total, 0.1 * terms.iou + terms.geometry)


def test_nothing_rendered_is_finite():
    observed = observed_images(columns(0, 1).bool(), torch.full((1, 4, 4), 0.5))
    terms = loss(observed, rendering(columns()), JointLossOptions())
    assert terms.iou.item() == 1.0
    assert all(torch.isfinite(term).all() for term in vars(terms).values())


def test_nonsense_is_refused():
    with pytest.raises(UsageError, match="0 or more"):
        JointLossOptions(iou=-1.0)
