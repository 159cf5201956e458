"""True poses, for scoring and supervised recipes. The only module that reads poses from a data set.

Works without images: a set of poses alone can be scored.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.bop.dataset import find_scenes
from selfpose6d.datasets.bop.scene import list_frames, mask_path, rgb_path
from selfpose6d.datasets.images import data_error, find_image, read_labels
from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.datasets.ycb_video.files import YcbVideoFrames, read_meta
from selfpose6d.errors import DataError, UsageError
from selfpose6d.runs.predictions import MAX_ROTATION_DEFECT, rotation_defect, transform_of
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey

Targets = Literal["all", "bop19"]
TARGETS_NAME = "test_targets_bop19.json"


@dataclass(frozen=True)
class GroundTruthPose:
    """The true pose of one annotated instance; `counts` marks those that enter the scores."""

    key: InstanceKey
    T_cam_obj: Float[np.ndarray, "4 4"]
    counts: bool = True


def load_ground_truth(
    root: Path | str, split: str = "test", selection: Selection | None = None, targets: Targets | None = None
) -> list[GroundTruthPose]:
    """Every annotated instance of the selected frames and objects, by frame; see `iterate_ground_truth`."""
    return list(iterate_ground_truth(root, split, selection, targets))


def iterate_ground_truth(
    root: Path | str, split: str = "test", selection: Selection | None = None, targets: Targets | None = None
) -> Iterator[GroundTruthPose]:
    """Every annotated instance of the selected frames and objects, one frame in memory at a time.

    `targets` says which count. `bop19`: those of `test_targets_bop19.json`; where an image has more instances
    of an object than it asks for, the most visible. `all`: those with a mask that is not empty, and those
    without an image. None is `bop19` where the file exists and the split is a test split, else `all`.

    Raises:
        UsageError: the layout has no true poses, there is no such split, or no target file.
        DataError: a file is missing or broken.
    """
    root, selection = Path(root), selection or Selection()
    layout = detect_layout(root)
    if layout == "bop":
        frames = _bop_frames(root, split, selection, bop19_targets(root, split, targets))
    elif layout == "ycb-video" and targets != "bop19":
        frames = _ycb_frames(YcbVideoFrames(root, split), split, selection)
    else:
        raise UsageError(
            f"{root}: layout {layout} has no {targets or 'true poses'}. Pass a BOP or YCB-Video root."
        )
    for frame in frames:
        yield from (pose for pose in frame if selection.keeps_object(pose.key.obj_id))


def bop19_targets(root: Path, split: str, targets: Targets | None) -> dict[tuple[int, int, int], int] | None:
    """How many instances count by (scene, image, object), as the target file says; None where all count.

    Raises:
        UsageError: `bop19` is asked for and there is no file.
        DataError: the file is not BOP's.
    """
    path = root / TARGETS_NAME
    if targets == "all" or (targets is None and not (path.is_file() and split.startswith("test"))):
        return None
    if not path.is_file():
        raise UsageError(f"--targets bop19 needs {path}, which does not exist. Use --targets all.")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {(int(r["scene_id"]), int(r["im_id"]), int(r["obj_id"])): int(r["inst_count"]) for r in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise data_error(
            path, f"not BOP's target list ({error!r})", "Restore it, or use --targets all."
        ) from None


def _bop_frames(
    root: Path, split: str, selection: Selection, targets: dict[tuple[int, int, int], int] | None
) -> Iterator[list[GroundTruthPose]]:
    scenes = {i: path for i, path in find_scenes(root, split).items() if selection.keeps_scene(i)}
    frame_ids = (FrameId(i, im_id) for i, path in scenes.items() for im_id in list_frames(path))
    loaded: tuple[int | None, dict[str, Any]] = (None, {})
    for frame_id in selection.select(frame_ids):
        scene = scenes[frame_id.scene_id]
        if loaded[0] != frame_id.scene_id:
            loaded = frame_id.scene_id, _read_scene_gt(scene / "scene_gt.json")
        entries = loaded[1].get(str(frame_id.im_id), ())
        poses = [_bop_pose(scene, split, frame_id, i, entry) for i, entry in enumerate(entries)]
        yield _marked(poses, scene, targets)


def _read_scene_gt(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise data_error(path, "missing file, and with it the true poses", "Restore it to score.") from None
    except ValueError as error:
        raise data_error(path, f"broken JSON ({error})", "Restore it from the data set.") from None


def _bop_pose(scene: Path, split: str, frame_id: FrameId, index: int, entry: Any) -> GroundTruthPose:
    name = f"{scene / 'scene_gt.json'}: image {frame_id.im_id}, entry {index}"
    try:
        T_cam_obj = transform_of(entry["cam_R_m2c"], entry["cam_t_m2c"])
        key = InstanceKey(split, *frame_id, int(entry["obj_id"]), index)
    except (KeyError, TypeError, ValueError) as error:
        raise data_error(name, f"not BOP's form ({error!r})", "Restore it from the data set.") from None
    return GroundTruthPose(key, _require_rigid(T_cam_obj, name))


def _marked(
    poses: list[GroundTruthPose], scene: Path, targets: dict[tuple[int, int, int], int] | None
) -> list[GroundTruthPose]:
    if targets is None:
        return [replace(pose, counts=_bop_counts(scene, pose.key)) for pose in poses]
    by_object = defaultdict(list)
    for pose in poses:
        by_object[pose.key.obj_id].append(pose.key)
    counting = set()
    for keys in by_object.values():
        wanted = targets.get(keys[0][1:4], 0)
        if len(keys) > wanted > 0:
            keys = sorted(keys, key=lambda key: -_visible_px(scene, key))
        counting.update(keys[:wanted])
    return [replace(pose, counts=pose.key in counting) for pose in poses]


def _bop_counts(scene: Path, key: InstanceKey) -> bool:
    """Whether the instance has a mask that is not empty, or nothing that could say so."""
    if not (scene / "mask_visib").is_dir() or not rgb_path(scene, key.im_id).is_file():
        return True
    path = mask_path(scene, key.im_id, key.inst_id)
    return path.is_file() and _count_or_one(path, None) > 0


def _visible_px(scene: Path, key: InstanceKey) -> int:
    path = mask_path(scene, key.im_id, key.inst_id)
    return _count_or_one(path, None) if path.is_file() else 0


def _count_or_one(path: Path, value: int | None) -> int:
    """Pixels of a label, or of any label; 1 for a file that cannot be read: its instance is a miss."""
    try:
        labels = read_labels(path)
    except DataError:
        return 1
    return int(np.count_nonzero(labels if value is None else labels == value))


def _ycb_frames(frames: YcbVideoFrames, split: str, selection: Selection) -> Iterator[list[GroundTruthPose]]:
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
        counts = not label.is_file() or _count_or_one(label, obj_id) > 0
        key = InstanceKey(split, *frame_id, obj_id, obj_id)
        yield GroundTruthPose(key, _require_rigid(T_cam_obj, f"{name}: object {obj_id}"), counts)


def _require_rigid(T_cam_obj: Float[np.ndarray, "4 4"], name: str) -> Float[np.ndarray, "4 4"]:
    if not np.isfinite(T_cam_obj).all() or rotation_defect(T_cam_obj[:3, :3]) > MAX_ROTATION_DEFECT:
        raise data_error(name, "the pose is no rigid transform", "Restore it from the data set.")
    return T_cam_obj
