"""`overlay`: every pose's outline in the colour of its certificate, with its name; nothing else is taken."""

import numpy as np
import pytest

from selfpose6d.errors import UsageError
from selfpose6d.types import Certificate, Frame, InstanceKey, LabeledPose, PoseEstimate
from selfpose6d.viz import frame_overlay
from selfpose6d.viz.frame_overlay import overlay
from selfpose6d.viz.palette import STATUS_RGB

GREY = 127


@pytest.fixture
def frame(K):
    rgb = np.full((120, 160, 3), GREY, np.uint8)
    return Frame("test", 0, 0, rgb, np.ones((120, 160), np.float32), K, ())


def labeled(T_cam_obj, status, obj_id=7) -> LabeledPose:
    certificate = Certificate(status, "", 0.9, *[0.0] * 5)
    return LabeledPose(InstanceKey("test", 0, 0, obj_id, 0), T_cam_obj, 0.9, certificate=certificate)


def num_of_colour(image, rgb) -> int:
    return int((np.abs(image.astype(int) - rgb) <= 12).all(axis=-1).sum())


@pytest.mark.parametrize("status", ["certified", "ambiguous", "rejected"])
def test_a_pose_is_drawn_in_the_colour_of_its_certificate(frame, box_mesh, T_cam_obj, status):
    drawn = overlay(frame, [labeled(T_cam_obj, status)], {7: box_mesh})
    assert num_of_colour(drawn, STATUS_RGB[status]) > 60
    assert (frame.rgb == GREY).all()


def test_a_pose_without_certificate_is_blue_and_may_stand_alone(frame, box_mesh, T_cam_obj):
    pose = PoseEstimate(InstanceKey("", 0, 0, 7, 0), T_cam_obj, 0.5)
    alone, listed = (overlay(frame, given, {7: box_mesh}) for given in (pose, [pose]))
    assert num_of_colour(alone, STATUS_RGB[""]) > 60
    np.testing.assert_array_equal(alone, listed)


def test_names_stand_for_ids(frame, box_mesh, T_cam_obj, monkeypatch):
    labels, draw = [], frame_overlay.draw_overlay

    def noting(rgb, K, meshes, poses):
        labels.extend(pose.label for pose in poses)
        return draw(rgb, K, meshes, poses)

    monkeypatch.setattr(frame_overlay, "draw_overlay", noting)
    poses = [labeled(T_cam_obj, "certified"), labeled(T_cam_obj, "rejected", 8)]
    overlay(frame, poses, {7: box_mesh, 8: box_mesh}, {7: "mug"})
    assert labels == ["mug certified 0.90", "object 8 rejected 0.90"]


def test_nothing_is_drawn_where_there_is_no_pose(frame):
    none = PoseEstimate.none(InstanceKey("", 0, 0, 7, 0), "too few points")
    for poses in ([], [none]):
        drawn = overlay(frame, poses, {})
        np.testing.assert_array_equal(drawn, frame.rgb)
        assert drawn is not frame.rgb


def test_a_pose_without_mesh_is_refused(frame, box_mesh, T_cam_obj):
    with pytest.raises(UsageError, match="meshes must have every pose's object, got 8: 7 missing"):
        overlay(frame, [labeled(T_cam_obj, "certified")], {8: box_mesh})
