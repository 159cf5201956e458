"""True poses of YCB-Video in its original layout: `-meta.mat`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from selfpose6d.datasets.ground_truth import GroundTruthPose
from selfpose6d.datasets.images import data_error, find_image
from selfpose6d.datasets.pose_checks import count_or_one, require_rigid
from selfpose6d.datasets.ycb_video.files import YcbVideoFrames, read_meta
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey


def ycb_frames(frames: YcbVideoFrames, split: str, selection: Selection) -> Iterator[list[GroundTruthPose]]:
    """The annotated instances of each selected frame."""
    frame_ids = (FrameId(i, im_id) for i, im_ids in frames.by_scene.items() for im_id in im_ids)
    for frame_id in selection.select(frame_ids):
        meta = read_meta(frames.meta_path(frame_id), ("cls_indexes", "poses"))
        label = find_image(*frames.file(frame_id, "-label"))
        yield list(_ycb_poses(meta, label, split, frame_id, str(frames.meta_path(frame_id))))


def _ycb_poses(
    meta: dict[str, np.ndarray], label: Path, split: str, frame_id: FrameId, name: str
) -> Iterable[GroundTruthPose]:
    obj_ids, poses = meta["cls_indexes"].reshape(-1), meta["poses"].astype(np.float64)
    poses = poses.reshape(*poses.shape[:2], -1)
    if poses.shape != (3, 4, len(obj_ids)):
        raise data_error(name, f"poses of shape {poses.shape}, {len(obj_ids)} objects", "Restore the file.")
    for index, obj_id in enumerate(map(int, obj_ids)):
        T_cam_obj = np.concatenate([poses[:, :, index], [[0.0, 0.0, 0.0, 1.0]]])
        counts = not label.is_file() or count_or_one(label, obj_id) > 0
        key = InstanceKey(split, *frame_id, obj_id, obj_id)
        yield GroundTruthPose(key, require_rigid(T_cam_obj, f"{name}: object {obj_id}"), counts)
