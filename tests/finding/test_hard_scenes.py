"""Scenes that other tools fail at: objects that touch, stand on or behind each other; and inputs that fit everything,
nothing, or in hundreds of pieces: no invented object, in bounded work.
"""

import numpy as np
import pytest
import torch

from finding.conftest import SHAPE, TABLE, frame_of, nearest, plane_depth, standing_pose, table_frame
from selfpose6d.finding.finder import FRAME_FAILS, MAX_ROUNDS, Finder
from selfpose6d.finding.found import Finding
from selfpose6d.finding.frame_finder import _untried_rows
from selfpose6d.finding.proposals import MAX_PROPOSALS
from selfpose6d.meshes.primitives.boxes import label_box
from selfpose6d.objects.object_model import ObjectModel, build_object_model
from selfpose6d.selection import FrameId
from selfpose6d.synthetic.mesh_variation import scaled


@pytest.fixture(scope="module")
def finder(models) -> Finder:
    return Finder(models)


def found_near(finding: Finding, models: dict[int, ObjectModel], poses: dict[int, torch.Tensor]) -> set[int]:
    """The objects whose pose is right to 2 cm by ADD-S of the vertices."""
    from scipy.spatial import cKDTree

    right = set()
    for one in finding.found:
        points = models[one.obj_id].mesh.vertices_m
        true, seen = (
            points @ T[:3, :3].T + T[:3, 3] for T in (poses[one.obj_id].numpy(), one.pose.T_cam_obj)
        )
        if cKDTree(seen).query(true)[0].mean() < 0.02:
            right.add(one.obj_id)
    return right


def certified_wrong(finding: Finding, models: dict, poses: dict) -> list[int]:
    right = found_near(finding, models, poses)
    return [one.obj_id for one in finding.found if one.certified and one.obj_id not in right]


def moved(T: torch.Tensor, along: np.ndarray) -> torch.Tensor:
    T = T.clone()
    T[:3, 3] += torch.from_numpy(along).float()
    return T


def up() -> np.ndarray:
    return TABLE[0] / np.linalg.norm(TABLE[0])


def test_objects_that_touch_are_two(finder, models):
    width = float(np.ptp(models[1].mesh.vertices_m[:, 0]))
    radius = float(np.ptp(models[3].mesh.vertices_m[:, 0])) / 2
    poses = {1: standing_pose(models[1], 0.0, 0.0, 0.0)}
    poses[3] = standing_pose(models[3], width / 2 + radius + 0.001, 0.0, 0.0)
    frame, _ = table_frame(models, poses)
    finding = finder(frame, {1: 1, 3: 1})
    assert found_near(finding, models, poses) == {1, 3}
    assert certified_wrong(finding, models, poses) == []


def test_an_object_on_another_is_found_and_so_is_the_one_below(finder, models):
    height = float(np.ptp(models[2].mesh.vertices_m[:, 2]))
    poses = {2: standing_pose(models[2], 0.0, 0.0, 0.3)}
    poses[3] = moved(standing_pose(models[3], 0.0, 0.0, 1.0), up() * height)
    frame, _ = table_frame(models, poses)
    finding = finder(frame, {2: 1, 3: 1})
    assert found_near(finding, models, poses) == {2, 3}
    assert certified_wrong(finding, models, poses) == []


def test_an_object_behind_another_is_found(finder, models):
    poses = {3: standing_pose(models[3], 0.02, -0.05), 1: standing_pose(models[1], 0.0, 0.14, 0.4)}
    frame, masks = table_frame(models, poses)
    alone, _ = table_frame(models, {1: poses[1]})
    finding = finder(frame, {1: 1, 3: 1})
    assert found_near(finding, models, poses) == {1, 3}
    assert certified_wrong(finding, models, poses) == []
    assert alone.depth_m.shape == masks[1].shape


def test_an_object_without_a_table_is_found(finder, models):
    poses = {1: standing_pose(models[1], 0.0)}
    frame, masks = table_frame(models, poses)
    floating = frame_of(np.where(masks[1], frame.depth_m, 0).astype(np.float32), frame.rgb)
    assert found_near(finder(floating, {1: None}), models, poses) == {1}


def test_an_object_larger_than_the_image_is_not_invented():
    model = build_object_model(scaled(label_box(np.random.default_rng(0)), 6.0))
    finder = Finder({1: model})
    wall = plane_depth(np.array([0.0, 0.0, -1.0]), -0.8)
    noisy = (wall + np.random.default_rng(0).normal(0, 0.001, SHAPE)).astype(np.float32)
    finding = finder(frame_of(noisy), {1: 1})
    assert not any(one.certified for one in finding.found)
    assert len(finding.found) + len(finding.turned_away) <= MAX_ROUNDS * FRAME_FAILS[True]


def test_what_fits_everything_is_certified_nowhere(models):
    """A small flat disc, without colour: it fits on every plane."""
    import trimesh

    from selfpose6d.meshes.mesh import Mesh

    shape = trimesh.creation.cylinder(radius=0.02, height=0.002, sections=48)
    disc = Mesh(np.asarray(shape.vertices, np.float32), np.asarray(shape.faces, np.int32))
    every = {**models, 4: build_object_model(disc)}
    frame, _ = table_frame(every, {1: standing_pose(models[1], -0.1), 3: standing_pose(models[3], 0.1)})
    finding = Finder(every)(frame, {4: None})
    assert not any(one.certified for one in finding.found)


def test_hundreds_of_pieces_are_bounded_work(finder):
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    blocks = ((v // 24 + u // 24) % 2 == 0) & (v % 24 < 22) & (u % 24 < 22)
    depth = nearest(
        plane_depth(*TABLE), np.where(blocks, 0.55 + 0.01 * ((u // 24 * 7 + v // 24 * 3) % 11), 0)
    )
    finding = finder(frame_of(depth.astype(np.float32)), {1: None, 2: None, 3: None})
    assert len(finding.proposals) <= MAX_ROUNDS * MAX_PROPOSALS
    assert len(finding.found) + len(finding.turned_away) <= MAX_ROUNDS * FRAME_FAILS[True]
    assert not any(one.certified for one in finding.found)


def test_an_object_that_was_tried_nowhere_has_a_reason(finder, models):
    frame_id = FrameId(0, 0)
    blind = finder(frame_of(np.zeros(SHAPE, np.float32)), {1: None, 2: 1})
    rows = list(_untried_rows(frame_id, blind, {1: None, 2: 1}))
    assert [(row["obj_id"], row["reason"]) for row in rows] == [
        (1, "the frame has no depth"),
        (2, "the frame has no depth"),
    ]
    empty = finder(frame_of(plane_depth(*TABLE)), {1: None, 2: 1})
    tried = {one.obj_id for one in (*empty.found, *empty.turned_away)}
    rows = list(_untried_rows(frame_id, empty, {1: None, 2: 1}))
    assert [row["obj_id"] for row in rows] == [obj_id for obj_id in (2,) if obj_id not in tried]
    assert all(row["bbox"] == [0, 0, SHAPE[1], SHAPE[0]] for row in rows)
