"""The refinement network: starts as the identity, rotates about the centre, composes as Eq. (5)."""

from dataclasses import replace

import pytest
import roma
import torch
from networks import OBJECTS, TINY, build_both, random_input, surfaces

from selfpose6d.errors import UsageError
from selfpose6d.geometry.se3 import make_transform, transform_points
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.network.refiner import RESIDUAL_GAIN, PoseRefiner


def poses(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    R = roma.rotvec_to_rotmat(torch.randn(count, 3, generator=generator))
    return make_transform(R, 0.1 * torch.randn(count, 3, generator=generator))


def inputs(count: int = 4):
    generator = torch.Generator().manual_seed(1)
    colour = torch.randn(count, 24, TINY.colour_channels, generator=generator)
    points = 0.1 * torch.randn(count, 24, 3, generator=generator)
    return colour, points, poses(count), torch.arange(count) % 2


SURFACES = surfaces()
GRID = SURFACES.grid


def fresh(config=TINY) -> PoseRefiner:
    return PoseRefiner(config, OBJECTS)


def test_it_starts_as_the_identity():
    colour, points, T, objects = inputs()
    refined = fresh()(colour, points, T, objects, GRID, 2)
    assert refined.shape == (4, 2, 4, 4)
    torch.testing.assert_close(refined, T[:, None].expand(-1, 2, -1, -1))


def test_steps_compose_in_the_objects_frame():
    refiner = build_both().refiner
    colour, points, T, objects = inputs()
    both = refiner(colour, points, T, objects, GRID, 2)
    first = refiner(colour, points, T, objects, GRID, 1)[:, 0]
    torch.testing.assert_close(both[:, 0], first)
    torch.testing.assert_close(both[:, 1], refiner(colour, points, first, objects, GRID, 1)[:, 0])
    assert (both[:, 1] - both[:, 0]).abs().max() > 1e-3


def test_a_turn_leaves_the_centre_where_it_is_and_a_shift_counts_in_diameters():
    refiner = fresh()
    objects = torch.tensor([1])
    centre = torch.tensor(OBJECTS.centre_m[1])
    T_offset = refiner.about_centre(torch.tensor([[0.8, 0.6, 0.0, 0.0]]), torch.zeros(1, 3), objects)
    torch.testing.assert_close(transform_points(T_offset, centre[None, None])[0, 0], centre)
    shift = refiner.about_centre(
        torch.tensor([[2.0, 0.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.0]]), objects
    )
    torch.testing.assert_close(shift[0, :3, 3], torch.tensor([0.5 * OBJECTS.diameter_m[1], 0.0, 0.0]))


def test_the_correction_depends_on_where_the_points_are_in_the_objects_frame_only():
    refiner = build_both().refiner
    colour, points, T, objects = inputs()
    motion = poses(4, seed=5)
    moved = refiner(colour, transform_points(motion, points), motion @ T, objects, GRID, 2)
    torch.testing.assert_close(
        moved, motion[:, None] @ refiner(colour, points, T, objects, GRID, 2), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(("features", "reaches"), [("detached", False), ("joint", True)])
def test_features_decide_whether_the_estimators_colours_learn_from_the_refiner(features, reaches):
    network = build_both()
    network(random_input(2), SURFACES, refine_steps=2, features=features).refinement.T_steps.sum().backward()
    grads = [p.grad for p in network.estimator.colour_branch.parameters()]
    assert any(g is not None and g.any() for g in grads) == reaches
    heads = network.estimator.rotation.parameters()
    assert all(p.grad is None or not p.grad.any() for p in heads)


def test_frozen_features_leave_the_estimator_without_a_graph():
    network = build_both()
    output = network(random_input(2), SURFACES, refine_steps=1, features="frozen")
    assert not output.prediction.T_crop_obj.requires_grad
    assert output.refinement.T_steps.requires_grad


def test_the_most_confident_of_the_selected_pixels_is_refined():
    network = PoseNetwork(TINY, OBJECTS)
    selected = torch.tensor([[3, 9, 1], [0, 5, 7]])
    output = network(random_input(2), SURFACES, selected, refine_steps=1)
    best = output.prediction.confidence_logit.argmax(1)
    expected = output.prediction.T_crop_obj[torch.arange(2), best]
    torch.testing.assert_close(output.refinement.T_steps[:, 0], expected)


def test_the_papers_input_is_the_points_alone():
    colour, points, T, objects = inputs()
    literal = PoseRefiner(replace(TINY, refiner_residuals=False), OBJECTS)
    assert literal.geometry(points, objects, None).shape[-1] == 3
    assert literal(colour, points, T, objects, None, 1).shape == (4, 1, 4, 4)


def test_residuals_lead_from_each_point_to_the_nearest_of_the_model():
    refiner = fresh()
    objects = torch.tensor([1])
    model = GRID.points_m[1:2, :4]
    off_m = torch.tensor([0.001, -0.002, 0.0015])
    found = refiner.geometry(model + off_m, objects, GRID)
    diameter_m, centre = OBJECTS.diameter_m[1], torch.tensor(OBJECTS.centre_m[1])
    torch.testing.assert_close(found[..., :3], (model + off_m - centre) / diameter_m)
    torch.testing.assert_close(
        found[..., 3:], (-RESIDUAL_GAIN * off_m / diameter_m).expand(1, 4, 3), atol=1e-4, rtol=1e-3
    )


def test_without_shapes_it_says_what_to_pass():
    with pytest.raises(UsageError, match="pass models"):
        PoseRefiner(TINY, OBJECTS)(*inputs(), None, 1)
