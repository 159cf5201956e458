"""Poses from fragments: found among wrong places, both of two answers kept, alike from both back ends."""

import pytest
import roma
import torch

from selfpose6d.geometry.rigid_fit import best_rotation, best_rotation_by_products
from selfpose6d.geometry.se3 import inverse, make_transform, transform_points
from selfpose6d.network.fragment_poses import (
    AT_WORK,
    IN_TRAINING,
    Witnesses,
    drawn_numbers,
    fragment_poses,
    is_repeat,
    without_repeats,
)
from selfpose6d.network.interface import Fragments

BATCH, PIXELS, COUNT, POSES = 4, 200, 32, 4
HALF_TURN = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
SURE = 8.0
"""Logit of a fragment above all others'."""


def surface(*size: int, seed: int) -> torch.Tensor:
    """Points of a box of 0.7 x 0.5 x 0.3 diameters."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(*size, 3, generator=generator) - 0.5
    side = torch.randint(0, 3, size, generator=generator)[..., None]
    points.scatter_(-1, side, points.gather(-1, side).sign() / 2)
    return points * torch.tensor([0.7, 0.5, 0.3])


CENTRE = surface(BATCH, COUNT, seed=0)


def true_poses() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    R = roma.random_rotmat(BATCH, generator=generator)
    return make_transform(R, 0.1 * torch.randn(BATCH, 3, generator=generator))


def told(places: torch.Tensor, sure: float = SURE) -> Fragments:
    """What a network says that is sure of these places."""
    nearest = (places[:, :, None] - CENTRE[:, None]).norm(dim=-1).argmin(-1)
    logit = torch.zeros(BATCH, PIXELS, COUNT + 1).scatter(2, nearest[..., None], sure)
    coordinates = CENTRE[:, None].expand(-1, PIXELS, -1, -1)
    coordinates = coordinates.scatter(2, nearest[..., None, None].expand(-1, -1, 1, 3), places[:, :, None])
    return Fragments(logit, coordinates - CENTRE[:, None], CENTRE)


def both_told(first: Fragments, second: Fragments) -> Fragments:
    """Both of two answers, the first a little likelier."""
    logit = torch.maximum(first.logit + 0.5 * (first.logit > 1), second.logit)
    is_second = (second.logit > 1)[..., :-1, None]
    return Fragments(logit, torch.where(is_second, second.offset, first.offset), CENTRE)


def angle_rad(T: torch.Tensor, T_true: torch.Tensor) -> torch.Tensor:
    return roma.rotmat_geodesic_distance(T[..., :3, :3], T_true[..., :3, :3])


def seen(T_true: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Places on the object, and the points that are measured there."""
    places = surface(BATCH, PIXELS, seed=2)
    return places, transform_points(T_true, places)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_exact_places_give_the_exact_pose(backend):
    T_true = true_poses()
    places, points = seen(T_true)
    T = fragment_poses(told(places), points, drawn_numbers(), POSES, backend=backend)
    assert T.shape == (BATCH, POSES, 4, 4)
    torch.testing.assert_close(T[:, 0], T_true, atol=1e-4, rtol=0)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_wrong_places_are_outvoted_and_what_is_not_on_the_object_is_not_asked(backend):
    T_true = true_poses()
    places, points = seen(T_true)
    spoiled = places.clone()
    spoiled[:, :80] = surface(BATCH, 80, seed=3)  # two fifths lie anywhere
    found = told(spoiled)
    T = fragment_poses(found, points, drawn_numbers(), POSES, backend=backend)
    assert (angle_rad(T[:, 0], T_true) < 0.05).all()
    spoiled = places.clone()
    spoiled[:, :140] = (
        places[:, :140] @ HALF_TURN[:3, :3]
    )  # most agree on another pose, but are not on the object
    found = told(spoiled)
    found.logit[:, :140, -1] = 2 * SURE
    T = fragment_poses(found, points, drawn_numbers(), POSES, backend=backend)
    assert (angle_rad(T[:, 0], T_true) < 0.01).all()


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_of_two_answers_both_are_kept_the_likelier_first(backend):
    T_true = true_poses()
    places, points = seen(T_true)
    found = both_told(told(places), told(places @ HALF_TURN[:3, :3]))
    T = fragment_poses(found, points, drawn_numbers(), POSES, backend=backend)
    assert (angle_rad(T[:, 0], T_true) < 0.05).all()
    assert (angle_rad(T[:, 1], T_true @ HALF_TURN) < 0.05).all()


def test_poses_that_nothing_supports_are_rigid_and_differ():
    _, points = seen(true_poses())
    generator = torch.Generator().manual_seed(5)
    logit = torch.randn(BATCH, PIXELS, COUNT + 1, generator=generator)
    found = Fragments(logit, torch.zeros(BATCH, PIXELS, COUNT, 3), CENTRE)
    T = fragment_poses(found, points, drawn_numbers(), POSES)
    R = T[..., :3, :3]
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.det(R), torch.ones(BATCH, POSES))
    apart = angle_rad(T[:, :, None], T[:, None])[:, ~torch.eye(POSES, dtype=torch.bool)]
    assert (apart > 0.34).all()


@pytest.mark.parametrize("rotation", [best_rotation, best_rotation_by_products])
def test_all_ways_give_the_same_poses(rotation):
    """Answers that many pixels support: what nothing supports hangs on the last digit."""
    T_true = true_poses()
    places, points = seen(T_true)
    noisy = points + 0.01 * torch.randn(points.shape, generator=torch.Generator().manual_seed(4))
    found = both_told(told(places), told(places @ HALF_TURN[:3, :3]))
    expected = fragment_poses(found, noisy, drawn_numbers(), 2, backend="numba")
    T = fragment_poses(found, noisy, drawn_numbers(), 2, AT_WORK, rotation, backend="torch")
    torch.testing.assert_close(T, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("count", [1, 2])
def test_a_few_fragments_are_enough_where_places_are_told(count):
    """As many as there are, and fewer than are asked about a pose."""
    T_true = true_poses()
    places, points = seen(T_true)
    logit = torch.full((BATCH, PIXELS, count + 1), -SURE)
    logit[..., 0] = SURE
    found = Fragments(logit, places[:, :, None] - CENTRE[:, None, :count], CENTRE[:, :count])
    for backend in ("torch", "numba"):
        T = fragment_poses(found, points, drawn_numbers(), POSES, backend=backend)
        torch.testing.assert_close(T[:, 0], T_true, atol=1e-4, rtol=0)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_network_that_is_not_finite_leaves_the_poses_to_the_check_of_the_loss(backend, value):
    _, points = seen(true_poses())
    sign = torch.randn(BATCH, PIXELS, COUNT + 1, generator=torch.Generator().manual_seed(6)).sign()
    offset = value * sign[..., :-1, None].repeat(1, 1, 1, 3)
    for logit in (value * sign, sign):
        broken = Fragments(logit, offset, CENTRE)
        assert fragment_poses(broken, points, drawn_numbers(), POSES, backend=backend).isfinite().all()


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("size", [(0.1, 0.1, 0.0), (0.5, 0.04, 0.0), (0.5, 0.0, 0.0)])
def test_of_a_small_piece_of_surface_the_points_are_fitted_nonetheless(backend, size):
    """Of a line the rotation about it is anything; what is measured lies where it was told in any case."""
    T_true = true_poses()
    places = torch.rand(BATCH, PIXELS, 3, generator=torch.Generator().manual_seed(7)) * torch.tensor(size)
    points = transform_points(T_true, places)
    spoiled = places.clone()
    spoiled[:, :60] = surface(BATCH, 60, seed=3)
    T = fragment_poses(told(spoiled), points, drawn_numbers(), POSES, backend=backend)[:, 0]
    off = (transform_points(T, places) - points).norm(dim=-1)
    assert off[:, 60:].max() < 0.02


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_only_poses_that_differ_and_have_some_support_are_kept(backend):
    """A sure answer is one pose, two answers are two; the instance with fewer repeats its first."""
    places, points = seen(true_poses())
    one, half_turned = told(places), told(places @ HALF_TURN[:3, :3])
    two = both_told(one, half_turned)
    counts = []
    for found in (one, two, Fragments(*(torch.cat([a[:1], b[1:]]) for a, b in zip(one, two, strict=True)))):
        T = fragment_poses(found, points, drawn_numbers(), POSES, backend=backend)
        kept = without_repeats(T)
        assert torch.equal(kept, T[:, : kept.shape[1]])
        counts.append((~is_repeat(T)).sum(1).tolist())
        assert kept.shape[1] == max(counts[-1])
        assert (T[:, kept.shape[1] :] == T[:, :1]).all()
    assert counts == [[1] * BATCH, [2] * BATCH, [1] + [2] * (BATCH - 1)]
    rest = fragment_poses(one, points, drawn_numbers(), POSES, IN_TRAINING, backend=backend)
    assert rest.shape[1] == POSES


def test_more_support_comes_first():
    T_true = true_poses()
    places, points = seen(T_true)
    found = both_told(told(places), told(places @ HALF_TURN[:3, :3]))
    T = fragment_poses(found, points, drawn_numbers(), 2)
    witnesses = Witnesses.of(found, points)
    share = witnesses.share(T)
    torch.testing.assert_close(share, witnesses.share(T, "torch"))
    assert (share[:, 0] > share[:, 1]).all()
    assert (share < 1).all()
    assert (witnesses.share(T_true[:, None]) > 0.9 * share[:, :1]).all()
    index = torch.tensor([2, 0])
    assert torch.equal(witnesses.rows(index).share(T[index]), share[index])


def test_what_is_surely_not_on_the_object_still_gives_finite_poses():
    places, points = seen(true_poses())
    found = told(places)
    found.logit[..., -1] = 200.0  # all probabilities round to 0
    for backend in ("torch", "numba"):
        assert fragment_poses(found, points, drawn_numbers(), POSES, backend=backend).isfinite().all()


def test_the_same_crop_has_the_same_poses():
    T_true = true_poses()
    places, points = seen(T_true)
    found = told(places, sure=1.0)
    first, second = (fragment_poses(found, points, drawn_numbers(), POSES) for _ in range(2))
    assert torch.equal(first, second)
    alone = Fragments(*(part[2:3] for part in found))
    torch.testing.assert_close(fragment_poses(alone, points[2:3], drawn_numbers(), POSES), first[2:3])


def test_poses_move_with_the_points():
    """Which lie anywhere in the crop's frame."""
    T_true = true_poses()
    places, points = seen(T_true)
    T_moved = true_poses().flip(0)
    found = told(places)
    T = fragment_poses(found, transform_points(T_moved, points), drawn_numbers(), 1)
    torch.testing.assert_close(inverse(T_moved) @ T[:, 0], T_true, atol=1e-4, rtol=0)
