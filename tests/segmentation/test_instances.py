"""Instances from scores and votes: equal objects that touch come apart, a large one stays one, specks are none."""

import numpy as np

from selfpose6d.segmentation.instances import MIN_PLACES, split_instances

ROWS, COLUMNS = 60, 80
WIDTH_M = np.full((ROWS, COLUMNS), 0.004)
DIAMETERS_M = (0.12, 0.2)


def scene(*discs: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and votes of discs (class, row, column, radius), the later ones in front."""
    row, column = np.mgrid[:ROWS, :COLUMNS]
    label, votes = np.zeros((ROWS, COLUMNS), int), np.zeros((2, ROWS, COLUMNS))
    for one, at_row, at_column, radius in discs:
        inside = (row - at_row) ** 2 + (column - at_column) ** 2 <= radius**2
        label[inside] = one
        votes[0][inside], votes[1][inside] = (at_column - column)[inside], (at_row - row)[inside]
    probability = np.where(np.arange(3)[:, None, None] == label, 0.9, 0.05)
    noise = np.random.default_rng(0).normal(0, 1, votes.shape)
    return probability, votes + noise * (label > 0)


def split(*discs: tuple[int, int, int, int]) -> list:
    return split_instances(*scene(*discs), WIDTH_M, DIAMETERS_M)


def test_two_equal_objects_that_touch_are_two():
    found = split((1, 30, 25, 12), (1, 30, 49, 12))
    assert [one.label for one in found] == [1, 1]
    left, right = sorted(found, key=lambda one: np.nonzero(one.own)[1].mean())
    assert np.nonzero(left.own)[1].max() <= 38
    assert np.nonzero(right.own)[1].min() >= 36
    assert abs(left.score - 0.9) < 1e-6


def test_a_large_object_whose_votes_scatter_is_one():
    probability, votes = scene((2, 30, 40, 24))
    votes[0] += 4 * np.sign(votes[0])  # two heaps, 8 places apart; the object is 50 wide
    found = split_instances(probability, votes, WIDTH_M, DIAMETERS_M)
    assert len(found) == 1
    assert (found[0].own > 0).sum() > 1700


def test_objects_are_told_apart_by_their_class_where_they_overlap():
    found = split((1, 30, 36, 12), (2, 30, 46, 12))
    assert sorted(one.label for one in found) == [1, 2]
    assert not ((found[0].own > 0) & (found[1].own > 0)).any()


def test_specks_and_what_nobody_believes_in_are_none():
    assert split((1, 30, 40, 1)) == []
    probability, votes = scene((1, 30, 40, 12))
    weak = np.where(probability > 0.5, 0.29, 0.28)
    assert split_instances(weak, votes, WIDTH_M, DIAMETERS_M) == []
    # near by, an object of 20 cm is 200 places wide: so few of them are a speck
    near = np.full((ROWS, COLUMNS), 0.001)
    assert (scene((2, 30, 40, 5))[0][2] > 0.5).sum() > MIN_PLACES
    assert split_instances(*scene((2, 30, 40, 5)), near, DIAMETERS_M) == []


def test_without_any_depth_there_is_no_instance():
    assert split_instances(*scene((1, 30, 40, 12)), np.zeros((ROWS, COLUMNS)), DIAMETERS_M) == []
    half = WIDTH_M * (np.arange(COLUMNS) > 40)
    assert len(split_instances(*scene((1, 30, 40, 12)), half, DIAMETERS_M)) == 1


def test_nothing_is_seen_where_all_is_background():
    assert split() == []
