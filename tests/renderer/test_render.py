"""Rendering: depth against analytic planes, coverage by supersampling, pictures that add up."""

import numpy as np
import pytest
import roma
import torch
from drawn_meshes import AT_ORIGIN, FIRST, camera, coloured, poses_ahead, sheet, soup, textured_sheet
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render

BACKENDS = ("torch", "numba")


def ahead(z_m: float = 1.0) -> torch.Tensor:
    T = AT_ORIGIN.clone()
    T[0, 2, 3] = z_m
    return T


@settings(max_examples=25)
@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(0.5, 3.0), st.sampled_from([1, 2, 3]))
def test_depth_of_a_tilted_plane_is_where_the_ray_meets_it(tilt_x_rad, tilt_y_rad, z_m, supersample):
    """Plane n . p = n . t; the ray of pixel (u, v) meets it at z = n . t / n . ((u - cx) / f, (v - cy) / f, 1)."""
    x_axis, y_axis = torch.eye(3)[0], torch.eye(3)[1]
    R = roma.rotvec_to_rotmat(tilt_x_rad * x_axis) @ roma.rotvec_to_rotmat(tilt_y_rad * y_axis)
    T = ahead(z_m)
    T[0, :3, :3] = R
    image = render(
        PosedMeshes(pack_meshes([sheet(2, side_m=1.0)]), FIRST, T, camera(50, 9.5, 7.5), 16, 20), supersample
    )
    v, u = torch.meshgrid(torch.arange(16.0), torch.arange(20.0), indexing="ij")
    rays = torch.stack([(u - 9.5) / 50, (v - 7.5) / 50, torch.ones_like(u)], -1)
    expected_m = (R[:, 2] @ T[0, :3, 3]) / (rays @ R[:, 2])
    full = image.mask[0] == 1
    assert full.any()
    # within a supersampled pixel the samples' mean differs from the centre's depth by second order only
    tolerance_m = 1e-4 if supersample == 1 else 4e-3
    torch.testing.assert_close(image.depth_m[0][full], expected_m[full], atol=tolerance_m, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_coverage_by_hand(backend):
    """A square from pixel -0.5 to 2.0 on both axes: pixel 2 is covered by half, its corner by a quarter."""
    K = camera(10, 0.75, 0.75)
    image = render(
        PosedMeshes(pack_meshes([sheet(1, side_m=0.25)]), FIRST, ahead(), K, 4, 4),
        supersample=2,
        backend=backend,
    )
    expected = torch.tensor([[1, 1, 0.5, 0], [1, 1, 0.5, 0], [0.5, 0.5, 0.25, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(image.mask[0], expected)
    torch.testing.assert_close(image.rgb[0, ..., 0], 0.5 * expected)
    torch.testing.assert_close(image.depth_m[0], expected)
    torch.testing.assert_close(image.surface_depth_m[0], (expected > 0).float())


def test_background_is_zero_everywhere():
    for supersample in (1, 2):
        image = render(
            PosedMeshes(pack_meshes([sheet(1, side_m=0.1)]), FIRST, ahead(), camera(20, 7, 7), 16, 16),
            supersample,
        )
        empty = image.mask == 0
        assert empty.any()
        assert (image.depth_m[empty] == 0).all()
        assert (image.rgb[empty] == 0).all()


def test_more_samples_come_closer_to_the_true_area():
    """A sheet of 20 x 20 px rotated by 0.4 rad: 400 px."""
    T = ahead()
    T[0, :3, :3] = roma.rotvec_to_rotmat(0.4 * torch.eye(3)[2])
    packed, K = pack_meshes([sheet(1, side_m=0.2)]), camera(100, 15.3, 15.8)
    area_px = [render(PosedMeshes(packed, FIRST, T, K, 32, 32), s).mask.sum().item() for s in (1, 2, 4, 8)]
    assert area_px[3] == pytest.approx(400, abs=0.5)
    assert abs(area_px[3] - 400) <= abs(area_px[0] - 400)


@pytest.mark.parametrize("backend", BACKENDS)
def test_supersampling_is_the_mean_of_a_finer_picture(backend):
    """The finer camera has its pixel centres around those of the coarse one."""
    packed, T = pack_meshes([coloured(soup(1, 40, 0.1), 2)]), poses_ahead(1, 3)
    K, fine_K = camera(40, 12, 9), camera(120, 3 * 12 + 1, 3 * 9 + 1)
    coarse = render(PosedMeshes(packed, FIRST, T, K, 20, 24), 3, backend)
    fine = render(PosedMeshes(packed, FIRST, T, fine_K, 60, 72), 1, backend)
    mean_rgb = fine.rgb.reshape(1, 20, 3, 24, 3, 3).mean((2, 4))
    torch.testing.assert_close(coarse.rgb, mean_rgb, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        coarse.mask, fine.mask.reshape(1, 20, 3, 24, 3).mean((2, 4)), atol=1e-6, rtol=0
    )


def test_back_ends_give_the_same_picture():
    texture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    packed = pack_meshes([textured_sheet(texture, 0.3), coloured(soup(4, 100, 0.1), 5), soup(6, 50, 0.1)])
    arguments = (
        packed,
        torch.tensor([2, 0, 1]),
        poses_ahead(3, 7),
        camera(60, 23, 17).repeat(3, 1, 1),
        36,
        48,
    )
    reference, fast = (render(PosedMeshes(*arguments), 2, backend) for backend in BACKENDS)
    for name in ("rgb", "mask", "depth_m"):
        torch.testing.assert_close(getattr(reference, name), getattr(fast, name), atol=1e-4, rtol=0)


def test_far_away_a_texture_shows_its_mean():
    """A chess board of single texels is grey from afar, not the colour of whichever texel is hit."""
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[(np.indices((64, 64)).sum(0) % 2).astype(bool)] = 200
    image = render(
        PosedMeshes(pack_meshes([textured_sheet(texture)]), FIRST, ahead(2.0), camera(16, 7.5, 7.5), 16, 16)
    )
    torch.testing.assert_close(image.rgb[image.mask > 0] * 255, torch.full((64, 3), 100.0), atol=0.5, rtol=0)


def test_moving_the_object_right_moves_the_picture_right():
    packed, K, right = pack_meshes([coloured(sheet(4, 0.33), 9)]), camera(50, 17.3, 15.2), ahead()
    right[0, 0, 3] = 0.1
    image, moved = (render(PosedMeshes(packed, FIRST, T, K, 30, 40)) for T in (ahead(), right))
    torch.testing.assert_close(moved.mask[..., 5:], image.mask[..., :-5])
    torch.testing.assert_close(moved.rgb[..., 5:, :], image.rgb[..., :-5, :], atol=1e-4, rtol=0)


def test_the_cameras_given_are_not_changed():
    K = camera(20, 7, 7)
    before = K.clone()
    render(PosedMeshes(pack_meshes([sheet(1)]), FIRST, ahead(), K, 8, 8), supersample=4)
    assert torch.equal(K, before)
