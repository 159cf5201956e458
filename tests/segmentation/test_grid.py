"""A frame on the grid: sizes, what stands for what, and that what the network sees is of the object, not the camera."""

import numpy as np
import pytest
import torch

from selfpose6d.segmentation.grid import CHANNELS, grid_image, network_input, on_grid, to_image
from selfpose6d.types import Frame

K = np.array([[1000.0, 0, 320], [0, 1000.0, 240], [0, 0, 1]])
SLOPES, RELIEF, SCALE, KNOWN = slice(3, 5), 5, 6, 7


def frame(height: int, width: int, depth_m: float = 1.0) -> Frame:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Frame("test", 0, 0, rgb, np.full((height, width), depth_m), K, ())


def seen_of(depth_m: np.ndarray, focal_px: float = 500.0) -> torch.Tensor:
    depth = torch.from_numpy(depth_m.astype(np.float32))[None]
    return network_input(torch.full((1, 3, *depth_m.shape), 0.5), depth, torch.tensor([focal_px]))[0]


@pytest.mark.parametrize(
    ("height", "width", "step"), [(480, 640, 2), (720, 1280, 4), (241, 321, 2), (64, 48, 1), (640, 480, 2)]
)
def test_any_image_fits_the_grid_and_a_mask_comes_back_in_its_size(height, width, step):
    seen = grid_image(frame(height, width))
    assert seen.step_px == step
    assert seen.rgb.shape[:2] == seen.depth_m.shape == (-(-height // step), -(-width // step))
    assert max(seen.depth_m.shape) <= 320
    assert seen.focal_px == K[0, 0] / step
    assert (seen.depth_m == 1).all()
    mask = to_image(np.ones(seen.depth_m.shape, np.float32), 0.5, step, step // 2, (height, width))
    assert mask.shape == (height, width)
    assert mask.all()


def test_a_mask_lies_where_the_pixels_are_that_it_was_made_of():
    """Places are every fourth pixel from the fourth on; drawn, each lies in the middle of its own mask."""
    spacing_px, first_px = 4, 3
    score = np.zeros((30, 40), np.float32)
    score[10:16, 20:30] = 1
    rows, columns = np.nonzero(to_image(score, 0.5, spacing_px, first_px, (120, 160)))
    assert abs(rows.mean() - (first_px + spacing_px * 12.5)) <= 0.5
    assert abs(columns.mean() - (first_px + spacing_px * 24.5)) <= 0.5
    assert abs(len(np.unique(rows)) - 6 * spacing_px) <= 1


def test_the_grid_holds_mean_colours_and_the_middle_pixel_of_depth():
    one = frame(4 * 320, 4 * 320)
    assert np.abs(grid_image(one).rgb[5, 7] - one.rgb[20:24, 28:32].mean((0, 1))).max() <= 1
    assert on_grid(np.arange(16).reshape(4, 4), 2).tolist() == [[5, 7], [13, 15]]


def test_the_input_is_of_the_surface_and_not_of_the_camera():
    column = np.broadcast_to(np.arange(80) - 40.0, (64, 80))
    inside = (slice(10, -10), slice(30, -30))
    for focal_px, distance_m in ((500.0, 1.0), (250.0, 1.0), (500.0, 2.0)):
        # the plane z = distance + 0.5 x
        seen = seen_of(distance_m / (1 - 0.5 * column / focal_px), focal_px)
        assert np.abs(seen[3][inside] - np.tanh(0.5)).max() < 1e-2
        assert seen[4][inside].abs().max() < 1e-3
    # twice as far, by a lens twice as long: things are as large in the image
    one, other = (seen_of(np.full((64, 80), z), f) for z, f in ((1.0, 500.0), (2.0, 1000.0)))
    assert torch.allclose(one[SCALE], other[SCALE], atol=1e-3)
    assert torch.allclose(
        one[SCALE][inside] - seen_of(np.full((64, 80), 2.0))[SCALE][inside], -torch.tensor(2.0).log()
    )


def test_what_has_no_depth_gives_no_shape_and_nothing_is_ever_infinite():
    depth = np.full((48, 64), 0.8)
    depth[10:30, 20:40] = 0
    seen = seen_of(depth)
    assert len(seen) == CHANNELS
    hole = seen[:, 18:22, 28:32]
    assert (hole[3:] == 0).all()
    assert (seen[:3] == 0).all()  # grey
    assert seen_of(np.zeros((32, 32))).isfinite().all()
    assert seen_of(np.full((32, 32), 1e-3)).isfinite().all()


def test_what_stands_out_of_its_surroundings_has_relief():
    depth = np.full((96, 96), 1.0)
    depth[40:56, 40:56] = 0.95
    seen = seen_of(depth)
    assert seen[RELIEF, 48, 48] > 0.5
    assert abs(float(seen[RELIEF, 4, 4])) < 0.05
