"""RGB to LAB: published values, OpenCV as the oracle, gradients down to black."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError

from selfpose6d.geometry.colour import rgb_to_lab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (100, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((0.5, 0.5, 0.5), (53.39, 0, 0)),
    ],
)
def test_published_values(rgb, lab):
    torch.testing.assert_close(
        rgb_to_lab(torch.tensor(rgb) * 1.0), torch.tensor(lab) * 1.0, atol=0.02, rtol=0
    )


@given(arrays(np.float32, (5, 3), elements=st.floats(0, 1, width=32)))
def test_agrees_with_opencv(rgb):
    expected = cv2.cvtColor(rgb[None], cv2.COLOR_RGB2LAB)[0]
    # its tables: dark greens are off by 0.70 at most, among 7 million colours
    np.testing.assert_allclose(rgb_to_lab(torch.from_numpy(rgb)).numpy(), expected, atol=0.8)


@given(st.floats(0, 1))
def test_grey_has_no_colour_and_lightness_rises(grey):
    lab = rgb_to_lab(torch.tensor([[grey] * 3, [min(grey + 0.01, 1.0)] * 3], dtype=torch.float64))
    assert lab[:, 1:].abs().max() < 1e-3
    assert lab[1, 0] >= lab[0, 0]


def test_has_the_right_gradient_in_both_branches():
    rgb = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rgb[:10] *= 0.03
    assert torch.autograd.gradcheck(rgb_to_lab, rgb.requires_grad_())


@pytest.mark.parametrize("grey", [0.0, 1.0])
def test_the_gradient_is_finite_at_the_ends(grey):
    rgb = torch.full((3,), grey, requires_grad=True)
    rgb_to_lab(rgb).sum().backward()
    assert rgb.grad is not None
    assert rgb.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_and_dtypes_pass_through(dtype):
    image = torch.rand(2, 4, 5, 3, generator=torch.Generator().manual_seed(1), dtype=dtype)
    lab = rgb_to_lab(image)
    assert lab.dtype == dtype
    torch.testing.assert_close(lab[1, 2, 3], rgb_to_lab(image[1, 2, 3]))


def test_four_channels_are_refused():
    with pytest.raises(TypeCheckError, match="rgb_to_lab"):
        rgb_to_lab(torch.zeros(5, 4))
