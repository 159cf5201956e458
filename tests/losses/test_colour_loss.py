"""The colour loss: hand-computed windows, symmetry of roles, gradients, an oracle that looks at every pair."""

import pytest
import torch

from selfpose6d.losses.colour import colour_loss, nearest_colours


def image(*pixels: tuple[int, int, float, float], size: int = 5) -> torch.Tensor:
    """(1, size, size, 2), zero but for (row, column, a, b)."""
    picture = torch.zeros(1, size, size, 2, dtype=torch.float64)
    for row, column, a, b in pixels:
        picture[0, row, column] = torch.tensor([a, b], dtype=torch.float64)
    return picture


FULL = torch.ones(1, 5, 5, dtype=torch.float64)


def test_one_pixel_that_is_elsewhere_by_hand():
    camera, rendered = image((2, 2, 3.0, 4.0)), image((2, 4, 3.0, 4.0))
    # within the window of 2 each coloured pixel finds the other, and each grey pixel a grey one
    assert colour_loss(camera, rendered, FULL, 2).item() == 0.0
    # without a window the pixels (2, 2) and (2, 4) differ by 5, in both directions
    assert colour_loss(camera, rendered, FULL, 0).item() == pytest.approx(4 * 5.0 / 25)
    # a window of 1 is too small for the coloured pixels, and large enough for the grey ones
    assert colour_loss(camera, rendered, FULL, 1).item() == pytest.approx(2 * 5.0 / 25)


def test_colours_outside_the_mask_are_zero():
    camera, rendered = image((1, 1, 6.0, 8.0)), image((3, 3, 60.0, 80.0))
    only_camera = torch.zeros_like(FULL)
    only_camera[0, 1, 1] = 1
    camera[0, 0, 0] = 50.0
    assert colour_loss(camera, 0 * rendered, only_camera, 0).item() == pytest.approx(2 * 10.0 / 25)


def test_unknown_pixels_do_not_count():
    camera, rendered = image((2, 2, 3.0, 4.0)), image()
    known = torch.ones(1, 5, 5, dtype=torch.bool)
    assert colour_loss(camera, rendered, FULL, 0, known).item() == pytest.approx(2 * 5.0 / 25)
    known[0, 2, 2] = False
    assert colour_loss(camera, rendered, FULL, 0, known).item() == 0.0


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("window_px", [0, 1, 2, 4])
def test_the_window_agrees_with_looking_at_every_pair(window_px, backend):
    generator = torch.Generator().manual_seed(window_px)
    camera, rendered = torch.randn(2, 2, 7, 6, 2, generator=generator, dtype=torch.float64).unbind(0)
    row, column = torch.meshgrid(torch.arange(7), torch.arange(6), indexing="ij")
    pixel = torch.stack([row, column], -1).reshape(-1, 2)
    apart = (pixel[:, None] - pixel[None]).abs().amax(-1) > window_px
    distance = torch.cdist(camera.flatten(1, 2), rendered.flatten(1, 2)).masked_fill(apart, torch.inf)
    at_rendered, at_camera = nearest_colours(camera, rendered, window_px, backend)
    assert torch.equal(at_rendered.flatten(1), distance.argmin(2))
    assert torch.equal(at_camera.flatten(1), distance.argmin(1))
    full = torch.ones(2, 7, 6, dtype=torch.float64)
    expected = (distance.amin(2) + distance.amin(1)).mean(1)
    torch.testing.assert_close(colour_loss(camera, rendered, full, window_px), expected)


def test_of_equal_colours_both_back_ends_take_the_same():
    generator = torch.Generator().manual_seed(0)
    camera, rendered = torch.randint(-2, 3, (2, 3, 12, 12, 2), generator=generator).float()
    for found, expected in zip(
        nearest_colours(camera, rendered, 2, "numba"),
        nearest_colours(camera, rendered, 2, "torch"),
        strict=True,
    ):
        assert torch.equal(found, expected)


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    camera, rendered = (10 * torch.randn(2, 1, 4, 4, 2, generator=generator, dtype=torch.float64)).unbind(0)
    mask = torch.rand(1, 4, 4, generator=generator, dtype=torch.float64)

    def loss(rendered):
        return colour_loss(camera, rendered, mask, 1)

    assert torch.autograd.gradcheck(loss, (rendered.requires_grad_(),))


def test_equal_images_have_a_finite_gradient():
    camera = torch.rand(1, 5, 5, 2, dtype=torch.float64)
    rendered = camera.clone().requires_grad_()
    loss = colour_loss(camera, rendered, FULL, 2)
    loss.sum().backward()
    assert loss.item() == 0.0
    assert rendered.grad is not None
    assert torch.equal(rendered.grad, torch.zeros_like(rendered))
