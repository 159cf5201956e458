"""The joint loss through the renderer: least at the true pose, its gradient points there, odd meshes are survived."""

from dataclasses import replace

import numpy as np
import pytest
import roma
import torch
from small_roots import cube

from selfpose6d.crops.batch import decode_records, sample_batch
from selfpose6d.crops.store import open_crop_store
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.geometry.se3 import inverse, make_transform, transform_points
from selfpose6d.losses.joint import JointLossOptions
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.objects.rendered import build_rendered_objects
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.training.render_loss import rendered_joint_loss

OPTIONS = JointLossOptions(colour=0.01, iou=1.0, geometry=100.0)


@pytest.fixture
def shapes():
    return build_object_shapes([cube()])


@pytest.fixture
def batch(dataset, cache):
    store = open_crop_store(dataset, 32, cache)
    images = decode_records(store.read(np.arange(len(store))))
    return sample_batch(images, {2: 0}, torch.tensor([0.18]), 120, torch.Generator().manual_seed(0))


@pytest.fixture
def T_true(dataset, batch):
    truth = torch.from_numpy(
        np.stack([p.T_cam_obj for p in load_ground_truth(dataset.root, "train")])
    ).float()
    return (inverse(batch.T_cam_crop) @ truth)[:, None]


def off(T: torch.Tensor, rotation_rad: float = 0.15, shift_m: float = 0.01) -> torch.Tensor:
    R_offset = roma.rotvec_to_rotmat(torch.tensor([0.0, rotation_rad, 0.0]))
    return T @ make_transform(R_offset, torch.tensor([shift_m, 0.0, 0.0]))


def test_the_loss_is_less_at_the_true_pose(batch, shapes, T_true):
    objects = build_rendered_objects([cube()], "cpu")
    right, wrong = (
        rendered_joint_loss(objects, batch, T, shapes.grid, OPTIONS).terms for T in (T_true, off(T_true))
    )
    for name in ("total", "iou", "geometry"):
        assert (getattr(right, name) < getattr(wrong, name)).float().mean() > 0.9, name
    assert right.iou.mean() < 0.1


def test_a_few_steps_against_the_gradient_bring_poses_nearer(batch, shapes, T_true):
    objects = build_rendered_objects([cube()], "cpu")
    twist = torch.zeros(len(T_true), 6, requires_grad=True)
    optimiser = torch.optim.Adam([twist], lr=0.01)
    start = off(T_true)

    def posed():
        return start @ make_transform(roma.rotvec_to_rotmat(twist[:, 3:]), 0.1 * twist[:, :3])[:, None]

    for _ in range(30):
        optimiser.zero_grad()
        rendered_joint_loss(objects, batch, posed(), shapes.grid, OPTIONS).terms.total.sum().backward()
        optimiser.step()
    points_m = shapes.points_m[:1, None].expand(len(T_true), -1, -1, -1)
    before, after = (
        (transform_points(T, points_m) - transform_points(T_true, points_m)).norm(dim=-1).mean()
        for T in (start, posed().detach())
    )
    assert after < 0.85 * before  # masks of crops of 32 px are a pixel off at their outline


def test_a_step_is_the_mean_over_the_refinement_steps(batch, shapes, T_true):
    objects = build_rendered_objects([cube()], "cpu")
    both = torch.cat([off(T_true), T_true], 1)
    first, second, joined = (
        rendered_joint_loss(objects, batch, T, shapes.grid, OPTIONS).terms.total
        for T in (both[:, :1], both[:, 1:], both)
    )
    torch.testing.assert_close(joined, 0.5 * (first + second))


@pytest.mark.parametrize("absent", ["colour", "iou", "geometry"])
def test_a_term_can_be_left_out(batch, shapes, T_true, absent):
    objects, options = build_rendered_objects([cube()], "cpu"), replace(OPTIONS, **{absent: 0.0})
    T = off(T_true).requires_grad_()
    found = rendered_joint_loss(objects, batch, T, shapes.grid, options, norms=True)
    found.terms.total.sum().backward()
    assert found.gradient_norms.keys() == {"colour", "iou", "geometry"} - {absent}
    assert torch.isfinite(T.grad).all()
    assert T.grad.abs().sum() > 0


@pytest.mark.parametrize("fault", ["plain", "flipped", "open", "degenerate", "behind", "elsewhere"])
def test_odd_meshes_and_poses_give_finite_losses_and_gradients(batch, shapes, T_true, fault):
    mesh = cube()
    faces, rgb = mesh.faces, mesh.vertex_rgb
    if fault == "flipped":
        faces = faces[:, ::-1].copy()
    elif fault == "open":
        faces = faces[:7]
    elif fault == "degenerate":
        faces = np.concatenate([faces, faces[:4, [0, 0, 1]]])
    elif fault == "plain":
        rgb = None
    objects = build_rendered_objects([Mesh(mesh.vertices_m, faces, vertex_rgb=rgb)], "cpu")
    T = T_true.clone()
    if fault == "behind":
        T[..., 2, 3] -= 0.5
    elif fault == "elsewhere":
        T[..., 0, 3] += 5.0
    T.requires_grad_()
    found = rendered_joint_loss(objects, batch, T, shapes.grid, OPTIONS, norms=True)
    found.terms.total.sum().backward()
    assert all(torch.isfinite(term).all() for term in vars(found.terms).values())
    assert T.grad is not None
    assert torch.isfinite(T.grad).all()
    if fault == "plain":
        assert (found.terms.colour == 0).all()
        assert found.gradient_norms["colour"] == 0
    if fault == "elsewhere":
        assert (found.gradient_norms["iou"], found.gradient_norms["colour"]) == (0.0, 0.0)
        assert (found.terms.iou == 1).all()
