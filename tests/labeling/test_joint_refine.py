"""Pose optimisation by the joint loss: perturbed poses come back, never to a lower score."""

import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from labeling.test_refine import add_m, perturbed
from selfpose6d.labeling.annotate import AnnotateOptions, annotate
from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.joint_refine import JointRefineOptions, descend, joint_refine
from selfpose6d.labeling.score import ScoreWeights, score
from selfpose6d.labeling.search import SearchOptions


def test_perturbed_poses_come_back(box):
    seen = observed(box, rendered_frame(box, tilted_pose()))
    start = perturbed(box, tilted_pose(), torch.Generator().manual_seed(0))
    found = descend(Candidates(box, seen.fine, start), seen.cloud_cam_m, JointRefineOptions(steps=60))
    assert add_m(box, start, tilted_pose()).median() > 0.004
    assert add_m(box, found, tilted_pose()).median() < 0.001


def test_it_never_scores_below_its_start(box):
    seen = observed(box, rendered_frame(box, tilted_pose()))
    start = perturbed(box, tilted_pose(), torch.Generator().manual_seed(1), distance_m=0.03, angle_rad=0.6)
    candidates = Candidates(box, seen.fine, start)
    before = score(render_candidates(candidates), ScoreWeights()).total
    after = joint_refine(candidates, seen.cloud_cam_m, ScoreWeights(), JointRefineOptions(steps=4)).total
    assert (after >= before - 1e-6).all()


def test_the_annotator_can_refine_by_it(box):
    frame = rendered_frame(box, tilted_pose())
    search = SearchOptions(refinement="joint-loss", joint=JointRefineOptions(steps=5))
    (label,) = annotate(frame, {1: box}, AnnotateOptions(search=search))
    assert label.certificate.status == "certified"
    T = torch.from_numpy(label.T_cam_obj).float()[None]
    assert add_m(box, T, tilted_pose())[0] < 0.005
