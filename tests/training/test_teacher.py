"""The teacher: its average, what it looks at, how its poses are weighed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import TINY
from small_roots import cube

from selfpose6d.crops import augment
from selfpose6d.crops.store import open_crop_store
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.rendered import build_rendered_objects
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.symmetries import load_symmetries
from selfpose6d.objects.table import object_table
from selfpose6d.training import step
from selfpose6d.training.agreement import mask_agreement, silhouette_agreement
from selfpose6d.training.known_poses import ground_truth_poses
from selfpose6d.training.loader import Samples
from selfpose6d.training.recipe import Stage, find_recipe
from selfpose6d.training.step import StepContext, step_loss
from selfpose6d.training.targets import PosedBatch, Targets
from selfpose6d.training.teacher import Teacher, teacher_decay

STUDENT = Stage("student", ("estimator", "refiner"))


@pytest.fixture
def store(dataset, cache):
    return open_crop_store(dataset, 32, cache)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PoseNetwork(replace(TINY, dropout=0.2), object_table((2,), [cube()]))


@pytest.fixture
def teacher(network, dataset):
    symmetries = load_symmetries(dataset.models.folder, (2,), dataset.load_mesh)
    return Teacher(
        network, build_rendered_objects([cube()], "cpu"), build_object_shapes([cube()]), symmetries, 2, 0.0
    )


@pytest.fixture
def context(teacher):
    recipe = replace(find_recipe("teacher-student"), num_poses=4)
    objects, shapes = object_table((2,), [cube()]), build_object_shapes([cube()])
    return StepContext(recipe, TINY, objects, teacher, shapes, torch.device("cpu"))


def filled(network: PoseNetwork, value: float) -> PoseNetwork:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


def test_the_teacher_follows_by_the_formula(teacher, network):
    """From 1 with decay 0.9: 1, then 0.9 * 1 + 0.1 * 3 = 1.2, then 0.9 * 1.2 + 0.1 * -1 = 0.98."""
    teacher.become(filled(network, 1.0).state_dict())
    teacher.follow(filled(network, 3.0), 0.9)
    assert all(torch.allclose(value, torch.tensor(1.2)) for value in teacher.network.parameters())
    teacher.follow(filled(network, -1.0), 0.9)
    values = torch.cat([value.flatten() for value in teacher.network.parameters()])
    assert torch.allclose(values, torch.tensor(0.98))
    assert not any(value.requires_grad for value in teacher.network.parameters())


def test_the_decay_is_999_of_a_thousand_or_a_tenth_of_the_students_steps():
    assert teacher_decay(None) == teacher_decay(10_000) == teacher_decay(1_000_000) == pytest.approx(0.999)
    assert teacher_decay(500) == pytest.approx(1 - 1 / 50)
    assert teacher_decay(3) == 0.0
    assert 0.98**500 < 1e-4  # what is left at the end of what it was at the start


def test_pseudo_poses_come_from_crops_as_they_are(context, teacher, store, network, monkeypatch):
    """Augmentation that paints every crop grey and loses all depth reaches the student's input, not the teacher's."""
    looked_at, given = [], []
    pseudo_poses, targets = teacher.pseudo_poses, PosedBatch.targets

    def note(batch):
        looked_at.append(batch)
        return pseudo_poses(batch)

    def poison(images, options, generator):
        return replace(images, rgb=torch.full_like(images.rgb, 0.5), depth_m=images.depth_m + 0.3)

    def student(inputs, *arguments):
        given.append(inputs)
        return network(inputs, *arguments)

    monkeypatch.setattr(teacher, "pseudo_poses", note)
    samples = Samples(np.arange(4), store.read(np.arange(4)))
    found = []
    monkeypatch.setattr(
        PosedBatch, "targets", lambda self, *a, **k: found.append(targets(self, *a, **k)) or found[-1]
    )
    for changes in (augment.augment, poison):
        monkeypatch.setattr(step, "augment", changes)
        step_loss(student, context, STUDENT, samples, torch.Generator().manual_seed(0))
    assert len(looked_at) == 2, "once a step, not once for each loss"
    clean = torch.from_numpy(samples.records["rgb"]).permute(0, 3, 1, 2) / 255
    assert all(torch.allclose(batch.images.rgb, clean) for batch in looked_at)
    depth_m = looked_at[0].images.depth_m
    assert torch.equal(depth_m, looked_at[1].images.depth_m)
    assert given[1].rgb.unique().tolist() == [0.5]
    assert not torch.allclose(given[0].rgb, clean)


def test_pseudo_poses_are_moved_into_the_changed_crops_frame(context, teacher, store, monkeypatch):
    """Depth changed by 0.3 m moves the crop frame; the pose in the camera stays."""
    T_cam_obj = torch.eye(4).repeat(4, 1, 1)
    T_cam_obj[:, 2, 3] = 0.5
    monkeypatch.setattr(teacher, "pseudo_poses", lambda batch: (T_cam_obj, torch.full((4,), 0.25)))
    monkeypatch.setattr(step, "augment", lambda images, *_: replace(images, depth_m=images.depth_m + 0.3))
    batch = context.make_batch(store.read(np.arange(4)), torch.Generator().manual_seed(0), STUDENT, True)
    targets = teacher.targets(batch, torch.arange(4), torch.eye(4).repeat(4, 3, 1, 1))
    assert isinstance(targets, Targets)
    assert torch.allclose(
        batch.T_cam_crop[:, None] @ targets.T_crop_obj, T_cam_obj[:, None].expand(-1, 3, -1, -1), atol=1e-5
    )
    assert targets.weight.tolist() == [0.25] * 4
    assert batch.T_cam_crop[:, 2, 3].min() > 0.7
    assert batch.unchanged.T_cam_crop[:, 2, 3].max() < 0.6


def test_true_poses_agree_and_others_do_not(dataset, store, context, teacher):
    batch = context.make_batch(store.read(np.arange(10)), torch.Generator().manual_seed(0), None)
    T_cam_obj = ground_truth_poses(dataset, store.keys)[0][:, 0]
    objects = build_rendered_objects([cube()], "cpu")
    true = silhouette_agreement(objects, batch, T_cam_obj)
    assert true.visible.min() > 0.9
    shifted = T_cam_obj.clone()
    shifted[:, 0, 3] += 0.05
    far = silhouette_agreement(objects, batch, shifted)
    assert far.whole.max() < 0.6
    T_cam_obj[0] = torch.nan
    assert silhouette_agreement(objects, batch, T_cam_obj).weight(0.5)[0] == 0


def test_only_a_measured_occluder_excuses_a_silhouette():
    """Mask: 2 pixels. Silhouette: these and 2 more, at 1 m; one of these was measured at 0.5 m, one not at all."""
    mask = torch.tensor([[[True, True, False, False, False]]])
    silhouette = torch.tensor([[[True, True, True, True, False]]])
    depth_m, rendered_m = (
        torch.tensor([[[1.0, 1.0, 0.5, 0.0, 2.0]]]),
        torch.tensor([[[1.0, 1.0, 1.0, 1.0, 0.0]]]),
    )
    found = mask_agreement(mask, depth_m, silhouette, rendered_m)
    assert found.visible.item() == pytest.approx(2 / 3)
    assert found.whole.item() == pytest.approx(2 / 4)
    assert found.weight(0.5).item() == pytest.approx(1 / 3)
    assert found.weight(0.7).item() == 0.0
    nothing = mask_agreement(mask, depth_m, torch.zeros_like(mask), torch.zeros_like(rendered_m))
    assert nothing.weight(0.0).item() == 0.0
