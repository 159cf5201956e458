"""The whole chain on real frames: mesh unit, texture, camera and pose conventions agree with what the sensor saw."""

from pathlib import Path

import numpy as np
import pytest
import torch

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.ground_truth import GroundTruthPose
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.selection import FrameId
from selfpose6d.types import Frame, Rendering

FRAMES = (FrameId(0, 1), FrameId(1, 5))


def render_truth(dataset: Dataset, frame: Frame, truth: GroundTruthPose) -> Rendering:
    return render(
        PosedMeshes(
            pack_meshes([dataset.load_mesh(truth.key.obj_id)]),
            torch.zeros(1, dtype=torch.int64),
            torch.from_numpy(truth.T_cam_obj)[None].float(),
            torch.from_numpy(frame.K)[None].float(),
            *frame.depth_m.shape,
        ),
    )


@pytest.mark.parametrize("frame_id", FRAMES, ids=str)
def test_true_poses_render_what_the_camera_measured(ycbv_sample: Path, frame_id: FrameId):
    """YCB-Video's annotation and sensor agree to a few millimetres; its masks are rendered from the same poses."""
    dataset = DataOptions(ycbv_sample, split="test").open()
    frame = dataset.load_frame(frame_id)
    truths = {truth.key: truth for truth in load_ground_truth(ycbv_sample)}
    assert frame.instances
    for instance in frame.instances:
        image = render_truth(dataset, frame, truths[instance.key])
        depth_m, drawn = image.depth_m[0].numpy(), image.mask[0].numpy() > 0
        both = instance.mask & drawn & (frame.depth_m > 0)
        error_m = np.abs(frame.depth_m[both] - depth_m[both])
        assert (instance.mask & drawn).sum() > 0.99 * instance.mask.sum()
        assert np.median(error_m) < 0.004
        assert np.percentile(error_m, 90) < 0.012


@pytest.mark.parametrize("frame_id", FRAMES, ids=str)
def test_true_poses_render_the_colours_of_the_observed_image(ycbv_sample: Path, frame_id: FrameId):
    """Texture the right way up: the rendering correlates with the observed image, and less so when it is mirrored."""
    dataset = DataOptions(ycbv_sample, split="test").open()
    frame = dataset.load_frame(frame_id)
    truths = {truth.key: truth for truth in load_ground_truth(ycbv_sample)}
    for instance in frame.instances:
        rgb = render_truth(dataset, frame, truths[instance.key]).rgb[0].numpy()
        seen = instance.mask & (rgb.sum(-1) > 0)
        upright = np.corrcoef(frame.rgb[seen].ravel(), rgb[seen].ravel())[0, 1]
        assert upright > 0.4
        rows, columns = np.nonzero(seen)
        flipped = rgb[rows.max() + rows.min() - rows, columns]
        assert upright > np.corrcoef(frame.rgb[seen].ravel(), flipped.ravel())[0, 1]
