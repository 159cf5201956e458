"""Training the coordinate estimator: it learns, of poses that look alike it takes one, every recipe can train it."""

from dataclasses import replace
from functools import partial

import pytest
import roma
import torch
from networks import TINY, TINY_COORDINATES, build_both
from small_roots import cube
from training_runs import NO_SYMMETRY, run, same_weights, short, weights

from selfpose6d.crops.batch import decode_records, sample_batch
from selfpose6d.crops.store import open_crop_store
from selfpose6d.errors import CheckpointError
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.inference.options import PredictOptions
from selfpose6d.inference.predictor import Predictor
from selfpose6d.network.interface import Fragments, Rating, Refinement
from selfpose6d.network.pose_network import NetworkOutput
from selfpose6d.network.transfer import require_same_structure
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.training.coordinates_loss import comparison_loss, pixel_loss
from selfpose6d.training.known_poses import ground_truth_poses
from selfpose6d.training.loader import Samples
from selfpose6d.training.recipe import ESTIMATOR
from selfpose6d.training.starts import MODES_TRIED, WideStarts
from selfpose6d.training.step import StepContext, _of_fragments, step_loss
from selfpose6d.training.targets import PoseTable

CUBE = object_table((2,), [cube()])


def coordinates(name: str = "supervised", **changes):
    return short(name, coordinates=True, **changes)


@pytest.fixture
def taught(dataset, cache):
    """A batch of eight crops and where their true poses come from, with what is known of the cube."""
    store = open_crop_store(dataset, 32, cache)
    index = torch.arange(8)
    diameter_m = torch.tensor(CUBE.diameter_m)
    images = decode_records(store.read(index.numpy()))
    batch = sample_batch(images, {2: 0}, diameter_m, 24, torch.Generator().manual_seed(0))
    shapes = build_object_shapes([cube()])
    T, weight = ground_truth_poses(dataset, store.keys)
    return batch, index, PoseTable(T, weight, NO_SYMMETRY, shapes), shapes


def pixel_loss_of(prediction, taught):
    batch, index, truth, shapes = taught
    targets = truth.targets(batch, index, prediction.T_crop_obj[:, :1])
    return pixel_loss(prediction.fragments, batch, targets, shapes.surfaces)


def comparison_loss_of(refinement, taught):
    batch, index, truth, shapes = taught
    targets = truth.targets(batch, index, refinement.T_crop_obj.flatten(1, 2))
    points_m, diameter_m = shapes.points_m[batch.object_index], shapes.surfaces.diameter_m[batch.object_index]
    return comparison_loss(refinement, targets, points_m, diameter_m)


def test_it_learns_places_and_poses_and_which_pose_is_right(taught):
    batch, _, _, shapes = taught
    network = build_both(TINY_COORDINATES, CUBE).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    given, first = batch.inputs(TINY_COORDINATES), None
    for _ in range(150):
        output = network(given, shapes.surfaces, refine_steps=2)
        compared, error_m = comparison_loss_of(output.refinement, taught)
        first = error_m if first is None else first
        loss = (pixel_loss_of(output.prediction, taught) + compared).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    chosen = output.refinement.rating.sharpness.flatten(1).argmax(1, keepdim=True)
    of_chosen = error_m.flatten(1).gather(1, chosen)
    assert of_chosen.mean() < 0.4 * first[..., 0].mean()
    assert of_chosen.mean() < error_m.mean()
    assert output.refinement.rating.right_logit.flatten(1).gather(1, chosen).sigmoid().mean() > 0.5


def test_starts_are_modes_and_the_target_moved_widely(taught):
    batch, index, truth, shapes = taught
    prediction = build_both(TINY_COORDINATES, CUBE).estimator(batch.inputs(TINY_COORDINATES))
    aims = partial(truth.targets, batch, index)

    def drawn(noise: float, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return WideStarts(aims, batch.object_index, shapes.surfaces, noise, generator).draw(prediction)

    T = drawn(1.57)
    assert T.shape == (8, MODES_TRIED + 1, 4, 4)
    apart = (T[:, :MODES_TRIED, None] - prediction.T_crop_obj[:, None]).abs().amax((-2, -1))
    assert (apart.amin(2) == 0).all()
    assert (apart.argmin(2)[:, 0] != apart.argmin(2)[:, 1]).all()
    T_true = aims(T).T_crop_obj[:, -1]
    assert torch.allclose(drawn(0.0)[:, -1], T_true, atol=1e-5)
    moved = torch.cat([drawn(1.57, seed)[:, -1] for seed in range(20)])
    turn_rad = roma.rotmat_geodesic_distance(moved[:, :3, :3], T_true.repeat(20, 1, 1)[:, :3, :3])
    assert turn_rad.max() < 1.58
    assert (turn_rad > 1.2).any()
    assert (turn_rad < 0.3).float().mean() > 0.25
    assert not torch.equal(drawn(1.57, 1), T)


def test_what_is_out_of_reach_teaches_ratings_but_no_correction(taught):
    """Half a turn off, which way to turn is arbitrary."""
    batch, index, truth, shapes = taught
    network = build_both(TINY_COORDINATES, CUBE).train()
    T = truth.targets(batch, index, torch.eye(4).expand(8, 1, 4, 4)).T_crop_obj
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    for start, taught_parts in ((T @ half_turn, {"rating"}), (T, {"rating", "correction"})):
        network.zero_grad()
        refined = network.refiner(batch.inputs(TINY_COORDINATES), start, shapes.surfaces, 1)
        comparison_loss_of(refined, taught)[0].sum().backward()
        heads = [
            name
            for name in ("rating", "correction")
            if network.refiner.get_submodule(name)[-1].weight.grad.any()
        ]
        assert set(heads) == taught_parts


def test_a_perfect_pose_that_is_rated_so_costs_least(taught):
    batch, index, truth, _ = taught
    T_true = truth.targets(batch, index, torch.eye(4).expand(8, 1, 4, 4)).T_crop_obj
    off = T_true.clone()
    off[..., 2, 3] += 0.05

    def cost(T: torch.Tensor, sharpness: float) -> float:
        rating = Rating(torch.full((8, 1, 1), sharpness), torch.full((8, 1, 1), sharpness - 2))
        return comparison_loss_of(Refinement(T[:, :, None], rating), taught)[0].mean().item()

    assert cost(T_true, 5.0) < cost(T_true, 1.0)
    assert cost(off, 1.0) < cost(off, 5.0)
    assert cost(T_true, 5.0) < cost(off, 1.0)


def exact_fragments(T_crop_obj: torch.Tensor, batch, output: NetworkOutput) -> Fragments:
    """Sure that each pixel lies where these poses put it."""
    before = output.prediction.fragments
    centre_m = torch.tensor(CUBE.centre_m)[0]
    place = (transform_points(inverse(T_crop_obj), batch.points_crop_m) - centre_m) / CUBE.diameter_m[0]
    nearest = (place[:, :, None] - before.centre[:, None]).norm(dim=-1).argmin(-1)
    logit = torch.zeros_like(before.logit).scatter(2, nearest[..., None], 10.0)
    return Fragments(logit, place[:, :, None] - before.centre[:, None], before.centre)


def test_perfect_places_cost_less_than_others_and_give_the_true_pose(taught):
    batch, index, truth, _ = taught
    network = build_both(TINY_COORDINATES, CUBE).estimator
    given = batch.inputs(TINY_COORDINATES)
    prediction = network(given)
    T_true = truth.targets(batch, index, prediction.T_crop_obj[:, :1]).T_crop_obj[:, 0]
    found = exact_fragments(T_true, batch, NetworkOutput(prediction, None))
    T = network._fit(found, batch.points_crop_m / CUBE.diameter_m[0], batch.object_index)
    assert torch.allclose(T[:, 0], T_true, atol=1e-4)
    better = prediction._replace(fragments=found, T_crop_obj=T)
    assert (pixel_loss_of(better, taught) < pixel_loss_of(prediction, taught)).all()


def test_pixels_that_are_not_on_the_object_do_not_teach_places(taught):
    batch, *_ = taught
    points_m = batch.points_crop_m.clone()
    points_m[:, :6, 2] += 0.3  # behind a cube of 10 cm, whose diagonal is 17
    moved = replace(batch, points_crop_m=points_m)
    network = build_both(TINY_COORDINATES, CUBE).estimator
    prediction = network(moved.inputs(TINY_COORDINATES))
    prediction.fragments.offset.retain_grad()
    pixel_loss_of(prediction, (moved, *taught[1:])).sum().backward()
    gradient = prediction.fragments.offset.grad.abs().sum((0, 2, 3))
    assert not gradient[:6].any()
    assert gradient[6:].all()


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_an_instance_without_a_pose_teaches_nothing(taught, dataset, cache, weight):
    """Whatever stands in the place of its pose."""
    _batch, index, truth, shapes = taught
    recipe, records = coordinates(), open_crop_store(dataset, 32, cache).read(index.numpy())

    def loss_with(shift_m: float) -> torch.Tensor:
        T, counted = truth.T_cam_obj.clone(), truth.weight.clone()
        T[index[3], :3, 3] += shift_m
        counted[index[3]] = weight
        source = replace(truth, weight=counted, T_cam_obj=T)
        context = StepContext(recipe, TINY_COORDINATES, CUBE, source, shapes, torch.device("cpu"))
        network, generator = build_both(TINY_COORDINATES, CUBE).train(), torch.Generator().manual_seed(0)
        return step_loss(network, context, recipe.stages[0], Samples(index.numpy(), records), generator).total

    assert (loss_with(0.0) == loss_with(0.02)) == (weight == 0)


def test_of_poses_that_look_alike_pixels_learn_that_of_the_best_supported_one(taught, dataset, cache):
    """Half a turn about z, declared: where the first pose is turned, the pixels' target is."""
    batch, index, truth, shapes = taught
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    both = replace(
        NO_SYMMETRY, T_obj_sym=torch.stack([torch.eye(4), half_turn])[None], allowed=torch.ones(1, 2).bool()
    )
    source = replace(truth, symmetries=both)
    T_true = truth.targets(batch, index, torch.eye(4).expand(8, 1, 4, 4)).T_crop_obj
    recipe = coordinates()
    context = StepContext(recipe, TINY_COORDINATES, CUBE, source, shapes, torch.device("cpu"))
    network, given = build_both(TINY_COORDINATES, CUBE), batch.inputs(TINY_COORDINATES)
    output = network(given, shapes.surfaces, refine_steps=1)
    points_m = shapes.points_m[batch.object_index]

    def cost(T_first: torch.Tensor, T_taught: torch.Tensor) -> torch.Tensor:
        """Of fragments that say `T_taught`, where the best supported pose is another one's."""
        T = torch.cat([T_first, output.prediction.T_crop_obj[:, 1:]], 1)
        prediction = output.prediction._replace(
            T_crop_obj=T, fragments=exact_fragments(T_taught[:, 0], batch, output)
        )
        aims = partial(source.targets, batch, index)
        return _of_fragments(context, batch, aims, output._replace(prediction=prediction), points_m).instance

    turned = T_true @ half_turn
    assert (cost(T_true, T_true) < cost(T_true, turned)).all()
    assert (cost(turned, turned) < cost(turned, T_true)).all()


def test_poses_that_repeat_are_no_starts_where_others_are(taught):
    batch, index, truth, shapes = taught
    prediction = build_both(TINY_COORDINATES, CUBE).estimator(batch.inputs(TINY_COORDINATES))
    T = prediction.T_crop_obj.clone()
    T[:, 2] = T[:, 0]
    aims = partial(truth.targets, batch, index)
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        starts = WideStarts(aims, batch.object_index, shapes.surfaces, 0.5, generator)
        drawn = starts.draw(prediction._replace(T_crop_obj=T))[:, :MODES_TRIED]
        assert not (drawn[:, 0] == drawn[:, 1]).flatten(1).all(1).any()


@pytest.mark.parametrize("name", ["verified", "supervised", "mixed", "teacher-student"])
def test_every_recipe_trains_it_through_all_its_stages(
    name, dataset, cache, tmp_path, label_run, synthetic_root
):
    more = {"labels": label_run} if name == "verified" else {}
    if name in ("mixed", "teacher-student"):
        more = {"synthetic": synthetic_root}
    recipe = coordinates(name)
    run(dataset, tmp_path / "run", cache, steps=8, recipe=recipe, **more)
    assert all(value.isfinite().all() for value in weights(tmp_path / "run").values())
    options = PredictOptions(refine="network")
    predictor = Predictor.load(tmp_path / "run", dataset.models, options)
    estimates = predictor.predict(dataset.load_frame(dataset.frame_ids()[0]))
    assert all(estimate.valid and 0 <= estimate.confidence <= 1 for estimate in estimates)


def test_the_same_seed_gives_the_same_weights(dataset, cache, tmp_path):
    recipe = coordinates(stages=(ESTIMATOR,))
    for name, steps in (("first", 4), ("same", 4), ("shorter", 3)):
        run(dataset, tmp_path / name, cache, steps=steps, recipe=recipe)
    assert same_weights(tmp_path / "first", tmp_path / "same")
    assert not same_weights(tmp_path / "first", tmp_path / "shorter")


def test_a_network_of_the_other_architecture_is_not_begun_with(dataset, cache, tmp_path):
    run(dataset, tmp_path / "dense", cache, steps=1, recipe=short("supervised"))
    with pytest.raises(
        CheckpointError, match=r"--init .*architecture dense-fusion, wanted is coordinates"
    ) as said:
        run(dataset, tmp_path / "next", cache, recipe=coordinates(), init=tmp_path / "dense")
    assert "\n" not in str(said.value)
    with pytest.raises(CheckpointError, match="Pass --architecture coordinates"):
        require_same_structure("MODEL", TINY_COORDINATES, TINY)
