"""Several meshes in one, colours kept."""

import numpy as np
import pytest
from small_meshes import SQUARE_FACES, SQUARE_M, coloured_square, textured_square

from selfpose6d.meshes.merge import merge_meshes, weld
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import surface_rgb


def uniform(rgb: tuple[int, int, int]) -> Mesh:
    return Mesh(SQUARE_M, SQUARE_FACES, vertex_rgb=np.tile(np.array(rgb, np.uint8), (4, 1)))


def colours_inside(mesh: Mesh) -> np.ndarray:
    """Colours 0-255 at three inner points of every face."""
    inner = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    face = np.repeat(np.arange(len(mesh.faces)), 3)
    rgb = surface_rgb(mesh, face, np.tile(inner, (len(mesh.faces), 1)))
    assert rgb is not None
    return 255 * rgb


def test_textures_of_different_sizes_keep_their_colours() -> None:
    random = np.random.default_rng(0).integers(0, 256, (9, 5, 3), np.uint8)
    other = Mesh(SQUARE_M, SQUARE_FACES, corner_uv=textured_square().corner_uv, texture=random)
    parts = [textured_square(), other, uniform((9, 80, 200))]
    merged = merge_meshes(parts)
    assert len(merged.faces) == 6
    expected = np.concatenate([colours_inside(part) for part in parts])
    np.testing.assert_allclose(colours_inside(merged), expected, atol=0.01)


def test_varying_vertex_colours_become_texture_beside_a_texture() -> None:
    parts = [textured_square(), coloured_square()]
    expected = np.concatenate([colours_inside(part) for part in parts])
    merged = merge_meshes(parts)
    np.testing.assert_allclose(colours_inside(merged)[:6], expected[:6], atol=0.01)
    # a cell of 32 texels for two faces rounds every texel's level
    np.testing.assert_allclose(colours_inside(merged)[6:], expected[6:], atol=1)


def test_colourless_parts_stay_colourless_alone_and_grey_beside_others() -> None:
    plain = Mesh(SQUARE_M, SQUARE_FACES)
    assert not merge_meshes([plain, plain]).has_colour
    assert np.round(colours_inside(merge_meshes([plain, textured_square()]))[0]).tolist() == [128, 128, 128]


def test_weld_closes_seams_and_drops_collapsed_faces() -> None:
    vertices = SQUARE_M[[0, 1, 2, 0, 2, 3, 1]] + np.float32(1e-9)
    mesh = Mesh(
        vertices, np.array([[0, 1, 2], [3, 4, 5], [1, 6, 2]], np.int32), vertex_rgb=np.zeros((7, 3), np.uint8)
    )
    welded = weld(mesh)
    assert len(welded.vertices_m) == 4
    assert len(welded.faces) == 2
    assert welded.face_areas_m2.sum() == pytest.approx(0.01)
