"""Surface colour: bilinear lookups by hand, vertex colours, grey, mip levels, and two back ends that agree."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_meshes import (
    AT_ORIGIN,
    FIRST,
    camera,
    coloured,
    poses_ahead,
    sheet,
    soup,
    textured,
    textured_sheet,
    triangles,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.errors import UsageError
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.renderer.packed import MIP_LEVELS, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.shade import mip_levels, sample_bilinear, shade

BACKENDS = ("torch", "numba")
LEVEL_0 = torch.zeros(1, dtype=torch.int64)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
FOUR_COLOURS = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)


def picture(mesh: Mesh, pixels: int, backend: str, level: int = 0) -> torch.Tensor:
    """A sheet of 1 m, 1 m away, that just fills the image."""
    T = AT_ORIGIN.clone()
    T[0, 2, 3] = 1
    packed = pack_meshes([mesh])
    K = camera(pixels, (pixels - 1) / 2, (pixels - 1) / 2)
    posed = PosedMeshes(packed, FIRST, T, K, pixels, pixels)
    return shade(posed, rasterize(posed), backend, LEVEL_0 + level)[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_texels_the_size_of_pixels_come_out_as_they_are(backend):
    """The picture is upright: row 0 of the image file is the top, where v is 1."""
    expected = torch.from_numpy(FOUR_COLOURS / np.float32(255))
    torch.testing.assert_close(picture(textured_sheet(FOUR_COLOURS), 2, backend), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_between_texels_the_colour_is_bilinear_and_wraps(backend):
    """Four pixels over two texels lie at -0.25, 0.25, 0.75, 1.25 texels; what leaves one side enters the other."""
    texture = np.repeat(np.array([[[0], [200]]], np.uint8), 3, axis=2)
    row = picture(textured_sheet(texture), 4, backend)[1, :, 0] * 255
    torch.testing.assert_close(row, torch.tensor([50.0, 50, 150, 150]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_texture_repeats_beyond_one(backend):
    twice = picture(textured_sheet(FOUR_COLOURS, repeats=2), 4, backend)
    torch.testing.assert_close(twice[:2, :2], twice[2:, 2:], atol=1e-4, rtol=0)
    torch.testing.assert_close(
        twice[:2, :2], torch.from_numpy(FOUR_COLOURS / np.float32(255)), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_vertex_colours_mix_by_their_weights(backend):
    """Weights at pixel (3, 2) of this triangle are 1/4, 1/2, 1/4."""
    plain = triangles((0, 0, 1), (0.25, 0, 1), (0, 0.25, 1))
    mesh = Mesh(plain.vertices_m, plain.faces, vertex_rgb=np.array([RED, GREEN, BLUE], np.uint8))
    packed = pack_meshes([mesh])
    posed = PosedMeshes(packed, FIRST, AT_ORIGIN, camera(16, 1, 1), 7, 8)
    raster = rasterize(posed)
    rgb = shade(posed, raster, backend, LEVEL_0)
    torch.testing.assert_close(rgb[0, 2, 3], torch.tensor([0.25, 0.5, 0.25]))
    assert (rgb[raster.face_id < 0] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_colour_the_surface_is_grey(backend):
    torch.testing.assert_close(picture(sheet(3), 5, backend), torch.full((5, 5, 3), 0.5))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_coarser_level_is_a_coarser_picture(backend):
    """Level 1 of a 2x2 texture is its mean."""
    mean = torch.from_numpy(FOUR_COLOURS.mean((0, 1)).astype(np.float32) / 255)
    torch.testing.assert_close(
        picture(textured_sheet(FOUR_COLOURS), 3, backend, level=1), mean.expand(3, 3, 3), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    ("distance_m", "level"),
    [(0.1, 0), (1.0, 0), (1.4, 0), (1.5, 1), (4.0, 2), (8.0, 3), (1000.0, MIP_LEVELS - 1)],
)
def test_the_level_at_which_a_texel_is_a_pixel(distance_m, level):
    """100 texels a metre seen with 100 px focal length: at 1 m a texel is a pixel, at 4 m four texels are."""
    texture = np.zeros((100, 100, 3), np.uint8)
    T = AT_ORIGIN.clone()
    T[0, 2, 3] = distance_m
    packed = pack_meshes([textured_sheet(texture), sheet(1)])
    levels = mip_levels(
        PosedMeshes(packed, torch.tensor([0, 1]), T.repeat(2, 1, 1), camera(100, 0, 0).repeat(2, 1, 1), 8, 8)
    )
    assert levels.tolist() == [level, 0]


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_back_ends_agree(seed, rows, columns):
    """Textured, coloured and grey meshes mixed, every mip level, coordinates beyond 0..1."""
    meshes = [soup(seed + i, 40, 0.2) for i in range(3)]
    packed = pack_meshes([textured(meshes[0], seed, rows, columns), coloured(meshes[1], seed), meshes[2]])
    mesh_index, level = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 2, seed % MIP_LEVELS])
    K = camera(40, 15, 12).repeat(4, 1, 1)
    posed = PosedMeshes(packed, mesh_index, poses_ahead(4, seed), K, 24, 32)
    raster = rasterize(posed)
    reference, fast = (shade(posed, raster, backend, level) for backend in BACKENDS)
    torch.testing.assert_close(reference, fast, atol=1e-4, rtol=0)


def test_bilinear_lookup_by_hand():
    """Texel centres at 0.5: x = 0.75 * 2 - 0.5 = 1, y = (1 - 0.5) * 2 - 0.5 = 0.5, half upper and half lower right."""
    texels = torch.arange(4.0)[:, None].repeat(1, 3)
    colour = sample_bilinear(texels, torch.tensor([0]), torch.tensor([[2, 2]]), torch.tensor([[0.75, 0.5]]))
    torch.testing.assert_close(colour, torch.full((1, 3), 2.0))


def test_bilinear_lookup_has_the_right_gradient():
    generator = torch.Generator().manual_seed(0)
    texels = torch.rand(12, 3, generator=generator, dtype=torch.float64).requires_grad_()
    uv = torch.rand(6, 2, generator=generator, dtype=torch.float64).requires_grad_()
    start, size = torch.zeros(6, dtype=torch.int64), torch.tensor([[3, 4]]).expand(6, 2)
    assert torch.autograd.gradcheck(lambda t, c: sample_bilinear(t, start, size, c), (texels, uv))


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_images_than_poses_are_refused(backend):
    """Called past the shape checks, as without them in use."""
    one = PosedMeshes(pack_meshes([sheet(1)]), FIRST, AT_ORIGIN, camera(9, 1, 1), 4, 4)
    two = replace(
        one, mesh_index=FIRST.repeat(2), T_cam_obj=AT_ORIGIN.repeat(2, 1, 1), K=one.K.repeat(2, 1, 1)
    )
    with pytest.raises(UsageError, match="same length, got raster 2, posed 1, level 1"):
        inspect.unwrap(shade)(one, rasterize(two), backend, LEVEL_0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mip_level_that_is_not_there_is_refused(backend):
    one = PosedMeshes(pack_meshes([sheet(1)]), FIRST, AT_ORIGIN, camera(9, 1, 1), 4, 4)
    with pytest.raises(UsageError, match=f"level must be from 0 to {MIP_LEVELS - 1}, got {MIP_LEVELS}"):
        shade(one, rasterize(one), backend, LEVEL_0 + MIP_LEVELS)
