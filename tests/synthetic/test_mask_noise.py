"""Degraded masks: each kind changes the mask as it says, and by as much."""

import cv2
import numpy as np
import pytest

from selfpose6d.synthetic.mask_noise import MASK_KINDS, MaskKind, degrade_mask, draw_mask_kind

SHAPE = (240, 320)


@pytest.fixture(scope="module")
def visible() -> np.ndarray:
    """A disc of 80 px diameter."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(rows - 120, columns - 150) < 40


@pytest.fixture(scope="module")
def owner(visible: np.ndarray) -> np.ndarray:
    """The disc is object 0; object 1 lies to its right, the rest is background."""
    numbers = np.full(SHAPE, -1, np.int16)
    numbers[60:180, 150:300] = 1
    numbers[visible] = 0
    return numbers


def masks(visible: np.ndarray, owner: np.ndarray, kind: MaskKind, count: int = 20) -> list[np.ndarray]:
    return [degrade_mask(visible, kind, owner, np.random.default_rng(seed)) for seed in range(count)]


def distance_px(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)


def test_exact_masks_stay(visible: np.ndarray, owner: np.ndarray) -> None:
    assert np.array_equal(degrade_mask(visible, "exact", owner, np.random.default_rng(0)), visible)


def test_eroded_masks_are_smaller_unevenly(visible: np.ndarray, owner: np.ndarray) -> None:
    lost_px = []
    for mask in masks(visible, owner, "eroded"):
        assert not (mask & ~visible).any()
        assert 0.5 * visible.sum() <= mask.sum() < visible.sum()
        depth_px = distance_px(~visible)[visible & ~mask]
        lost_px.append(depth_px.max())
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~mask
        assert distance_px(~visible)[ring & visible].std() > 0.3, "not a uniform ring"
    assert min(lost_px) >= 1
    assert max(lost_px) <= 6 * 1.8 + 1


def test_dilated_masks_hold_the_object_and_a_few_pixels_more(visible: np.ndarray, owner: np.ndarray) -> None:
    for mask in masks(visible, owner, "dilated"):
        assert (mask[visible]).all()
        assert mask.sum() > visible.sum()
        assert distance_px(visible)[mask].max() <= 6 * 1.8 + 1


def test_shifted_masks_are_the_same_shape_elsewhere(visible: np.ndarray, owner: np.ndarray) -> None:
    moves = []
    for mask in masks(visible, owner, "shifted"):
        assert mask.sum() == visible.sum()
        moved = np.mean(np.nonzero(mask), axis=1) - np.mean(np.nonzero(visible), axis=1)
        moves.append(np.linalg.norm(moved))
    assert min(moves) > 0.9
    assert max(moves) < 7.5


def test_foreign_masks_take_from_one_neighbour_and_lose_a_bite(
    visible: np.ndarray, owner: np.ndarray
) -> None:
    neighbours = set()
    for mask in masks(visible, owner, "foreign"):
        added, lost = mask & ~visible, visible & ~mask
        assert 0.02 < added.sum() / visible.sum() < 0.16
        assert 0.02 < lost.sum() / visible.sum() < 0.11
        owners = set(owner[added].tolist())
        assert len(owners) == 1, "of one surface"
        neighbours |= owners
        assert distance_px(visible)[added].min() < 2.1, "it touches the object"
    assert neighbours == {-1, 1}


def test_boxes_hold_the_object_and_are_hardly_larger(visible: np.ndarray, owner: np.ndarray) -> None:
    for mask in masks(visible, owner, "box"):
        assert mask[visible].all()
        _, _, width, height = cv2.boundingRect(mask.astype(np.uint8))
        assert mask.sum() == width * height
        assert 79 <= width <= 79 * 1.1 + 2
        assert 79 <= height <= 79 * 1.1 + 2


@pytest.mark.parametrize("kind", MASK_KINDS)
def test_small_and_cut_masks_survive_and_follow_the_generator(kind: MaskKind) -> None:
    for rows, columns in (
        (slice(3, 4), slice(5, 6)),
        (slice(0, 6), slice(0, 9)),
        (slice(230, 240), slice(0, 320)),
    ):
        small = np.zeros(SHAPE, bool)
        small[rows, columns] = True
        numbers = np.where(small, 0, -1).astype(np.int16)
        for seed in range(5):
            mask = degrade_mask(small, kind, numbers, np.random.default_rng(seed))
            assert mask.any()
            assert mask.shape == SHAPE
            assert np.array_equal(mask, degrade_mask(small, kind, numbers, np.random.default_rng(seed)))
    empty = np.zeros(SHAPE, bool)
    assert not degrade_mask(empty, kind, empty.astype(np.int16), np.random.default_rng(0)).any()


def test_kinds_are_drawn_evenly() -> None:
    generator = np.random.default_rng(0)
    drawn = [draw_mask_kind(MASK_KINDS, generator) for _ in range(600)]
    assert all(60 < drawn.count(kind) < 140 for kind in MASK_KINDS)
