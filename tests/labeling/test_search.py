import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import rendered_frame, tilted_pose
from labeling.test_refine import add_m
from selfpose6d.errors import UsageError
from selfpose6d.labeling.annotate import view_instance
from selfpose6d.labeling.expand import similar_poses, sliding_poses
from selfpose6d.labeling.hypotheses import distinct, settle, start_poses
from selfpose6d.labeling.observation import visible_cloud
from selfpose6d.labeling.refine import glance, look_and_score
from selfpose6d.labeling.score import ScoreWeights
from selfpose6d.labeling.search import SearchOptions, search
from selfpose6d.resolver.icp import ResolverOptions


def cloud_of(model, frame):
    return visible_cloud(frame, frame.instances[0], model.diameter_m, 200, np.random.default_rng(0))


def test_distinct_keeps_the_best_of_alike_poses(box):
    T = tilted_pose().repeat(4, 1, 1)
    T[1, 0, 3] += 0.002
    T[2, 0, 3] += 0.05
    T[3, 0, 3] += 0.051
    kept = distinct(T, torch.tensor([0.1, 0.9, 0.5, 0.4]), box.centre_m, math.radians(5), 0.01, 10)
    assert kept.tolist() == [1, 2]
    assert distinct(T, torch.ones(4), box.centre_m, math.radians(5), 0.01, 1).tolist() == [0]


def test_starts_put_the_visible_surface_on_the_cloud(box):
    frame = rendered_frame(box, tilted_pose())
    cloud = cloud_of(box, frame)
    starts = start_poses(box, cloud, 100)
    centres = (starts[:, :3, :3] @ box.centre_m) + starts[:, :3, 3]
    assert (centres - cloud.mean(0)).norm(dim=-1).max() < box.diameter_m
    assert (centres[:, 2] > cloud[:, 2].mean()).all()


def test_similar_poses_fit_the_cloud_as_well(box):
    T = tilted_pose()
    cloud = cloud_of(box, rendered_frame(box, T))
    poses = similar_poses(box, T[None])
    half_turns = poses[(poses[:, :3, :3] @ T[:3, :3].T).diagonal(dim1=1, dim2=2).sum(-1) < -0.95]
    settled = settle(box, cloud, half_turns, ResolverOptions(iterations=5))
    assert len(half_turns) >= 3
    assert settled.rms_m.max() < 0.03 * box.diameter_m


def test_a_can_slides_about_its_axis_and_a_tilted_box_does_not(round_can, box):
    T = tilted_pose()
    cloud = cloud_of(round_can, rendered_frame(round_can, T))
    poses = sliding_poses(round_can, cloud, T[None])
    assert len(poses) >= 40
    assert settle(round_can, cloud, poses, ResolverOptions(iterations=3)).rms_m.max() < 0.004
    assert len(sliding_poses(box, cloud_of(box, rendered_frame(box, T)), T[None])) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coarse_px": 65}, "coarse_px must be even and at least 16, got 65"),
        ({"rotations": 0}, "rotations must be at least 1"),
        ({"fine_steps": -1}, "fine_steps must be at least 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        SearchOptions(**options)


def test_search_finds_box_and_can_from_nothing(box, round_can):
    T = tilted_pose()
    for model in (box, round_can):
        frame = rendered_frame(model, T)
        cloud = cloud_of(model, frame)
        found = search(
            model, view_instance(frame, frame.instances[0], cloud, SearchOptions()), SearchOptions()
        )
        assert (found.scores.total.diff() <= 0).all()
        assert add_m(model, found.T_cam_obj[:1], T)[0] < 0.003


def test_a_glance_finds_the_same_promising_poses_as_a_full_look(box):
    frame = rendered_frame(box, tilted_pose())
    cloud = cloud_of(box, frame)
    coarse = view_instance(frame, frame.instances[0], cloud, SearchOptions()).coarse
    T = settle(box, cloud, start_poses(box, cloud, 100), ResolverOptions(iterations=10)).T_cam_obj
    full = look_and_score(box, coarse, T, ScoreWeights(), coarse=True)[1].total
    quick = glance(box, coarse, T, ScoreWeights(), gap=0.25)
    promising = full > full.max() - 0.2
    assert 1 <= promising.sum() < len(T)
    torch.testing.assert_close(quick[promising], full[promising])
    assert quick[~promising].max() <= full.max()


def test_giving_hopeless_poses_up_changes_no_winner(box, round_can):
    for model in (box, round_can):
        frame = rendered_frame(model, tilted_pose())
        view = view_instance(frame, frame.instances[0], cloud_of(model, frame), SearchOptions())
        patient = search(model, view, replace(SearchOptions(), coarse_gap=9.0, fine_gap=9.0))
        quick = search(model, view, SearchOptions())
        assert len(quick.T_cam_obj) <= len(patient.T_cam_obj)
        assert add_m(model, quick.T_cam_obj[:1], patient.T_cam_obj[0])[0] < 0.001
