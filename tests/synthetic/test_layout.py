"""Arrangements: objects rest on the table, apart from each other."""

import numpy as np
import pytest
from builtin_scenes import builtin_assets
from scipy.spatial import KDTree

from selfpose6d.synthetic.cameras import K_YCB_VIDEO, all_around
from selfpose6d.synthetic.compose import compose
from selfpose6d.synthetic.layout import (
    add_occluder,
    arrange_single_upright,
    arrange_tabletop,
    footprint,
    overlaps,
)
from selfpose6d.synthetic.scene_assets import SceneAssets


@pytest.fixture(scope="module")
def assets() -> SceneAssets:
    return builtin_assets(tuple(range(1, 9)))


def vertices_world_m(assets: SceneAssets, mesh_index: int, T_world_obj: np.ndarray) -> np.ndarray:
    start, stop = assets.packed.vertex_start[mesh_index : mesh_index + 2].tolist()
    return assets.packed.vertices_m[start:stop].numpy() @ T_world_obj[:3, :3].T + T_world_obj[:3, 3]


def test_overlap_of_squares() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    assert overlaps(square, [square + np.array([0.9, 0.2])])
    assert overlaps(square, [square * 0.2 + 0.4]), "one inside the other"
    assert not overlaps(square, [square + np.array([1.1, 0])])
    diamond = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]], np.float64) * 0.5
    assert not overlaps(square, [diamond + 1.3]), "boxes overlap, outlines do not"
    assert not overlaps(square, [])


@pytest.mark.parametrize("seed", range(4))
def test_everything_stands_on_the_table_and_nothing_touches(assets: SceneAssets, seed: int) -> None:
    arrangement = arrange_tabletop(assets, np.random.default_rng(seed))
    assert 3 <= arrangement.labelled <= 6
    assert (
        len({item.mesh_index for item in arrangement.placed[: arrangement.labelled]}) == arrangement.labelled
    )
    clouds = [vertices_world_m(assets, item.mesh_index, item.T_world_obj) for item in arrangement.placed]
    for index, cloud in enumerate(clouds):
        assert cloud[:, 2].min() == pytest.approx(0, abs=1e-6)
        assert np.abs(cloud[:, :2]).max() < 0.5
        for other in clouds[:index]:
            assert KDTree(other).query(cloud)[0].min() > 0.001


def test_footprint_holds_every_vertex(assets: SceneAssets) -> None:
    item = arrange_tabletop(assets, np.random.default_rng(7)).placed[0]
    outline = footprint(assets, item).astype(float)
    edges = np.roll(outline, -1, axis=0) - outline
    ground = vertices_world_m(assets, item.mesh_index, item.T_world_obj)[:, :2]
    to_point = ground[:, None] - outline
    side = edges[:, 0] * to_point[..., 1] - edges[:, 1] * to_point[..., 0]
    assert (side * np.sign(np.median(side)) > -1e-6).all()


def test_single_box_stands_upright(assets: SceneAssets) -> None:
    arrangement = arrange_single_upright(assets, np.random.default_rng(0))
    (box,) = arrangement.placed
    np.testing.assert_allclose(box.T_world_obj[2, :3], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(box.T_world_obj[:3, 3], [0, 0, 0.105], atol=1e-6)


def test_occluders_hide_up_to_half(assets: SceneAssets) -> None:
    generator = np.random.default_rng(0)
    arrangement = arrange_single_upright(assets, generator)
    hidden = []
    for T_cam_world in all_around(range(8), arrangement.centre_m, generator):
        shown = add_occluder(assets, arrangement, T_cam_world, K_YCB_VIDEO, generator)
        before = compose(assets, arrangement.placed, T_cam_world, K_YCB_VIDEO, 480, 640)
        after = compose(assets, shown.placed, T_cam_world, K_YCB_VIDEO, 480, 640)
        hidden.append(1 - (after.owner == 0).sum() / (before.owner == 0).sum())
    assert max(hidden) <= 0.52
    assert np.mean(np.array(hidden) > 0.08) > 0.6
