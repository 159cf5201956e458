"""Nearest model point by voxel grid: small cases by hand, KD-tree as the oracle."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from selfpose6d.errors import MeshError
from selfpose6d.geometry.nearest import build_nearest_grid, nearest_index, stack_nearest_grids

FIRST_MODEL = torch.zeros(1, dtype=torch.int64)


def random_samples_m(seed: int, count: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((count, 3)) * (0.2, 0.1, 0.05)).astype(np.float32)


def test_two_points_split_the_grid_in_the_middle():
    points_m = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    grid = build_nearest_grid(points_m, points_m, cells=8, margin=0.0)
    queries = torch.tensor([[[0.1, 0, 0], [0.4, 0.3, -0.3], [0.6, 0, 0], [0.9, 0, 0.4]]])
    assert nearest_index(grid, FIRST_MODEL, queries).tolist() == [[0, 0, 1, 1]]


def test_cells_and_origin_by_hand():
    """Extent 1 m, margin 0.5 m on each side: a cube of 2 m in 4 cells, first centre a quarter metre inside."""
    points_m = np.array([[0, 0, 0], [1, 0.5, 0]], np.float32)
    grid = build_nearest_grid(points_m, points_m, cells=4, margin=0.5)
    assert grid.cell_m.tolist() == [0.5]
    torch.testing.assert_close(grid.origin_m, torch.tensor([[-0.25, -0.5, -0.75]]))


def test_points_outside_are_looked_up_at_the_border():
    points_m = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    grid = build_nearest_grid(points_m, points_m, cells=8)
    far = torch.tensor([[[-100.0, 3, 0], [50.0, 0, -9]]])
    assert nearest_index(grid, FIRST_MODEL, far).tolist() == [[0, 1]]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_the_sample_found_is_at_most_a_cell_diagonal_farther_than_the_nearest(seed, count):
    """The voxel's centre is half a diagonal from the query, once on the way there and once back."""
    points_m = random_samples_m(seed, count)
    grid = build_nearest_grid(points_m, points_m, cells=16)
    low, cell_m = grid.origin_m[0].numpy(), float(grid.cell_m[0])
    queries = low + np.random.default_rng(seed + 1).random((200, 3)).astype(np.float32) * 15 * cell_m
    found = nearest_index(grid, FIRST_MODEL, torch.from_numpy(queries)[None])[0].numpy()
    exact_m, _ = KDTree(points_m).query(queries)
    found_m = np.linalg.norm(points_m[found] - queries, axis=1)
    assert (found_m <= exact_m + np.sqrt(3) * cell_m + 1e-6).all()


def test_at_voxel_centres_the_grid_is_exact():
    points_m = random_samples_m(3, 100)
    grid = build_nearest_grid(points_m, points_m, cells=12)
    axes = [grid.origin_m[0, d] + grid.cell_m[0] * torch.arange(12) for d in range(3)]
    centres = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(1, -1, 3)
    _, exact = KDTree(points_m).query(centres[0].numpy())
    assert (nearest_index(grid, FIRST_MODEL, centres)[0].numpy() == exact).mean() > 0.999


def test_on_average_the_grid_loses_less_than_half_a_cell():
    points_m = random_samples_m(4, 2000)
    grid = build_nearest_grid(points_m, points_m, cells=64)
    queries = random_samples_m(5, 500) + np.float32(0.004)
    found = nearest_index(grid, FIRST_MODEL, torch.from_numpy(queries)[None])[0].numpy()
    exact_m, _ = KDTree(points_m).query(queries)
    found_m = np.linalg.norm(points_m[found] - queries, axis=1)
    assert found_m.mean() < exact_m.mean() + 0.5 * float(grid.cell_m[0])


def test_stacked_grids_answer_like_single_ones():
    singles = [
        build_nearest_grid(p, p, cells=8) for p in (random_samples_m(6, 30), 3 * random_samples_m(7, 30))
    ]
    both = stack_nearest_grids(singles)
    queries = torch.rand(3, 20, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    model = torch.tensor([1, 0, 1])
    found = nearest_index(both, model, queries)
    for i, m in enumerate(model.tolist()):
        assert torch.equal(found[i], nearest_index(singles[m], FIRST_MODEL, queries[i : i + 1])[0])


def test_indices_stay_small_while_they_can():
    small = build_nearest_grid(random_samples_m(8, 32_767), random_samples_m(8, 32_767), cells=2)
    large = build_nearest_grid(random_samples_m(8, 32_768), random_samples_m(8, 32_768), cells=2)
    assert small.nearest.dtype == torch.int16
    assert large.nearest.dtype == torch.int32
    assert small.nearest.min() >= 0


def test_moving_to_a_device_keeps_every_field():
    grid = build_nearest_grid(random_samples_m(9, 10), random_samples_m(10, 10), cells=4)
    moved = grid.to("cpu")
    assert all(torch.equal(getattr(moved, name), value) for name, value in grid._asdict().items())


def test_grids_of_different_sizes_cannot_be_stacked():
    grids = [build_nearest_grid(random_samples_m(n, 10), random_samples_m(n, 10), cells=n) for n in (4, 8)]
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        stack_nearest_grids(grids)


def test_samples_without_extent_are_refused():
    with pytest.raises(MeshError, match="extent"):
        build_nearest_grid(np.ones((5, 3), np.float32), np.ones((5, 3), np.float32), cells=4)
