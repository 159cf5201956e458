import math
from dataclasses import replace

import pytest
import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from labeling.test_refine import add_m
from selfpose6d.errors import UsageError
from selfpose6d.labeling import search as search_module
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.expand import similar_poses, sliding_poses
from selfpose6d.labeling.hypotheses import PoseSpacing, align, distinct, start_poses
from selfpose6d.labeling.observation import ObservationOptions
from selfpose6d.labeling.score import ScoreWeights, coarse_score, score
from selfpose6d.labeling.search import SearchOptions, search
from selfpose6d.resolver.icp import ResolverOptions


def cloud_of(model, frame):
    return observed(model, frame).cloud_cam_m


def test_distinct_keeps_the_best_of_near_poses(box):
    T = tilted_pose().repeat(4, 1, 1)
    T[1, 0, 3] += 0.002
    T[2, 0, 3] += 0.05
    T[3, 0, 3] += 0.051
    spacing = PoseSpacing(math.radians(5), 0.01)
    kept = distinct(box, T, torch.tensor([0.1, 0.9, 0.5, 0.4]), spacing, 10)
    assert kept.tolist() == [1, 2]
    assert distinct(box, T, torch.ones(4), spacing, 1).tolist() == [0]


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
    half_rotations = poses[(poses[:, :3, :3] @ T[:3, :3].T).diagonal(dim1=1, dim2=2).sum(-1) < -0.95]
    aligned = align(box, cloud, half_rotations, ResolverOptions(iterations=5))
    assert len(half_rotations) >= 3
    assert aligned.rms_m.max() < 0.03 * box.diameter_m


def test_a_can_slides_about_its_axis_and_a_tilted_box_does_not(round_can, box):
    T = tilted_pose()
    seen = observed(round_can, rendered_frame(round_can, T))
    cloud = seen.cloud_cam_m
    poses = sliding_poses(round_can, cloud, T[None], seen.lengths)
    assert len(poses) >= 40
    assert align(round_can, cloud, poses, ResolverOptions(iterations=3)).rms_m.max() < 0.004
    seen = observed(box, rendered_frame(box, T))
    assert len(sliding_poses(box, seen.cloud_cam_m, T[None], seen.lengths)) == 0


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ObservationOptions, {"coarse_px": 65}, "coarse_px must be even and at least 16, got 65"),
        (SearchOptions, {"rotations": 0}, "rotations must be at least 1"),
        (SearchOptions, {"fine_steps": -1}, "fine_steps must be at least 0"),
        (AnnotateOptions, {"attempts": 0}, "attempts must be at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(kind, options, message):
    with pytest.raises(UsageError, match=message):
        kind(**options)


def test_search_finds_box_and_can_from_nothing(box, round_can):
    T = tilted_pose()
    for model in (box, round_can):
        frame = rendered_frame(model, T)
        found = search(observed(model, frame), SearchOptions())
        assert (found.scores.total.diff() <= 0).all()
        assert add_m(model, found.T_cam_obj[:1], T)[0] < 0.003


def test_the_coarse_score_finds_the_same_promising_poses_as_the_whole(box):
    seen = observed(box, rendered_frame(box, tilted_pose()))
    cloud = seen.cloud_cam_m
    T = align(box, cloud, start_poses(box, cloud, 100), ResolverOptions(iterations=10)).T_cam_obj
    candidates = Candidates(box, seen.coarse, T)
    full = score(render_candidates(candidates), ScoreWeights()).total
    quick = coarse_score(candidates, ScoreWeights(), max_gap=0.25)
    promising = full > full.max() - 0.2
    assert 1 <= promising.sum() < len(T)
    torch.testing.assert_close(quick[promising], full[promising])
    assert quick[~promising].max() <= full.max()


def test_giving_hopeless_poses_up_changes_no_winner(box, round_can):
    for model in (box, round_can):
        seen = observed(model, rendered_frame(model, tilted_pose()))
        patient = search(seen, replace(SearchOptions(), coarse_gap=9.0, fine_gap=9.0))
        quick = search(seen, SearchOptions())
        assert len(quick.T_cam_obj) <= len(patient.T_cam_obj)
        assert add_m(model, quick.T_cam_obj[:1], patient.T_cam_obj[0])[0] < 0.001


def test_starts_that_the_residual_rules_out_are_left_out(box):
    one, options = observed(box, rendered_frame(box, tilted_pose())), SearchOptions(rotations=64)
    T, best_rms_m = search_module._aligned_starts(one, options, None)
    rms_m = align(box, one.cloud_cam_m, T, ResolverOptions(iterations=0)).rms_m
    limit_m = search_module.RMS_RATIO * best_rms_m + one.lengths.rms_slack_m
    assert 0 < len(T) <= 64
    assert (rms_m < limit_m + 1e-6).all()
    everywhere = start_poses(box, one.cloud_cam_m, 64)
    all_rms_m = align(box, one.cloud_cam_m, everywhere, options.resolver).rms_m
    assert (all_rms_m > limit_m).any()
