"""Packing: where each mesh's parts lie, mip levels, texel density."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_meshes import coloured, sheet, textured_sheet

from selfpose6d.renderer.packed import MIP_LEVELS, pack_meshes

TEXTURE = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)


def test_meshes_lie_end_to_end():
    packed = pack_meshes([sheet(1), sheet(2), sheet(1)])
    assert len(packed) == 3
    assert packed.vertex_start.tolist() == [0, 4, 13, 17]
    assert packed.face_start.tolist() == [0, 2, 10, 12]
    assert packed.faces[:2].max() == 3
    assert packed.faces[2:10].min() == 4
    assert packed.faces[2:10].max() == 12


def test_faces_keep_their_corners():
    packed = pack_meshes([sheet(1), sheet(3, z_m=0.2)])
    np.testing.assert_array_equal(packed.vertices_m[packed.faces[2:]].numpy(), sheet(3, z_m=0.2).triangles_m)


def test_mip_levels_halve_until_one_texel_high():
    packed = pack_meshes([textured_sheet(TEXTURE)])
    assert packed.texture_size[0].tolist() == [[4, 8], [2, 4], [1, 2], [1, 2], [1, 2], [1, 2]]
    assert packed.texture_start[0].tolist() == [0, 32, 40, 42, 44, 46]
    assert packed.texels.shape == (48, 3)


def test_each_mip_texel_is_the_mean_of_four():
    packed = pack_meshes([textured_sheet(TEXTURE)])
    fine = packed.texels[:32].reshape(4, 8, 3)
    coarse = packed.texels[32:40].reshape(2, 4, 3)
    torch.testing.assert_close(coarse[1, 2], fine[2:4, 4:6].reshape(4, 3).mean(0))
    torch.testing.assert_close(packed.texels[40:42].mean(0), fine.reshape(-1, 3).mean(0))


def test_colour_is_grey_where_there_is_none():
    packed = pack_meshes([sheet(1), coloured(sheet(1), 0), textured_sheet(TEXTURE)])
    assert packed.has_colour == (False, True, True)
    assert (packed.vertex_rgb[:4] == 0.5).all()
    expected = coloured(sheet(1), 0).vertex_rgb
    assert expected is not None
    np.testing.assert_allclose(packed.vertex_rgb[4:8].numpy(), expected / 255.0, rtol=1e-6)
    assert packed.texture_size[:2].abs().sum() == 0
    assert packed.texture_size.shape == (3, MIP_LEVELS, 2)


def test_a_white_or_grey_all_over_is_rendered_but_is_no_colour():
    grey = replace(sheet(1), vertex_rgb=np.full((4, 3), 204, np.uint8))
    packed = pack_meshes([grey, textured_sheet(np.full((4, 4, 3), 255, np.uint8))])
    assert packed.has_colour == (False, False)
    assert (packed.vertex_rgb[:4] == np.float32(204 / 255)).all()


def test_texels_per_metre_by_hand():
    """32 texels on a square of 2 m: sqrt(32 / 4) a metre; shown three times across, three times as dense."""
    packed = pack_meshes([textured_sheet(TEXTURE, 2.0), textured_sheet(TEXTURE, 2.0, repeats=3), sheet(1)])
    assert packed.texels_per_m.tolist() == pytest.approx([np.sqrt(8), 3 * np.sqrt(8), 0])


def test_face_normals_follow_the_winding():
    packed = pack_meshes([sheet(2)])
    torch.testing.assert_close(packed.face_normals(), torch.tensor([[0.0, 0, 1]]).expand(8, 3))


def test_moving_to_a_device_keeps_everything():
    packed = pack_meshes([textured_sheet(TEXTURE)])
    moved = packed.to("cpu")
    assert moved.has_colour == packed.has_colour
    assert torch.equal(moved.texels, packed.texels)


def test_levels_of_detail_with_one_texture_share_it():
    fine, other = textured_sheet(TEXTURE), textured_sheet(TEXTURE[::-1].copy())
    packed = pack_meshes(
        [fine, sheet(1), other, replace(fine, faces=fine.faces[:1], corner_uv=fine.corner_uv[:1])]
    )
    assert packed.texels.shape == (96, 3)
    assert packed.texture_start[0].tolist() == packed.texture_start[3].tolist()
    assert packed.texture_size[:, 0].tolist() == [[4, 8], [0, 0], [4, 8], [4, 8]]
    start = packed.texture_start[2, 0]
    torch.testing.assert_close(packed.texels[start : start + 8], packed.texels[24:32])
