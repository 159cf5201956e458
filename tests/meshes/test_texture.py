"""Texture lookup and coordinates outside the unit square."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_meshes import BLUE, FOUR_COLOURS, GREEN, RED, SQUARE_FACES, SQUARE_UV, WHITE

from selfpose6d.meshes.sampling import corner_to_vertex_rgb, sample_texture
from selfpose6d.meshes.tiles import MAX_TEXELS, unwrap_tiles


def test_texel_centres_and_the_middle() -> None:
    uv = np.array([[0.25, 0.75], [0.75, 0.75], [0.25, 0.25], [0.75, 0.25], [0.5, 0.5]], np.float32)
    rgb = sample_texture(FOUR_COLOURS, uv)
    assert rgb[:4].tolist() == [list(map(float, colour)) for colour in (RED, GREEN, BLUE, WHITE)]
    np.testing.assert_allclose(rgb[4], FOUR_COLOURS.reshape(-1, 3).mean(axis=0))


@given(st.floats(-3, 4), st.floats(-3, 4))
def test_lookup_outside_is_the_border(u: float, v: float) -> None:
    inside = np.clip(np.array([[u, v]], np.float32), 0, 1)
    np.testing.assert_array_equal(
        sample_texture(FOUR_COLOURS, np.array([[u, v]], np.float32)), sample_texture(FOUR_COLOURS, inside)
    )


def test_unit_square_is_left_alone() -> None:
    texture, uv = unwrap_tiles(FOUR_COLOURS, SQUARE_UV[SQUARE_FACES])
    assert texture is FOUR_COLOURS
    assert np.array_equal(uv, SQUARE_UV[SQUARE_FACES])


def test_repeating_texture_is_laid_out() -> None:
    corner_uv = (SQUARE_UV * (3, 2) + (5, -7))[SQUARE_FACES].astype(np.float32)
    texture, uv = unwrap_tiles(FOUR_COLOURS, corner_uv)
    assert texture.shape == (4, 6, 3)
    assert uv.min() == 0
    assert uv.max() == 1
    inner = np.array([[0.25 / 3, 1 - 0.25 / 2]], np.float32)
    assert sample_texture(texture, inner)[0].tolist() == list(map(float, RED))


def test_faces_in_other_tiles_move_into_the_first() -> None:
    corner_uv = np.stack([SQUARE_UV[SQUARE_FACES[0]], SQUARE_UV[SQUARE_FACES[1]] + 4]).astype(np.float32)
    texture, uv = unwrap_tiles(FOUR_COLOURS, corner_uv)
    assert texture.shape == (2, 2, 3)
    np.testing.assert_allclose(uv, SQUARE_UV[SQUARE_FACES], atol=1e-6)


def test_vertex_colour_is_the_mean_over_its_corners() -> None:
    corner_uv = np.array([[[0.25, 0.75]] * 3, [[0.75, 0.25]] * 3], np.float32)
    rgb = corner_to_vertex_rgb(FOUR_COLOURS, corner_uv, SQUARE_FACES, 5)
    assert rgb[1].tolist() == list(RED)
    assert rgb[3].tolist() == list(WHITE)
    assert rgb[0].tolist() == [255, 128, 128]
    assert rgb[4].tolist() == [128, 128, 128], "an unused vertex is grey"


@pytest.mark.parametrize("wrap", ["repeat", "mirror", "clamp"])
def test_laid_out_textures_show_what_the_rule_says(wrap: str) -> None:
    """Against the rule for one texel at a time; the face spans -1.5 to 2.5 both ways."""
    corner_uv = np.array([[[-1.5, -1.5], [2.5, -1.5], [-1.5, 2.5]]], np.float32)
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    texture, uv = unwrap_tiles(picture, corner_uv, (wrap, wrap))  # pyright: ignore[reportArgumentType]
    weights = np.random.default_rng(1).dirichlet(np.ones(3), 200)
    at, laid_out = weights @ corner_uv[0].astype(np.float64), weights @ uv[0].astype(np.float64)
    expected = [picture[texel(1 - v, 4, wrap), texel(u, 6, wrap)] for u, v in at]
    rows, columns = texture.shape[:2]
    found = texture[((1 - laid_out[:, 1]) * rows).astype(int), (laid_out[:, 0] * columns).astype(int)]
    # a point on the border of two texels may fall into either
    assert (found == expected).all(axis=1).mean() > 0.98


def texel(coordinate: float, count: int, wrap: str) -> int:
    """The texel along one axis, by the definition of the wrap mode."""
    period = int(np.floor(coordinate))
    within = coordinate - period
    if wrap == "mirror" and period % 2:
        within = 1 - within
    if wrap == "clamp":
        within = min(max(coordinate, 0.0), 1.0)
    return min(int(within * count), count - 1)


def test_a_tiled_texture_stays_within_memory() -> None:
    corner_uv = np.array([[[0, 0], [50, 0], [0, 50]]], np.float32)
    texture, _ = unwrap_tiles(np.zeros((4096, 4096, 3), np.uint8), corner_uv)
    assert texture.shape[0] * texture.shape[1] <= MAX_TEXELS
