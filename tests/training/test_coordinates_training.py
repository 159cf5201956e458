"""Training the coordinate estimator: it learns, its modes take their own targets, every recipe can train it."""

from dataclasses import replace

import pytest
import torch
from networks import TINY, TINY_COORDINATES, build_both
from small_roots import cube
from training_runs import run, same_weights, short, weights

from selfpose6d.crops.batch import decode_records, sample_batch
from selfpose6d.crops.store import open_crop_store
from selfpose6d.errors import CheckpointError
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.geometry.symmetric_poses import Symmetries
from selfpose6d.inference.options import PredictOptions
from selfpose6d.inference.predictor import Predictor
from selfpose6d.network.transfer import require_same_structure
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.training.estimator_loss import estimator_loss
from selfpose6d.training.known_poses import ground_truth_poses
from selfpose6d.training.recipe import ESTIMATOR
from selfpose6d.training.targets import PoseTable

CUBE = object_table((2,), [cube()])
NO_SYMMETRY = Symmetries(
    torch.eye(4)[None, None],
    torch.ones(1, 1, dtype=torch.bool),
    torch.zeros(1, 3),
    torch.zeros(1, 3),
    torch.zeros(1).bool(),
)


def coordinates(name: str = "supervised", **changes):
    return replace(short(name, **changes), architecture="coordinates")


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


def loss_of(prediction, taught, source=None):
    batch, index, truth, shapes = taught
    targets = (source or truth).targets(batch, index, prediction.T_crop_obj)
    points_m = shapes.points_m[batch.object_index]
    return estimator_loss(prediction, batch, targets, points_m, shapes, CUBE, 0.015)


def test_it_learns_places_and_poses_and_which_mode_is_right(taught):
    batch, index, truth, _ = taught
    network = build_both(TINY_COORDINATES, CUBE).train().estimator
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    given, first = batch.inputs(TINY_COORDINATES), None
    for _ in range(150):
        loss = loss_of(network(given), taught)
        first = first or float(loss.distance_m.mean())
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
    assert loss.distance_m.mean() < 0.4 * first
    assert loss.confidence.mean() > 0.5
    T = network(given).T_crop_obj
    wrong = (T - truth.targets(batch, index, T).T_crop_obj)[:, :, :3, 3].norm(dim=-1)
    chosen = network(given).confidence_logit.argmax(1)
    assert wrong.gather(1, chosen[:, None]).mean() < wrong.mean()


def test_perfect_places_cost_less_than_others_and_give_the_true_pose(taught):
    batch, index, truth, _ = taught
    network = build_both(TINY_COORDINATES, CUBE).estimator
    given = batch.inputs(TINY_COORDINATES)
    prediction = network(given)
    T_true = truth.targets(batch, index, prediction.T_crop_obj).T_crop_obj
    points_m = batch.points_crop_m[:, None].expand(-1, TINY_COORDINATES.modes, -1, -1)
    centre_m = torch.tensor(CUBE.centre_m)[0]
    exact = (transform_points(inverse(T_true), points_m) - centre_m) / CUBE.diameter_m[0]
    found = prediction.correspondences._replace(coordinates=exact)
    T, _ = network._fit(found, batch.points_crop_m / CUBE.diameter_m[0], batch.object_index)
    assert torch.allclose(T, T_true, atol=1e-4)
    better = prediction._replace(correspondences=found, T_crop_obj=T)
    assert (loss_of(better, taught).instance < loss_of(prediction, taught).instance).all()
    assert loss_of(better, taught).distance_m.max() < 1e-4


def test_pixels_that_are_not_on_the_object_do_not_teach_places(taught):
    batch, *_ = taught
    points_m = batch.points_crop_m.clone()
    points_m[:, :6, 2] += 0.3  # behind a cube of 10 cm, whose diagonal is 17
    moved = replace(batch, points_crop_m=points_m)
    network = build_both(TINY_COORDINATES, CUBE).estimator
    prediction = network(moved.inputs(TINY_COORDINATES))
    prediction.correspondences.coordinates.retain_grad()
    loss_of(prediction, (moved, *taught[1:])).total.backward()
    gradient = prediction.correspondences.coordinates.grad.abs().sum((0, 1, 3))
    assert not gradient[:6].any()
    assert gradient[6:].all()


def test_an_instance_without_a_pose_teaches_nothing(taught):
    batch, index, truth, _shapes = taught
    network = build_both(TINY_COORDINATES, CUBE).estimator
    prediction = network(batch.inputs(TINY_COORDINATES))
    prediction.correspondences.coordinates.retain_grad()
    weight = truth.weight.clone()
    weight[index[3]] = 0
    loss_of(prediction, taught, replace(truth, weight=weight)).total.backward()
    gradient = prediction.correspondences.coordinates.grad.abs().flatten(1).sum(1)
    assert gradient[3] == 0
    assert (gradient[:3] > 0).all()


def test_each_mode_may_take_another_of_the_poses_that_look_alike(taught):
    """Half a turn about z, declared: a mode that is turned has a turned target."""
    batch, index, truth, _shapes = taught
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    both = replace(
        NO_SYMMETRY, T_obj_sym=torch.stack([torch.eye(4), half_turn])[None], allowed=torch.ones(1, 2).bool()
    )
    T_true = truth.targets(batch, index, torch.eye(4).expand(8, 1, 4, 4)).T_crop_obj
    T_pred = torch.cat([T_true, T_true @ half_turn, T_true], 1)
    targets = replace(truth, symmetries=both).targets(batch, index, T_pred)
    assert torch.allclose(targets.T_crop_obj, T_pred, atol=1e-5)


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
