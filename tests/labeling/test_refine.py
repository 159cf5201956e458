import numpy as np
import torch

from labeling.conftest import rendered_frame, tilted_pose
from selfpose6d.geometry.se3 import transform_points
from selfpose6d.labeling.annotate import view_instance
from selfpose6d.labeling.observation import visible_cloud
from selfpose6d.labeling.refine import look, move_about_centre, refine
from selfpose6d.labeling.score import ScoreWeights, score
from selfpose6d.labeling.search import SearchOptions


def disturbed(model, T, generator, poses=6, distance_m=0.006, angle_rad=0.08):
    twist = (
        torch.randn(poses, 6, generator=generator) * torch.tensor([distance_m] * 3 + [angle_rad] * 3) / 3**0.5
    )
    T = T.expand(poses, 4, 4)
    return move_about_centre(T, T[:, :3, :3] @ model.centre_m + T[:, :3, 3], twist)


def add_m(model, T, T_true):
    points = model.grid.points_m[0][::40]
    moved = transform_points(T, points.expand(len(T), -1, -1)) - transform_points(T_true, points)
    return moved.norm(dim=-1).mean(-1)


def test_disturbed_poses_come_back(box):
    T = tilted_pose()
    frame = rendered_frame(box, T)
    cloud = visible_cloud(frame, frame.instances[0], box.diameter_m, 200, np.random.default_rng(0))
    view = view_instance(frame, frame.instances[0], cloud, SearchOptions())
    start = disturbed(box, T, torch.Generator().manual_seed(0))
    coarse = refine(box, view.coarse, cloud, start, 5, ScoreWeights(), coarse=True)
    fine = refine(box, view.fine, cloud, coarse.T_cam_obj, 4, ScoreWeights(), coarse=False)
    assert add_m(box, start, T).median() > 0.004
    assert add_m(box, fine.T_cam_obj, T).max() < 0.001


def test_refinement_never_scores_below_its_start(box):
    T = tilted_pose()
    frame = rendered_frame(box, T)
    cloud = visible_cloud(frame, frame.instances[0], box.diameter_m, 200, np.random.default_rng(0))
    view = view_instance(frame, frame.instances[0], cloud, SearchOptions())
    start = disturbed(box, T, torch.Generator().manual_seed(1), distance_m=0.03, angle_rad=0.6)
    before = score(view.coarse, look(box, view.coarse, start, True), ScoreWeights(), True).total
    after = refine(box, view.coarse, cloud, start, 3, ScoreWeights(), coarse=True).scores.total
    assert (after >= before - 1e-6).all()


def test_rotation_about_the_centre_leaves_the_centre(box):
    T = tilted_pose()[None]
    centre = T[:, :3, :3] @ box.centre_m + T[:, :3, 3]
    moved = move_about_centre(T, centre, torch.tensor([[0, 0, 0, 0.3, -0.2, 0.1]]))
    torch.testing.assert_close(moved[:, :3, :3] @ box.centre_m + moved[:, :3, 3], centre)
