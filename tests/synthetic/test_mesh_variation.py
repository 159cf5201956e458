"""Meshes that differ from the real object as models do."""

import numpy as np
import pytest

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.synthetic.mesh_variation import mismatched, scaled


@pytest.fixture(scope="module")
def box() -> Mesh:
    return CATALOGUE[1].mesh()


def test_scaled_meshes_keep_everything_but_their_size(box: Mesh) -> None:
    small = scaled(box, 0.25)
    assert small.diameter_m == pytest.approx(0.25 * box.diameter_m, rel=1e-5)
    assert small.texture is box.texture
    np.testing.assert_allclose(small.vertices_m, 0.25 * box.vertices_m, atol=1e-7)


def test_mismatch_follows_the_generator(box: Mesh) -> None:
    one, same, other = (mismatched(box, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.content_hash == same.content_hash
    assert one.content_hash != other.content_hash
    assert np.array_equal(one.faces, box.faces)


def test_mismatch_is_a_percent_or_so_in_shape(box: Mesh) -> None:
    scales, moves = [], []
    for seed in range(60):
        moved = mismatched(box, np.random.default_rng(seed)).vertices_m.astype(float)
        scales.append(np.linalg.norm(moved.std(axis=0)) / np.linalg.norm(box.vertices_m.std(axis=0)))
        moves.append(np.linalg.norm(moved - box.vertices_m, axis=1).max() / box.diameter_m)
    assert np.mean(scales) == pytest.approx(1, abs=0.005)
    assert 0.004 < np.std(scales) < 0.015
    assert max(moves) < 0.01 + 3 * 0.007 / 2 + 0.002
    assert 0.002 < np.median(moves) < 0.012


def test_colours_change_a_little_with_and_without_texture(box: Mesh) -> None:
    assert box.texture is not None
    for mesh in (
        box,
        Mesh(
            box.vertices_m, box.faces, vertex_rgb=np.full((len(box.vertices_m), 3), (200, 60, 40), np.uint8)
        ),
    ):
        before = mesh.texture if mesh.texture is not None else mesh.vertex_rgb
        changes = []
        for seed in range(8):
            changed = mismatched(mesh, np.random.default_rng(seed))
            after = changed.texture if mesh.texture is not None else changed.vertex_rgb
            assert before is not None
            assert after is not None
            assert after.shape == before.shape
            changes.append(np.abs(after.astype(int) - before).mean())
        assert max(changes) > 3
        assert max(changes) < 60
    plain = mismatched(Mesh(box.vertices_m, box.faces), np.random.default_rng(0))
    assert not plain.has_colour
