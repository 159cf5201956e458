from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from selfpose6d.errors import UsageError
from selfpose6d.geometry.se3 import retract
from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.detail import erode, high_pass
from selfpose6d.labeling.score import ScoreWeights, score


def scores_at(model, frame, T_cam_obj):
    candidates = Candidates(model, observed(model, frame).fine, T_cam_obj)
    return score(render_candidates(candidates), ScoreWeights())


def test_the_true_pose_explains_everything(box):
    T = tilted_pose()
    scores = scores_at(box, rendered_frame(box, T), T[None])
    assert scores.coverage[0] > 0.98
    assert scores.depth[0] < 0.05
    assert scores.free_space[0] < 0.02  # half a pixel along the occluding contour
    assert scores.colour[0] > 0.8


def test_total_is_the_weighted_sum_of_its_terms(box):
    T = tilted_pose()
    shifted = retract(torch.tensor([[0.01, 0, 0, 0, 0, 0.1]])) @ T
    s = scores_at(box, rendered_frame(box, T), shifted)
    w = ScoreWeights()
    expected = s.coverage - w.depth * s.depth - w.free_space * s.free_space + w.colour * s.colour
    torch.testing.assert_close(s.total, expected)


def test_a_pose_that_sticks_out_into_seen_background_violates_free_space(box):
    T = tilted_pose()
    shifted = T.clone()
    shifted[0, 3] += 0.04
    scores = scores_at(box, rendered_frame(box, T), torch.stack([T, shifted]))
    assert scores.free_space[1] > 0.1
    assert scores.total[1] < scores.total[0] - 0.3


def test_unknown_depth_outside_the_mask_is_not_free_space(box):
    T = tilted_pose()
    frame = rendered_frame(box, T)
    depth_m = np.where(frame.instances[0].mask, frame.depth_m, 0).astype(np.float32)
    shifted = T.clone()
    shifted[0, 3] += 0.04
    assert scores_at(box, replace(frame, depth_m=depth_m), shifted[None]).free_space[0] == 0


def test_an_occluder_in_front_is_not_free_space(box):
    T = tilted_pose()
    frame = rendered_frame(box, T)
    mask = frame.instances[0].mask.copy()
    columns = np.flatnonzero(mask.any(axis=0))
    hidden = mask.copy()
    hidden[:, : columns[len(columns) // 2]] = False
    depth_m = np.where(mask & ~hidden, 0.5, frame.depth_m).astype(np.float32)
    instance = replace(frame.instances[0], mask=hidden)
    scores = scores_at(box, replace(frame, depth_m=depth_m, instances=(instance,)), T[None])
    assert scores.free_space[0] < 0.02  # half a pixel along the occluding contour
    assert scores.coverage[0] > 0.98


def test_colour_tells_the_four_ways_round_apart(box):
    T = tilted_pose()
    rotated = T @ torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    scores = scores_at(box, rendered_frame(box, T), torch.stack([T, rotated]))
    assert scores.colour[0] - scores.colour[1] > 0.4


def test_a_shifted_image_is_forgiven(box):
    T = tilted_pose()
    frame = rendered_frame(box, T)
    rgb = np.roll(frame.rgb, (2, -2), axis=(0, 1))
    straight, moved = (scores_at(box, f, T[None]).colour[0] for f in (frame, replace(frame, rgb=rgb)))
    assert moved > straight - 0.15


def test_erode_by_hand():
    mask = torch.zeros(1, 7, 7, dtype=torch.bool)
    mask[0, 1:6, 1:6] = True
    eroded = erode(mask, 1)
    assert eroded.sum() == 9
    assert eroded[0, 2:5, 2:5].all()


def test_high_pass_of_a_plain_patch_is_zero():
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[0, 8:24, 8:24] = True
    lab = torch.full((1, 32, 32, 3), 40.0)
    assert high_pass(lab, mask).abs().max() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("size", [(32, 30), (31, 31)])
def test_high_pass_refuses_images_that_its_kernels_would_leave(size):
    with pytest.raises(UsageError, match="square and of even size"):
        high_pass(torch.zeros(1, *size, 3), torch.zeros(1, *size, dtype=torch.bool))
