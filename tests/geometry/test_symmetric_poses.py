"""Of equivalent poses the nearest: against a dense search, and the same for labels that differ by a symmetry."""

import numpy as np
import pytest
import torch

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.geometry.symmetric_poses import Symmetries, nearest_symmetric_pose
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup, rotations_about
from selfpose6d.losses.weak import pose_distance_m, weak_loss
from selfpose6d.objects.symmetries import stack_symmetries

NO_MOTIONS = np.zeros((0, 4, 4))
AXIS = ContinuousSymmetry(np.array([0.0, 0.6, 0.8]), np.array([0.01, -0.02, 0.03]))
FLIP = rotations_about(np.array([1.0, 0.0, 0.0]), np.array([np.pi]), AXIS.offset_m)
QUARTERS = rotations_about(np.array([0.0, 0.0, 1.0]), np.pi / 2 * np.arange(1, 4), np.zeros(3))
HALVES = np.stack([np.diag([*signs, 1.0]) for signs in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1))])
GROUPS = {
    "none": SymmetryGroup(NO_MOTIONS),
    "box": SymmetryGroup(HALVES),
    "square": SymmetryGroup(QUARTERS),
    "can": SymmetryGroup(NO_MOTIONS, (AXIS,)),
    "reversible can": SymmetryGroup(FLIP, (AXIS,)),
    "ball": SymmetryGroup(
        NO_MOTIONS, tuple(ContinuousSymmetry(axis, np.array([0.0, 0.0, 0.1])) for axis in np.eye(3))
    ),
}


def random_poses(batch: int, poses: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    t = 0.1 * torch.randn(batch * poses, 3, generator=generator)
    return make_transform(random_rotations(batch * poses, generator), t).reshape(batch, poses, 4, 4)


def model_points(batch: int) -> torch.Tensor:
    """Points that are spread along each axis by another length."""
    scale = torch.tensor([0.03, 0.06, 0.1])
    return scale * torch.randn(batch, 80, 3, generator=torch.Generator().manual_seed(9))


def one(group: SymmetryGroup, batch: int = 1) -> Symmetries:
    return stack_symmetries([group]).of(torch.zeros(batch, dtype=torch.long))


def mean_square(T_pred: torch.Tensor, T: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    moved = points[:, None] @ (T_pred - T)[..., :3, :3].mT + (T_pred - T)[..., None, :3, 3]
    return moved.square().sum(-1).mean(-1)


def an_equal_label(name: str, target: torch.Tensor) -> torch.Tensor:
    """The same label, seen another way: by a motion that is no multiple of 10 degrees where the axis is free."""
    group = GROUPS[name]
    motion = group.discrete[-1] if len(group.discrete) else np.eye(4)
    if group.continuous:
        motion = (
            rotations_about(group.continuous[-1].axis, np.array([1.234]), group.continuous[-1].offset_m)[0]
            @ motion
        )
    return target @ torch.from_numpy(motion).float()


@pytest.mark.parametrize("name", GROUPS)
def test_no_equivalent_pose_is_nearer(name):
    T_pred, target, points = random_poses(1, 4, 1), random_poses(1, 4, 2), model_points(1)
    chosen = nearest_symmetric_pose(T_pred, target, one(GROUPS[name]), points)
    others = torch.from_numpy(GROUPS[name].expand(720)).float()
    all_of_them = target[0][:, None] @ others
    best = mean_square(T_pred[0][:, None], all_of_them, points.expand(4, -1, -1)).amin(1)
    found = mean_square(T_pred, chosen, points)[0]
    assert (found <= best + 1e-7).all()
    if name != "ball":  # a list of rotations about three axes does not hold every rotation
        assert torch.allclose(found, best, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("together", [False, True])
def test_labels_that_differ_by_a_symmetry_give_the_same_loss_and_gradient(name, together):
    target, points = random_poses(3, 1, 2).expand(-1, 5, -1, -1), model_points(3)
    found = []
    for label in (target, an_equal_label(name, target)):
        T_pred = random_poses(3, 5, 1).requires_grad_()
        chosen = nearest_symmetric_pose(T_pred.detach(), label, one(GROUPS[name], 3), points, together)
        loss = weak_loss(pose_distance_m(T_pred, chosen, points), torch.zeros(3, 5), 0.015).total
        loss.backward()
        assert T_pred.grad is not None
        found.append((loss.detach(), T_pred.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_without_the_symmetry_the_same_labels_contradict_each_other():
    """The counterpart of the test above: it would notice."""
    target, points = random_poses(3, 1, 2), model_points(3)
    losses = [
        pose_distance_m(random_poses(3, 1, 1), label, points).mean()
        for label in (target, an_equal_label("can", target))
    ]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_a_can_by_hand():
    """Rotated by a quarter about its axis and raised by 1 cm: the rotation is forgiven, the height stays."""
    upright = SymmetryGroup(NO_MOTIONS, (ContinuousSymmetry(np.array([0.0, 0.0, 1.0]), np.zeros(3)),))
    quarter = torch.from_numpy(QUARTERS[0]).float()
    T_pred = quarter.clone()
    T_pred[2, 3] = 0.01
    chosen = nearest_symmetric_pose(
        T_pred[None, None], torch.eye(4)[None, None], one(upright), model_points(1)
    )
    torch.testing.assert_close(chosen[0, 0], quarter, atol=1e-5, rtol=0)


def test_the_poses_of_an_instance_can_share_one_choice():
    half = torch.from_numpy(HALVES[2]).float()
    target = random_poses(1, 1, 3).expand(-1, 3, -1, -1)
    T_pred = torch.cat([target[:, :2] @ half, target[:, :1]], 1)
    own, shared = (
        nearest_symmetric_pose(T_pred, target, one(GROUPS["box"]), model_points(1), together)
        for together in (False, True)
    )
    torch.testing.assert_close(own, T_pred, atol=1e-6, rtol=0)
    torch.testing.assert_close(shared, (target[:, :1] @ half).expand(-1, 3, -1, -1), atol=1e-6, rtol=0)


def test_objects_with_and_without_symmetries_share_a_batch():
    symmetries = stack_symmetries([GROUPS[name] for name in ("none", "box", "can")])
    assert symmetries.allowed.sum(1).tolist() == [1, 4, 1]
    assert symmetries.axis.norm(dim=1).tolist() == pytest.approx([0.0, 0.0, 1.0])
    assert not symmetries.has_balls
    assert not symmetries.trivial
    assert stack_symmetries([GROUPS["none"]] * 2).trivial
    T_pred, target, points = random_poses(3, 2, 1), random_poses(3, 2, 2), model_points(3)
    together = nearest_symmetric_pose(T_pred, target, symmetries, points)
    for i, name in enumerate(("none", "box", "can")):
        alone = nearest_symmetric_pose(
            T_pred[i : i + 1], target[i : i + 1], one(GROUPS[name]), points[i : i + 1]
        )
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(together[0], target[0], atol=1e-6, rtol=0)


def test_axes_of_several_directions_are_a_ball_about_the_point_where_they_meet():
    ball = stack_symmetries([GROUPS["ball"]])
    assert ball.has_balls
    assert ball.centre_m[0].tolist() == pytest.approx([0.0, 0.0, 0.1])
    T_pred, target, points = random_poses(1, 2, 1), random_poses(1, 2, 2), model_points(1)
    chosen = nearest_symmetric_pose(T_pred, target, ball, points)
    centre = torch.tensor([0.0, 0.0, 0.1, 1.0])
    torch.testing.assert_close(chosen @ centre, target @ centre, atol=1e-5, rtol=0)
    two_names_of_one_axis = SymmetryGroup(NO_MOTIONS, (AXIS, ContinuousSymmetry(-AXIS.axis, AXIS.offset_m)))
    assert not stack_symmetries([two_names_of_one_axis]).has_balls
