import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from selfpose6d.geometry.se3 import rotate_about, transform_points
from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.refine import RefineOptions, refine
from selfpose6d.labeling.score import ScoreWeights, score


def perturbed(model, T, generator, poses=6, distance_m=0.006, angle_rad=0.08):
    twist = (
        torch.randn(poses, 6, generator=generator) * torch.tensor([distance_m] * 3 + [angle_rad] * 3) / 3**0.5
    )
    T = T.expand(poses, 4, 4)
    return rotate_about(T, model.centre_at(T), twist)


def add_m(model, T, T_true):
    points = model.grid.points_m[0][::40]
    moved = transform_points(T, points.expand(len(T), -1, -1)) - transform_points(T_true, points)
    return moved.norm(dim=-1).mean(-1)


def test_perturbed_poses_come_back(box):
    T = tilted_pose()
    seen = observed(box, rendered_frame(box, T))
    start = perturbed(box, T, torch.Generator().manual_seed(0))
    coarse = refine(
        Candidates(box, seen.coarse, start), seen.cloud_cam_m, ScoreWeights(), RefineOptions(5, False)
    )
    fine = Candidates(box, seen.fine, coarse.T_cam_obj)
    fine = refine(fine, seen.cloud_cam_m, ScoreWeights(), RefineOptions(4, True))
    assert add_m(box, start, T).median() > 0.004
    assert add_m(box, fine.T_cam_obj, T).max() < 0.001


def test_refinement_never_scores_below_its_start(box):
    T = tilted_pose()
    seen = observed(box, rendered_frame(box, T))
    start = perturbed(box, T, torch.Generator().manual_seed(1), distance_m=0.03, angle_rad=0.6)
    candidates = Candidates(box, seen.coarse, start)
    before = score(render_candidates(candidates), ScoreWeights()).total
    after = refine(candidates, seen.cloud_cam_m, ScoreWeights(), RefineOptions(3, False)).total
    assert (after >= before - 1e-6).all()


def test_rotation_about_the_centre_leaves_the_centre(box):
    T = tilted_pose()[None]
    centre = box.centre_at(T)
    moved = rotate_about(T, centre, torch.tensor([[0, 0, 0, 0.3, -0.2, 0.1]]))
    torch.testing.assert_close(box.centre_at(moved), centre)
