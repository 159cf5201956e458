from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import WALL_M, K, observed, rendered_frame, tilted_pose
from selfpose6d.crops.crop import square_box
from selfpose6d.geometry.camera import back_project
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.observation import (
    ObservationOptions,
    ObservedFrame,
    observe,
    observe_crop,
    outside_distance,
)
from selfpose6d.objects.object_model import FINE_MESH
from selfpose6d.types import LabeledPose


def crop_of(frame, mask, box, size_px):
    lengths = Lengths(0.27, 0.001)
    return observe_crop(
        ObservedFrame.of(frame), mask, box, torch.device("cpu"), lengths, size_px, FINE_MESH, max_shift_px=2
    )


def test_a_crop_back_projects_to_the_same_points(box):
    frame = rendered_frame(box, tilted_pose())
    instance = frame.instances[0]
    crop = crop_of(frame, instance.mask, square_box(instance.mask), 64)
    whole = back_project(torch.from_numpy(frame.depth_m), torch.from_numpy(K).float())[instance.mask]
    points = back_project(crop.depth_m, crop.K)[crop.mask]
    distance_m = torch.cdist(points, whole).amin(1)
    # nearest-pixel resampling displaces by at most about half a pixel of the frame
    assert distance_m.max() < 1.0 * 0.8 / 600


def test_pixels_beyond_the_image_are_marked(box):
    frame = rendered_frame(box, tilted_pose())
    mask = np.zeros_like(frame.instances[0].mask)
    mask[:40, :40] = True
    crop = crop_of(frame, mask, square_box(mask, margin=0.5), 80)
    assert not crop.in_image[0, 0]
    assert crop.in_image[40, 40]
    assert (crop.depth_m[~crop.in_image] == 0).all()


def test_the_cloud_lies_on_the_surface(box):
    T = tilted_pose()
    cloud = observed(box, rendered_frame(box, T)).cloud_cam_m
    assert cloud.shape == (200, 3)
    assert (cloud[:, 2] < WALL_M - 0.5).all()


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_too_few_points_are_refused_with_their_number(box, bad):
    frame = rendered_frame(box, tilted_pose())
    instance = frame.instances[0]
    rows, columns = np.nonzero(instance.mask)
    depth_m = np.full_like(frame.depth_m, bad)
    depth_m[rows[:30], columns[:30]] = 0.8
    seen = ObservedFrame.of(replace(frame, depth_m=depth_m))
    found = observe(seen, instance, box, ObservationOptions(), np.random.default_rng(0))
    assert isinstance(found, LabeledPose)
    assert not found.valid
    assert found.reason == "too few points: 30 mask pixels with depth, need 50"


def test_points_behind_the_object_are_dropped(box):
    frame = rendered_frame(box, tilted_pose())
    instance = frame.instances[0]
    depth_m = frame.depth_m.copy()
    rows, columns = np.nonzero(instance.mask)
    depth_m[rows[::4], columns[::4]] = 4.0
    cloud = observed(box, replace(frame, depth_m=depth_m)).cloud_cam_m
    assert cloud[:, 2].max() < 1.2


def test_the_same_generator_gives_the_same_cloud(box):
    frame = rendered_frame(box, tilted_pose())
    first, second = (observed(box, frame, seed=3) for _ in range(2))
    assert torch.equal(first.cloud_cam_m, second.cloud_cam_m)
    again = first.resampled(np.random.default_rng(4)).cloud_cam_m
    assert again.shape == first.cloud_cam_m.shape
    assert not torch.equal(again, first.cloud_cam_m)


def test_the_distance_field_by_hand():
    mask = np.zeros((16, 16), bool)
    mask[:, :4] = True
    distance_px, du, dv = outside_distance(mask)
    assert distance_px[3].tolist() == pytest.approx([0] * 4 + list(range(1, 11)) + [10, 10], rel=0.05)
    assert distance_px.max() == 10
    assert du[3, 4:12].tolist() == pytest.approx([1.0] * 8, rel=0.05)
    assert (dv == 0).all()
