import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import rendered_frame, tilted_pose
from selfpose6d.datasets.options import DataOptions
from selfpose6d.geometry.se3 import retract
from selfpose6d.labeling import pure_icp
from selfpose6d.labeling.annotate import AnnotateOptions, annotate, verify_pose
from selfpose6d.selection import FrameId
from selfpose6d.types import Instance, InstanceKey


def test_a_rendered_box_is_certified_where_it_is(box):
    T = tilted_pose()
    (label,) = annotate(rendered_frame(box, T), {1: box.mesh})
    assert label.valid
    assert label.certificate.status == "certified"
    np.testing.assert_allclose(label.T_cam_obj, T.numpy(), atol=0.01)
    assert np.linalg.norm(label.T_cam_obj[:3, 3] - T[:3, 3].numpy()) < 0.002


def test_same_seed_same_labels(box):
    frame = rendered_frame(box, tilted_pose())
    first, second = (annotate(frame, {1: box}, AnnotateOptions(seed=5))[0] for _ in range(2))
    np.testing.assert_array_equal(first.T_cam_obj, second.T_cam_obj)
    assert first.confidence == second.confidence


def test_no_pose_is_invented(box):
    frame = rendered_frame(box, tilted_pose())
    empty = Instance(InstanceKey("test", 0, 0, 1, 1), np.zeros_like(frame.instances[0].mask))
    unknown = Instance(InstanceKey("test", 0, 0, 99, 2), frame.instances[0].mask)
    labels = annotate(replace(frame, instances=(empty, unknown)), {1: box})
    assert [label.valid for label in labels] == [False, False]
    assert "too few points" in labels[0].reason
    assert "no model for object 99" in labels[1].reason
    assert np.isnan(labels[0].T_cam_obj).all()


def test_a_pose_that_a_person_moved_is_refined_from_there(box):
    T = tilted_pose()
    frame = rendered_frame(box, T)
    moved = T @ retract(torch.tensor([0.006, -0.004, 0.003, 0.05, -0.04, 0.03]))
    found = verify_pose(frame, frame.instances[0], box, moved.double().numpy(), AnnotateOptions())
    assert found.key == frame.instances[0].key
    assert found.certificate.status == "certified"
    np.testing.assert_allclose(found.T_cam_obj, T.numpy(), atol=0.01)
    assert np.linalg.norm(found.T_cam_obj[:3, 3] - T[:3, 3].numpy()) < 0.002
    empty = replace(frame.instances[0], mask=np.zeros_like(frame.instances[0].mask))
    assert not verify_pose(frame, empty, box, moved.double().numpy(), AnnotateOptions()).valid


def test_pure_icp_is_never_certified(box):
    (label,) = annotate(rendered_frame(box, tilted_pose()), {1: box}, AnnotateOptions(method="icp"))
    assert label.valid
    assert label.certificate.status == "rejected"
    assert "--method icp" in label.certificate.reason


def test_pure_icp_runs_the_papers_fifty_iterations(box, monkeypatch):
    asked, align = [], pure_icp.align

    def noting(model, cloud, start, options):
        asked.append(options.iterations)
        return align(model, cloud, start, options)

    monkeypatch.setattr(pure_icp, "align", noting)
    annotate(rendered_frame(box, tilted_pose()), {1: box}, AnnotateOptions(method="icp"))
    assert asked == [50]


def test_an_object_without_colour_is_labelled_by_shape(box):
    plain = replace(box.mesh, texture=None, corner_uv=None, vertex_rgb=None)
    (label,) = annotate(rendered_frame(box, tilted_pose()), {1: plain})
    assert label.certificate.colour == 0
    assert label.certificate.rms_m < 0.005


@pytest.mark.parametrize(("scene_id", "im_id"), [(0, 1), (1, 1)])
def test_real_frames(ycbv_sample, scene_id, im_id):
    dataset = DataOptions(ycbv_sample, "test").open()
    frame = dataset.load_frame(FrameId(scene_id, im_id))
    labels = annotate(frame, {i.key.obj_id: dataset.load_mesh(i.key.obj_id) for i in frame.instances})
    truth = json.loads((ycbv_sample / f"test/{scene_id:06d}/scene_gt.json").read_text())[str(im_id)]
    certified = [label for label in labels if label.certificate.status == "certified"]
    assert len(certified) >= 2
    for label in certified:
        t_m = np.array(truth[label.key.inst_id]["cam_t_m2c"]) / 1000
        assert np.linalg.norm(label.T_cam_obj[:3, 3] - t_m) < 0.02
