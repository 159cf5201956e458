"""True poses of YCB-Video in its original layout: `-meta.mat`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets, count_or_one, rigid
from selfpose6d.datasets.images import data_error
from selfpose6d.datasets.inputs import image_path
from selfpose6d.datasets.ycb_video.files import YcbVideoFrames, class_ids, read_meta
from selfpose6d.errors import UsageError
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey


def true_poses(
    root: Path, split: str, selection: Selection, targets: Targets | None
) -> Iterator[list[GroundTruthPose]]:
    """The annotated instances of each selected frame.

    Raises:
        UsageError: no such split, or `bop19` targets are asked for.
        DataError: a `-meta.mat` is missing or broken.
    """
    if targets == "bop19":
        raise UsageError(f"{root}: layout ycb-video has no bop19 targets. Use --targets all.")
    frames = YcbVideoFrames(root, split)
    frame_ids = (FrameId(i, im_id) for i, im_ids in frames.by_scene.items() for im_id in im_ids)
    for frame_id in selection.select(frame_ids):
        yield list(_poses_of_frame(frames, frame_id, split, reads_masks=targets != "annotated"))


def _poses_of_frame(
    frames: YcbVideoFrames, frame_id: FrameId, split: str, reads_masks: bool
) -> Iterator[GroundTruthPose]:
    path = frames.meta_path(frame_id)
    meta = read_meta(path, ("cls_indexes", "poses"))
    label = image_path(frames.label_image(frame_id))
    obj_ids, poses = class_ids(meta, path), meta["poses"].astype(np.float64)
    poses = poses.reshape(*poses.shape[:2], -1)
    if poses.shape != (3, 4, len(obj_ids)):
        raise data_error(path, f"poses of shape {poses.shape}, {len(obj_ids)} objects", "Restore the file.")
    for index, obj_id in enumerate(obj_ids):
        T_cam_obj = np.concatenate([poses[:, :, index], [[0.0, 0.0, 0.0, 1.0]]])
        counts = not reads_masks or not label.is_file() or count_or_one(label, obj_id) > 0
        key = InstanceKey(split, *frame_id, obj_id, obj_id)
        yield GroundTruthPose(key, rigid(T_cam_obj, f"{path}: object {obj_id}"), counts)
