"""Pose optimisation by the joint loss: disturbed poses come back, never to a lower score."""

import numpy as np
import torch

from labeling.conftest import rendered_frame, tilted_pose
from labeling.test_refine import add_m, disturbed
from selfpose6d.labeling.annotate import AnnotateOptions, annotate, view_instance
from selfpose6d.labeling.joint_refine import JointRefineOptions, descend, joint_refine
from selfpose6d.labeling.observation import visible_cloud
from selfpose6d.labeling.refine import look_and_score
from selfpose6d.labeling.score import ScoreWeights
from selfpose6d.labeling.search import SearchOptions


def views(box):
    frame = rendered_frame(box, tilted_pose())
    cloud = visible_cloud(frame, frame.instances[0], box.diameter_m, 200, np.random.default_rng(0))
    return view_instance(frame, frame.instances[0], cloud, SearchOptions()).fine, cloud


def test_disturbed_poses_come_back(box):
    fine, cloud = views(box)
    start = disturbed(box, tilted_pose(), torch.Generator().manual_seed(0))
    found = descend(box, fine, cloud, start, JointRefineOptions(steps=60))
    assert add_m(box, start, tilted_pose()).median() > 0.004
    assert add_m(box, found, tilted_pose()).median() < 0.001


def test_it_never_scores_below_its_start(box):
    fine, cloud = views(box)
    start = disturbed(box, tilted_pose(), torch.Generator().manual_seed(1), distance_m=0.03, angle_rad=0.6)
    before = look_and_score(box, fine, start, ScoreWeights(), coarse=False)[1].total
    after = joint_refine(box, fine, cloud, start, ScoreWeights(), JointRefineOptions(steps=4)).scores.total
    assert (after >= before - 1e-6).all()


def test_the_annotator_can_refine_by_it(box):
    frame = rendered_frame(box, tilted_pose())
    search = SearchOptions(refinement="joint-loss", joint=JointRefineOptions(steps=5))
    (label,) = annotate(frame, {1: box}, AnnotateOptions(search=search))
    assert label.certificate.status == "certified"
    T = torch.from_numpy(label.T_cam_obj).float()[None]
    assert add_m(box, T, tilted_pose())[0] < 0.005
