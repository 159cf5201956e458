"""The comparison network: what it looks up, what it must not depend on, how it rates and corrects."""

import pytest
import torch
from networks import OBJECTS, TINY, TINY_COORDINATES, build_both, random_input, surfaces

from selfpose6d.errors import UsageError
from selfpose6d.geometry.se3 import inverse, make_transform, transform_points
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.network.comparison import LEAST_AGREEMENT, READING_WEIGHT, PoseComparison, corrected
from selfpose6d.network.evidence import MAX_RESIDUAL, RESIDUAL_GAIN, Evidence
from selfpose6d.network.interface import Fragments, Rating, Refinement
from selfpose6d.network.pose_network import PoseNetwork, natural_starts

SURFACES = surfaces()
RESIDUAL, MESH_RGB, MESH_PATTERN, COLOURED = slice(3, 6), slice(12, 15), slice(18, 21), 21
"""Where the comparison puts them among what is known of a measured point."""
GAP, KNOWN, MASK, INSIDE = 15, 16, 17, 18
"""And of a point of the mesh."""


def poses(batch: int = 2, starts: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    R = random_rotations(batch * starts, generator).unflatten(0, (batch, starts))
    return make_transform(R, 0.02 * torch.randn(batch, starts, 3, generator=generator))


def compare(given, T_crop_obj, surfaces, points):
    return Evidence.of(given, surfaces, points).under(T_crop_obj)


def built() -> PoseComparison:
    refiner = build_both(TINY_COORDINATES).refiner
    assert isinstance(refiner, PoseComparison)
    return refiner


def inputs(batch: int = 2):
    return random_input(batch, TINY_COORDINATES)


def test_a_fresh_one_corrects_nothing_and_rates_all_alike():
    network = PoseNetwork(TINY_COORDINATES, OBJECTS)
    refined = network.refiner(inputs(), poses(), SURFACES, 2)
    assert refined.T_crop_obj.shape == (2, 3, 3, 4, 4)
    assert torch.allclose(refined.T_crop_obj, poses()[:, :, None].expand(-1, -1, 3, -1, -1), atol=1e-6)
    assert not refined.rating.sharpness.any()
    assert not network.refiner.trained
    assert built().trained


def test_points_on_the_mesh_have_no_residual_and_its_colour():
    given, T = inputs(), poses()
    on_mesh = transform_points(T[:, :1], SURFACES.grid.points_m[given.object_index][:, None])[:, 0]
    given = given._replace(points_crop_m=on_mesh[:, :16], pixel=given.pixel[:, :16])
    measured = compare(given, T[:, :1], SURFACES, 16).measured
    assert measured[..., RESIDUAL].abs().max() < 1e-4
    expected = 2 * SURFACES.rgb[given.object_index][:, None, :16] - 1
    assert torch.allclose(measured[..., MESH_RGB], expected, atol=1e-6)


def test_residuals_lead_to_the_surface_along_the_crops_axes():
    given, T = inputs(1), poses(1, 1)
    off_m = torch.tensor([0.002, -0.001, 0.0015])
    surface_m = transform_points(T[:, 0], SURFACES.grid.points_m[:1])
    given = given._replace(points_crop_m=surface_m[:, :16] + off_m, pixel=given.pixel[:, :16])
    found = compare(given, T, SURFACES, 16).measured[..., RESIDUAL]
    expected = -RESIDUAL_GAIN * off_m / SURFACES.diameter_m[0]
    assert torch.allclose(found, expected.expand_as(found), atol=1e-3)
    far = given._replace(points_crop_m=given.points_crop_m + 10)
    assert (
        compare(far, T, SURFACES, 16).measured[..., RESIDUAL].abs().max()
        <= RESIDUAL_GAIN * MAX_RESIDUAL * 3**0.5
    )


def test_meshes_without_colours_say_so_and_show_none():
    """No colour is not equal colour."""
    plain = surfaces(coloured=False)
    measured, expected = compare(inputs(), poses(), plain, 16)
    assert not measured[..., MESH_RGB].any()
    assert not measured[..., MESH_PATTERN].any()
    assert not measured[..., COLOURED].any()
    other = plain._replace(rgb=1 - plain.rgb)
    for one, two in zip((measured, expected), compare(inputs(), poses(), other, 16), strict=True):
        assert torch.equal(one, two)


def test_points_of_the_mesh_are_looked_up_where_they_project():
    """A point half a metre away at the crop's middle: before a wall it is free, behind one it is hidden."""
    given = inputs(1)
    at_middle = SURFACES._replace(grid=SURFACES.grid._replace(points_m=torch.zeros(2, 20, 3)))
    T = torch.eye(4).expand(1, 1, 4, 4)
    for depth_m, sign in ((0.52, 1), (0.49, -1), (0.0, 0)):
        view = given.view._replace(
            depth_m=torch.full_like(given.view.depth_m, depth_m), mask=torch.ones_like(given.view.mask)
        )
        found = compare(given._replace(view=view), T, at_middle, 16).expected
        assert (found[..., GAP].sign() == sign).all()
        assert (found[..., KNOWN] == float(depth_m > 0)).all()
        assert found[..., MASK].all()
        assert found[..., INSIDE].all()
    beside = torch.eye(4)
    beside[0, 3] = 1.0
    assert not compare(given, beside.expand(1, 1, 4, 4), at_middle, 16).expected[..., INSIDE].any()


def test_light_changes_only_the_colours_as_they_are():
    given = inputs()
    given = given._replace(rgb=0.25 + 0.5 * given.rgb)
    brighter = given._replace(rgb=given.rgb * 1.2)
    one, two = (compare(each, poses(), SURFACES, 16).measured for each in (given, brighter))
    assert (one[..., 9:12] - two[..., 9:12]).abs().mean() > 0.1
    assert (one[..., 15:18] - two[..., 15:18]).abs().mean() < 0.1
    same = [*range(9), *range(12, 15), *range(18, 22)]
    assert torch.equal(one[..., same], two[..., same])


def test_a_turn_leaves_the_centre_where_it_is_and_a_shift_counts_in_diameters():
    T, index = poses(), torch.tensor([0, 1])
    centre = SURFACES.centre_m[index][:, None, None].expand(-1, 3, -1, -1)
    turned = corrected(T, torch.tensor([0.0, 0.7, 0, 0, 0, 0, 0]).expand(2, 3, 7), SURFACES, index)
    assert torch.allclose(transform_points(turned, centre), transform_points(T, centre), atol=1e-6)
    assert not torch.allclose(turned, T)
    shifted = corrected(T, torch.tensor([0.0, 0, 0, 0, 0, 0, 0.5]).expand(2, 3, 7), SURFACES, index)
    shift_m = shifted[..., :3, 3] - T[..., :3, 3]
    assert torch.allclose(shift_m[..., 2], 0.5 * SURFACES.diameter_m[index][:, None].expand(-1, 3), atol=1e-6)
    assert torch.allclose(shifted[..., :3, :3], T[..., :3, :3], atol=1e-6)


def test_starts_and_instances_do_not_see_each_other():
    refiner = built()
    together = refiner(inputs(), poses(), SURFACES, 1)
    alone = refiner(inputs(), poses()[:, 1:2], SURFACES, 1)
    assert torch.allclose(together.T_crop_obj[:, 1:2], alone.T_crop_obj, atol=1e-5)
    assert torch.allclose(together.rating.sharpness[:, 1:2], alone.rating.sharpness, atol=1e-5)


def test_steps_compose_and_each_is_rated():
    refiner = built()
    both = refiner(inputs(), poses(), SURFACES, 2)
    again = refiner(inputs(), both.T_crop_obj[:, :, 1], SURFACES, 1)
    assert torch.allclose(both.T_crop_obj[:, :, 1:], again.T_crop_obj, atol=1e-5)
    assert torch.allclose(both.rating.sharpness[:, :, 1:], again.rating.sharpness, atol=1e-4)
    assert (both.T_crop_obj[:, :, 1] - both.T_crop_obj[:, :, 0]).abs().max() > 1e-3


def test_frozen_leaves_all_but_the_corrections_layers_alone():
    network = build_both(TINY_COORDINATES).train()
    output = network(inputs(), SURFACES, refine_steps=2, features="frozen")
    output.refinement.T_steps.sum().backward()
    taught = {
        name.split(".")[1] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()
    }
    assert taught == {"correction"}


def test_a_correction_that_is_rated_worse_is_not_taken():
    T = torch.arange(6.0).reshape(1, 2, 3, 1, 1) * torch.ones(1, 2, 3, 4, 4)
    sharpness = torch.tensor([[[1.0, 0.0, 2.0], [3.0, 4.0, -1.0]]])
    refined = Refinement(T, Rating(sharpness, -sharpness))
    assert refined.T_best[0, 0, 0] == 4
    assert refined.T_steps[0, :, 0, 0].tolist() == [4, 5]


def test_all_modes_are_refined_and_of_pixels_the_most_confident_pose():
    network = build_both(TINY_COORDINATES)
    output = network(inputs(), SURFACES)
    assert torch.equal(output.refinement.T_crop_obj[:, :, 0], output.prediction.T_crop_obj)
    dense = build_both(TINY).estimator(random_input(2))
    best = dense.confidence_logit.argmax(1)
    assert torch.equal(natural_starts(dense)[:, 0], dense.T_crop_obj[torch.arange(2), best])


def test_poses_that_are_not_finite_are_left_to_the_check_of_the_loss():
    broken = poses()
    broken[0, 0] = torch.nan
    rated = built()(inputs(), broken, SURFACES, 1).rating.sharpness
    assert rated[0, 0].isnan().all()
    assert rated[:, 1:].isfinite().all()


def test_poses_are_also_ranked_by_what_the_estimator_read():
    """A pose that it is sure of, beside one that the comparison alone would rank alike."""
    given, T = inputs(), poses(2, 3)
    index = given.object_index
    diameter_m, centre_m = SURFACES.diameter_m[index][:, None, None], SURFACES.centre_m[index][:, None]
    place = (transform_points(inverse(T[:, 1]), given.points_crop_m) - centre_m) / diameter_m
    logit = torch.zeros(*place.shape[:2], 5)
    logit[..., 0] = 12.0
    read = Fragments(logit, place[:, :, None].repeat(1, 1, 4, 1), torch.zeros(2, 4, 3))
    refiner = PoseNetwork(TINY_COORDINATES, OBJECTS, SURFACES).refiner  # rates all alike
    with torch.no_grad():
        plain = refiner.compared(Evidence.of(given, SURFACES, 16), T)
        evidence = Evidence.of(given, SURFACES, 16, read)
        ranked, second = (
            refiner.compared(evidence, T),
            refiner.compared(evidence.rows(torch.tensor([1])), T[1:]),
        )
    assert (plain.score == plain.score[0, 0]).all()
    assert (ranked.score.argmax(1) == 1).all()
    best = plain.score[:, 1] + READING_WEIGHT * torch.log(evidence.agreement(T)[:, 1] + LEAST_AGREEMENT)
    torch.testing.assert_close(ranked.score[:, 1], best)
    assert (evidence.agreement(T)[:, 1] > 0.99).all()
    torch.testing.assert_close(second.score, ranked.score[1:])
    assert torch.equal(ranked.right_logit, plain.right_logit)


def test_without_meshes_it_says_what_to_pass():
    with pytest.raises(UsageError, match="pass models"):
        build_both(TINY_COORDINATES)(inputs())


def test_corrections_of_both_back_ends_are_alike_and_what_learns_takes_torch():
    T, index = poses(), torch.tensor([0, 1])
    change = 0.4 * torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(5))
    change[0, 0] = torch.tensor([-1.0, 0, 0, 0, 0.1, 0, 0])  # no direction
    change[1, 2, 5] = torch.nan
    found, expected = (corrected(T, change, SURFACES, index, backend) for backend in ("numba", "torch"))
    assert torch.allclose(found, expected, atol=1e-6, equal_nan=True)
    assert corrected(T, change.requires_grad_(), SURFACES, index).requires_grad
