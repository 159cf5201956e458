from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import WALL_M, K, rendered_frame, tilted_pose
from selfpose6d.crops.crop import square_box
from selfpose6d.geometry.camera import back_project
from selfpose6d.labeling.observation import TooFewPointsError, crop_instance, visible_cloud


def test_a_crop_back_projects_to_the_same_points(box):
    frame = rendered_frame(box, tilted_pose())
    instance = frame.instances[0]
    crop = crop_instance(frame, instance.mask, square_box(instance.mask), 64)
    whole = back_project(torch.from_numpy(frame.depth_m), torch.from_numpy(K).float())[instance.mask]
    points = back_project(crop.depth_m, crop.K)[crop.mask]
    distance_m = torch.cdist(points, whole).amin(1)
    # nearest-pixel resampling displaces by at most about half a pixel of the frame
    assert distance_m.max() < 1.0 * 0.8 / 600


def test_pixels_beyond_the_image_are_marked(box):
    frame = rendered_frame(box, tilted_pose())
    mask = np.zeros_like(frame.instances[0].mask)
    mask[:40, :40] = True
    crop = crop_instance(frame, mask, square_box(mask, margin=0.5), 80)
    assert not crop.in_image[0, 0]
    assert crop.in_image[40, 40]
    assert (crop.depth_m[~crop.in_image] == 0).all()


def test_the_cloud_lies_on_the_surface(box):
    T = tilted_pose()
    frame = rendered_frame(box, T)
    cloud = visible_cloud(frame, frame.instances[0], box.diameter_m, 100, np.random.default_rng(0))
    assert cloud.shape == (100, 3)
    assert (cloud[:, 2] < WALL_M - 0.5).all()


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_too_few_points_are_refused_with_their_number(box, bad):
    frame = rendered_frame(box, tilted_pose())
    instance = frame.instances[0]
    rows, columns = np.nonzero(instance.mask)
    depth_m = np.full_like(frame.depth_m, bad)
    depth_m[rows[:30], columns[:30]] = 0.8
    with pytest.raises(TooFewPointsError, match="30 mask pixels with depth, need 50"):
        visible_cloud(replace(frame, depth_m=depth_m), instance, 0.2, 100, np.random.default_rng(0))


def test_points_behind_the_object_are_dropped(box):
    frame = rendered_frame(box, tilted_pose())
    instance = frame.instances[0]
    depth_m = frame.depth_m.copy()
    rows, columns = np.nonzero(instance.mask)
    depth_m[rows[::4], columns[::4]] = 4.0
    cloud = visible_cloud(
        replace(frame, depth_m=depth_m), instance, box.diameter_m, 200, np.random.default_rng(0)
    )
    assert cloud[:, 2].max() < 1.2


def test_the_same_generator_gives_the_same_cloud(box):
    frame = rendered_frame(box, tilted_pose())
    first, second = (
        visible_cloud(frame, frame.instances[0], 0.2, 50, np.random.default_rng(3)) for _ in range(2)
    )
    assert torch.equal(first, second)
