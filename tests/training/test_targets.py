"""Where targets come from: the resolver, true poses, labels; in which frame, with which weight."""

import json

import numpy as np
import pytest
import roma
import torch
from label_runs import write_label_run
from small_roots import cube, write_json

from selfpose6d.crops.batch import decode_records, sample_batch
from selfpose6d.crops.store import open_crop_store
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.errors import DataError, UsageError
from selfpose6d.geometry.se3 import inverse, make_transform
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup, rotations_about
from selfpose6d.losses.weak import pose_distance_m, weak_loss
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.symmetries import load_symmetries, stack_symmetries
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.review import Verdict, append_verdict
from selfpose6d.training.known_poses import ground_truth_poses, label_poses, usable_labels
from selfpose6d.training.targets import IterativeAnnotationResolver, PoseTable
from selfpose6d.types import InstanceKey


@pytest.fixture
def store(dataset, cache):
    return open_crop_store(dataset, 32, cache)


@pytest.fixture
def shapes():
    return build_object_shapes([cube()])


@pytest.fixture
def batch(store):
    images = decode_records(store.read(np.arange(len(store))))
    return sample_batch(images, {2: 0}, torch.tensor([0.18]), 120, torch.Generator().manual_seed(0))


@pytest.fixture
def truth(dataset, store):
    by_key = {pose.key: pose.T_cam_obj for pose in load_ground_truth(dataset.root, "train")}
    return torch.from_numpy(np.stack([by_key[store.key(n)] for n in range(len(store))])).float()


def near(T: torch.Tensor, seed: int = 0, rotation_rad: float = 0.03) -> torch.Tensor:
    """Poses rotated by about `rotation_rad` an axis and moved by 3 mm."""
    generator = torch.Generator().manual_seed(seed)
    rotvec = rotation_rad * torch.randn(*T.shape[:-2], 3, generator=generator)
    return T @ make_transform(
        roma.rotvec_to_rotmat(rotvec), 0.002 * torch.randn(rotvec.shape, generator=generator)
    )


def test_true_poses_are_found_by_the_whole_key(dataset, store, truth):
    T, weight = ground_truth_poses(dataset, store.keys)
    assert torch.allclose(T[:, 0], truth)
    assert weight.tolist() == [1.0] * len(store)
    shuffled = store.keys[::-1].copy()
    assert torch.allclose(ground_truth_poses(dataset, shuffled)[0][:, 0], truth.flip(0))
    unknown = store.keys + np.array([0, 0, 0, 5], np.int32)
    assert ground_truth_poses(dataset, unknown)[1].tolist() == [0.0] * len(store)


def test_known_poses_are_given_in_the_crop_frame(dataset, store, batch, shapes, truth):
    symmetries = load_symmetries(dataset.models.folder, (2,), dataset.load_mesh)
    table = PoseTable(truth[:, None], torch.ones(len(store)), symmetries, shapes)
    index = torch.arange(len(store))
    targets = table.targets(batch, index, torch.eye(4).expand(len(store), 3, 4, 4))
    back = batch.T_cam_crop[:, None] @ targets.T_crop_obj
    assert torch.allclose(back, truth[:, None].expand(-1, 3, -1, -1), atol=1e-5)
    assert table.has_target(np.arange(len(store))).all()


def test_of_symmetric_poses_the_nearest_is_the_target(tmp_path, store, batch, shapes, truth):
    half_rotation = np.diag([-1.0, -1.0, 1.0, 1.0])
    write_json(
        tmp_path / "models_info.json", {"2": {"symmetries_discrete": [half_rotation.reshape(-1).tolist()]}}
    )
    table = PoseTable(
        truth[:, None], torch.ones(len(store)), load_symmetries(tmp_path, (2,), lambda _: cube()), shapes
    )
    predicted = (inverse(batch.T_cam_crop) @ near(truth @ torch.from_numpy(half_rotation).float()))[:, None]
    targets = table.targets(batch, torch.arange(len(store)), predicted).T_crop_obj
    assert torch.allclose(
        targets[:, 0], inverse(batch.T_cam_crop) @ truth @ torch.from_numpy(half_rotation).float(), atol=1e-4
    )


def test_continuous_symmetries_and_objects_without_any_share_a_table(tmp_path):
    axis = {"axis": [0, 0, 1], "offset": [0, 0, 0]}
    write_json(tmp_path / "models_info.json", {"1": {"symmetries_continuous": [axis]}, "2": {"diameter": 1}})
    bowl = CATALOGUE[6].mesh()
    symmetries = load_symmetries(tmp_path, (2, 1, 7), {1: bowl}.__getitem__)
    assert symmetries.allowed.sum(1).tolist() == [1, 1, 1]
    assert symmetries.axis.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert torch.allclose(symmetries.T_obj_sym[:, 0], torch.eye(4).expand(3, 4, 4), atol=1e-6)


DECLARED = {
    "can": SymmetryGroup(np.zeros((0, 4, 4)), (ContinuousSymmetry(np.array([0.0, 0.0, 1.0]), np.zeros(3)),)),
    "box": SymmetryGroup(np.stack([np.diag([-1.0, -1.0, 1.0, 1.0]), np.diag([1.0, -1.0, -1.0, 1.0])])),
}


def equal_labels(name: str, T: torch.Tensor) -> torch.Tensor:
    """The same poses, each seen another way: by any angle about an axis, or by a half turn."""
    group, count = DECLARED[name], len(T)
    if group.continuous:
        motions = rotations_about(group.continuous[0].axis, np.linspace(0.1, 6.0, count), np.zeros(3))
    else:
        motions = np.concatenate([np.eye(4)[None], group.discrete])[np.arange(count) % 2]
    return T @ torch.from_numpy(motions).float()


@pytest.mark.parametrize("name", DECLARED)
def test_labels_of_one_object_do_not_contradict_each_other(name, store, batch, shapes, truth):
    """Labels that differ by a symmetry: the same estimator and refiner loss, and the same gradient."""
    symmetries, index = stack_symmetries([DECLARED[name]]), torch.arange(len(truth))
    start = inverse(batch.T_cam_crop) @ near(truth, rotation_rad=0.4)
    found = []
    for labels in (truth, equal_labels(name, truth)):
        table = PoseTable(labels[:, None], torch.ones(len(store)), symmetries, shapes)
        for together in (False, True):
            T_pred = torch.stack([near(start, seed) for seed in range(3)], 1).requires_grad_()
            targets = table.targets(batch, index, T_pred, together)
            points_m = shapes.points_m[batch.object_index]
            distance_m = pose_distance_m(T_pred, targets.T_crop_obj, points_m)
            weak_loss(distance_m, torch.zeros(distance_m.shape), 0.015, targets.weight).total.backward()
            found.append((distance_m.detach(), T_pred.grad))
    torch.testing.assert_close(found[:2], found[2:], atol=1e-5, rtol=1e-3)


def test_the_refined_poses_of_an_instance_have_one_target(store, batch, shapes, truth):
    table = PoseTable(truth[:, None], torch.ones(len(store)), stack_symmetries([DECLARED["box"]]), shapes)
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    T = inverse(batch.T_cam_crop) @ truth
    steps = torch.stack([T @ half, near(T) @ half, near(T, 1)], 1)
    own, shared = (
        table.targets(batch, torch.arange(len(truth)), steps, together) for together in (False, True)
    )
    assert (own.T_crop_obj[:, 0] - own.T_crop_obj[:, 2]).abs().amax() > 1
    torch.testing.assert_close(
        shared.T_crop_obj, (T @ half)[:, None].expand(-1, 3, -1, -1), atol=1e-5, rtol=0
    )


def test_the_resolvers_targets_do_not_slide_about_an_axis(batch, shapes, truth):
    start = (inverse(batch.T_cam_crop) @ near(truth, rotation_rad=0.1))[:, None]
    index, options = torch.arange(len(truth)), ResolverOptions()
    plain, symmetric = (
        IterativeAnnotationResolver(shapes, options, symmetries).targets(batch, index, start).T_crop_obj
        for symmetries in (None, stack_symmetries([DECLARED["can"]]))
    )
    axis, points_m = torch.tensor([0.0, 0.0, 1.0, 1.0]), shapes.points_m[batch.object_index]
    torch.testing.assert_close(plain @ axis, symmetric @ axis, atol=1e-5, rtol=0)
    before, after = (pose_distance_m(start, T, points_m) for T in (plain, symmetric))
    assert (after <= before + 1e-5).all()
    assert after.mean() < 0.95 * before.mean()


def test_declared_symmetries_that_the_mesh_does_not_have_stop_training(tmp_path):
    axis = {"axis": [0, 0, 1], "offset": [200, 0, 0]}
    write_json(tmp_path / "models_info.json", {"2": {"symmetries_continuous": [axis]}})
    with pytest.raises(
        DataError, match=r"object 2: symmetries_continuous\[0\].*does not map the mesh onto itself"
    ):
        load_symmetries(tmp_path, (2,), lambda _: cube())


def test_the_resolver_brings_poses_nearer_to_what_was_seen(batch, shapes, truth):
    source = IterativeAnnotationResolver(shapes, ResolverOptions())
    true_crop = inverse(batch.T_cam_crop) @ truth
    start = torch.stack([near(true_crop, seed, 0.1) for seed in range(3)], 1).requires_grad_()
    targets = source.targets(batch, torch.arange(len(truth)), start)
    assert not targets.T_crop_obj.requires_grad
    assert targets.weight.tolist() == [1.0] * len(truth)
    corners = torch.from_numpy(cube().vertices_m)

    def error(T):
        moved, true = (P[..., :3, :3] @ corners.T + P[..., :3, 3:] for P in (T, true_crop[:, None]))
        return (moved - true).norm(dim=-2).mean()

    assert error(targets.T_crop_obj) < 0.6 * error(start.detach())


def test_usable_labels_weigh_by_their_confidence_and_others_are_left_out(dataset, store, truth, tmp_path):
    run = write_label_run(dataset, tmp_path / "labels", rejected_frames=(3, 8))
    T, weight = label_poses(usable_labels(run, dataset), store.keys)
    rejected = np.isin(store.keys[:, 1], (3, 8))
    assert np.array_equal(weight.numpy() == 0, rejected)
    assert set(weight.numpy()[~rejected]) == {0.5}
    assert torch.allclose(T[torch.from_numpy(~rejected), 0], truth[torch.from_numpy(~rejected)], atol=1e-6)


def test_a_persons_review_decides(dataset, store, tmp_path):
    run = write_label_run(dataset, tmp_path / "labels", rejected_frames=(3,))
    verdicts = ({"im_id": 3, "verdict": "accept"}, {"im_id": 5, "verdict": "reject"})
    lines = [{"split": "train", "scene_id": 1, "obj_id": 2, "inst_id": 0, **verdict} for verdict in verdicts]
    (run / "review.jsonl").write_text("\n".join(map(json.dumps, lines)))
    _, weight = label_poses(usable_labels(run, dataset), store.keys)
    assert store.keys[weight.numpy() == 0][:, 1].tolist() == [5]
    assert weight[torch.from_numpy(store.keys[:, 1] == 3)].tolist() == [1.0]  # others: their confidence, 0.5
    assert set(weight.tolist()) == {0.0, 0.5, 1.0}


def test_a_pose_that_a_person_corrected_is_the_target(dataset, store, truth, tmp_path):
    run = write_label_run(dataset, tmp_path / "labels", rejected_frames=(3,))
    T_corrected = np.eye(4)
    T_corrected[:3, 3] = 0.01, 0.02, 0.8
    key = InstanceKey("train", *store.keys[store.keys[:, 1] == 3][0].tolist())
    append_verdict(RunFiles(run).review, key, Verdict("pose", T_cam_obj=T_corrected))
    T, weight = label_poses(usable_labels(run, dataset), store.keys)
    chosen = torch.from_numpy(store.keys[:, 1] == 3)
    assert torch.allclose(T[chosen, 0], torch.from_numpy(T_corrected).float(), atol=1e-6)
    assert weight[chosen].tolist() == [1.0]
    append_verdict(RunFiles(run).review, key._replace(im_id=99), Verdict("accept"))
    with pytest.raises(DataError, match="image 99, has no pose in this run"):
        usable_labels(run, dataset)


def test_without_labels_it_says_what_to_run_first(dataset):
    with pytest.raises(UsageError, match=r"selfpose6d annotate .* --split train --out LABELS first"):
        usable_labels(None, dataset)


def test_labels_of_other_instances_are_no_labels(dataset, store, tmp_path):
    run = write_label_run(dataset, tmp_path / "labels")
    with pytest.raises(UsageError, match="none of the selected instances has a certified label"):
        label_poses(usable_labels(run, dataset), store.keys + np.array([7, 0, 0, 0], np.int32))


def test_the_other_direction_gives_targets_of_its_own(batch, shapes, truth):
    start = (inverse(batch.T_cam_crop) @ near(truth))[:, None]
    index = torch.arange(len(truth))
    found = [
        IterativeAnnotationResolver(shapes, ResolverOptions(iterations=3, direction=direction))
        .targets(batch, index, start)
        .T_crop_obj
        for direction in ("observed-to-model", "model-to-observed")
    ]
    assert all(torch.isfinite(T).all() for T in found)
    assert (found[0] - found[1]).abs().max() > 1e-3


@pytest.mark.parametrize("together", [False, True])
def test_of_poses_that_a_label_leaves_open_the_nearest_is_the_target(store, batch, shapes, truth, together):
    """Two poses that do not look alike: each prediction has its member, the steps of one refinement share theirs. An
    instance that has one pose keeps it."""
    other = near(truth, rotation_rad=1.5)
    sets = torch.stack([truth, other, truth], 1)
    sets[1] = truth[1]
    table = PoseTable(
        sets, torch.ones(len(store)), stack_symmetries([SymmetryGroup(np.zeros((0, 4, 4)))]), shapes
    )
    T_crop_cam = inverse(batch.T_cam_crop)[:, None]
    T_pred = T_crop_cam @ torch.stack([near(truth), near(other), near(other, seed=1)], 1)
    found = table.targets(batch, torch.arange(len(truth)), T_pred, together).T_crop_obj
    expected = torch.stack([other if together else truth, other, other], 1)
    expected[1] = truth[1]
    assert torch.allclose(found, T_crop_cam @ expected, atol=1e-5)


def test_labels_in_doubt_carry_their_poses_where_asked_for(dataset, store, truth, tmp_path):
    run = write_label_run(dataset, tmp_path / "labels", rejected_frames=(3, 8))
    path = run / "certificates.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["im_id"] == 3:
            turned = [[-row["R"][k] if k % 3 < 2 else row["R"][k] for k in range(9)], row["t_mm"]]
            pair = zip((0.6, 0.4), ([row["R"], row["t_mm"]], turned), strict=True)
            row["status"] = "ambiguous"
            row["alternatives"] = [{"R": R, "t_mm": t_mm, "confidence": share} for share, (R, t_mm) in pair]
    path.write_text("\n".join(map(json.dumps, rows)))
    in_doubt, rejected = store.keys[:, 1] == 3, store.keys[:, 1] == 8
    T, weight = label_poses(usable_labels(run, dataset), store.keys)
    assert T.shape[1] == 1
    assert np.array_equal(weight.numpy() == 0, in_doubt | rejected)
    T, weight = label_poses(usable_labels(run, dataset, ambiguous=True), store.keys)
    assert T.shape[1] == 2
    assert np.array_equal(weight.numpy() == 0, rejected)
    assert weight.numpy()[in_doubt] == pytest.approx(1.0)
    assert not torch.allclose(T[torch.from_numpy(in_doubt), 0], T[torch.from_numpy(in_doubt), 1])
    certified = torch.from_numpy(~(in_doubt | rejected))
    assert torch.equal(T[certified, 0], T[certified, 1])
