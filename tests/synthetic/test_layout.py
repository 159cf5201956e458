"""Arrangements: things rest on the table, apart from each other."""

import numpy as np
import pytest
from scipy.spatial import KDTree
from stocks import builtin_stock

from selfpose6d.synthetic.cameras import K_YCB_VIDEO, all_around
from selfpose6d.synthetic.compose import compose
from selfpose6d.synthetic.layout import (
    add_occluder,
    arrange_single_upright,
    arrange_tabletop,
    footprint,
    overlaps,
)
from selfpose6d.synthetic.stock import Stock


@pytest.fixture(scope="module")
def stock() -> Stock:
    return builtin_stock(tuple(range(1, 9)))


def vertices_world_m(stock: Stock, mesh_index: int, T_world_obj: np.ndarray) -> np.ndarray:
    start, stop = stock.packed.vertex_start[mesh_index : mesh_index + 2].tolist()
    return stock.packed.vertices_m[start:stop].numpy() @ T_world_obj[:3, :3].T + T_world_obj[:3, 3]


def test_overlap_of_squares() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    assert overlaps(square, [square + np.array([0.9, 0.2])])
    assert overlaps(square, [square * 0.2 + 0.4]), "one inside the other"
    assert not overlaps(square, [square + np.array([1.1, 0])])
    diamond = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]], np.float64) * 0.5
    assert not overlaps(square, [diamond + 1.3]), "boxes overlap, outlines do not"
    assert not overlaps(square, [])


@pytest.mark.parametrize("seed", range(4))
def test_everything_stands_on_the_table_and_nothing_touches(stock: Stock, seed: int) -> None:
    arrangement = arrange_tabletop(stock, np.random.default_rng(seed))
    assert 3 <= arrangement.labelled <= 6
    assert (
        len({thing.mesh_index for thing in arrangement.placed[: arrangement.labelled]})
        == arrangement.labelled
    )
    clouds = [vertices_world_m(stock, thing.mesh_index, thing.T_world_obj) for thing in arrangement.placed]
    for index, cloud in enumerate(clouds):
        assert cloud[:, 2].min() == pytest.approx(0, abs=1e-6)
        assert np.abs(cloud[:, :2]).max() < 0.5
        for other in clouds[:index]:
            assert KDTree(other).query(cloud)[0].min() > 0.001


def test_footprint_holds_every_vertex(stock: Stock) -> None:
    thing = arrange_tabletop(stock, np.random.default_rng(7)).placed[0]
    outline = footprint(stock, thing).astype(float)
    edges = np.roll(outline, -1, axis=0) - outline
    ground = vertices_world_m(stock, thing.mesh_index, thing.T_world_obj)[:, :2]
    to_point = ground[:, None] - outline
    side = edges[:, 0] * to_point[..., 1] - edges[:, 1] * to_point[..., 0]
    assert (side * np.sign(np.median(side)) > -1e-6).all()


def test_single_box_stands_upright(stock: Stock) -> None:
    arrangement = arrange_single_upright(stock, np.random.default_rng(0))
    (box,) = arrangement.placed
    np.testing.assert_allclose(box.T_world_obj[2, :3], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(box.T_world_obj[:3, 3], [0, 0, 0.105], atol=1e-6)


def test_occluders_hide_up_to_half(stock: Stock) -> None:
    generator = np.random.default_rng(0)
    arrangement = arrange_single_upright(stock, generator)
    hidden = []
    for T_cam_world in all_around(range(8), arrangement.centre_m, generator):
        shown = add_occluder(stock, arrangement, T_cam_world, K_YCB_VIDEO, generator)
        before = compose(stock, arrangement.placed, T_cam_world, K_YCB_VIDEO, 480, 640)
        after = compose(stock, shown.placed, T_cam_world, K_YCB_VIDEO, 480, 640)
        hidden.append(1 - (after.owner == 0).sum() / (before.owner == 0).sum())
    assert max(hidden) <= 0.52
    assert np.mean(np.array(hidden) > 0.08) > 0.6
