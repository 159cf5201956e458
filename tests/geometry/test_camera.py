"""Pinhole camera: hand-computed pixels, round trips, and crops that keep every projection."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from selfpose6d.geometry.camera import CropBox, back_project, crop_intrinsics, project

K = torch.tensor([[100.0, 0, 2], [0, 200, 1], [0, 0, 1]], dtype=torch.float64)
K_SKEWED = torch.tensor([[100.0, 7, 2], [0, 200, 1], [0, 0, 1]], dtype=torch.float64)


def random_points_m(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points_m = torch.rand(*shape, 3, generator=generator, dtype=torch.float64) - 0.5
    points_m[..., 2] += 1.0
    return points_m


def test_a_point_on_the_axis_projects_to_the_principal_point():
    assert project(torch.tensor([[0.0, 0, 3]], dtype=torch.float64), K).tolist() == [[2, 1]]


def test_pixels_computed_by_hand():
    """Half a metre right at 2 m: 100 * 0.25 px; a quarter up: 200 * 0.125 px."""
    points_cam_m = torch.tensor([[0.5, -0.25, 2.0]], dtype=torch.float64)
    assert project(points_cam_m, K).tolist() == [[27, -24]]


def test_back_projection_computed_by_hand():
    depth_m = torch.tensor([[0.0, 0, 2.0, 1.0], [0, 4.0, 0, 0]], dtype=torch.float64)
    points = back_project(depth_m, K)
    torch.testing.assert_close(points[0, 3], torch.tensor([0.01, -0.005, 1.0], dtype=torch.float64))
    torch.testing.assert_close(points[1, 1], torch.tensor([-0.04, 0.0, 4.0], dtype=torch.float64))


def test_unknown_depth_gives_the_origin():
    assert back_project(torch.zeros(2, 3), K.float()).abs().max() == 0


@pytest.mark.parametrize("camera", [K, K_SKEWED], ids=["plain", "skewed"])
def test_back_projected_pixels_project_onto_their_integer_coordinates(camera):
    depth_m = 0.5 + torch.rand(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    uv_px = project(back_project(depth_m, camera).reshape(-1, 3), camera).reshape(5, 7, 2)
    v, u = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    torch.testing.assert_close(uv_px, torch.stack([u, v], -1).double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_any_batch_shape_equals_single_images_and_keeps_the_dtype(batch, dtype):
    generator = torch.Generator().manual_seed(2)
    depth_m = torch.rand(*batch, 4, 5, generator=generator, dtype=dtype)
    zoom = 1 + torch.rand(*batch, 1, 1, generator=generator, dtype=dtype)
    cameras = zoom * K.to(dtype)
    points = back_project(depth_m, cameras)
    assert points.dtype == dtype
    assert points.shape == (*batch, 4, 5, 3)
    last = tuple(n - 1 for n in batch)
    torch.testing.assert_close(points[last], back_project(depth_m[last], cameras[last]))


def test_one_camera_serves_a_batch_of_clouds():
    points_m = random_points_m(3, 4, 6)
    torch.testing.assert_close(project(points_m, K[None])[2], project(points_m[2], K))


def test_projection_has_the_right_gradient():
    assert torch.autograd.gradcheck(lambda p: project(p, K), random_points_m(4, 3).requires_grad_())


def test_a_crop_of_the_same_size_only_shifts_the_principal_point():
    shifted = crop_intrinsics(K, CropBox(left_px=10.0, top_px=-4.0, side_px=8.0), 8)
    torch.testing.assert_close(
        shifted, torch.tensor([[100.0, 0, -8], [0, 200, 5], [0, 0, 1]], dtype=torch.float64)
    )


def test_two_pixels_become_one_whose_centre_lies_between_them():
    """Pixels 0 and 1 have their common centre at 0.5, which is pixel 0 of the halved image."""
    half = crop_intrinsics(K, CropBox(0.0, 0.0, side_px=4.0), 2)
    uv_px = project(torch.tensor([[-0.015, -0.0025, 1.0]], dtype=torch.float64), K)
    assert uv_px.tolist() == [[0.5, 0.5]]
    torch.testing.assert_close(
        project(torch.tensor([[-0.015, -0.0025, 1.0]], dtype=torch.float64), half),
        torch.zeros(1, 2, dtype=torch.float64),
    )


@given(st.floats(-50, 600), st.floats(-50, 400), st.floats(4, 300), st.integers(8, 256), st.integers(0, 99))
def test_a_crop_moves_every_projection_with_the_image(left_px, top_px, side_px, crop_px, seed):
    """The area from the box's edge keeps its fraction of the side: (u + 0.5 - left) / side = (u' + 0.5) / crop."""
    points_m = random_points_m(seed, 6)
    before = project(points_m, K_SKEWED)
    after = project(points_m, crop_intrinsics(K_SKEWED, CropBox(left_px, top_px, side_px), crop_px))
    corner = torch.tensor([left_px, top_px], dtype=torch.float64)
    torch.testing.assert_close((after + 0.5) / crop_px, (before + 0.5 - corner) / side_px)


def test_crop_intrinsics_batches_and_keeps_the_dtype():
    cameras = torch.stack([K, K_SKEWED]).float()
    cropped = crop_intrinsics(cameras, CropBox(3.0, 5.0, 20.0), 64)
    assert cropped.dtype == torch.float32
    torch.testing.assert_close(cropped[1], crop_intrinsics(cameras[1], CropBox(3.0, 5.0, 20.0), 64))


def test_a_camera_of_the_wrong_shape_is_refused():
    with pytest.raises(TypeCheckError, match="project"):
        project(random_points_m(0, 4), K[:2])
