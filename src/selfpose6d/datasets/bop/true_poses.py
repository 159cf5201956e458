"""True poses of a BOP root: `scene_gt.json`, and which of them count. Works without images."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from selfpose6d.datasets.bop.dataset import find_scenes
from selfpose6d.datasets.bop.scene import BopScene, list_frames, mask_path, read_by_image, rgb_path
from selfpose6d.datasets.bop.targets import TargetCounts, read_target_counts, targets_path
from selfpose6d.datasets.file_cache import FileCache
from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets, count_or_one
from selfpose6d.datasets.images import data_error
from selfpose6d.errors import MALFORMED
from selfpose6d.json_files import whole_number
from selfpose6d.runs.predictions import MM_PER_M, require_millimetres, transform_of
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey

Place = tuple[int, int, int]
"""Scene, image, index in the file."""
Value = TypeVar("Value")


def resolve_targets(root: Path, split: str, targets: Targets | None) -> Targets:
    """Which instances count: where it is left open, `bop19` for a test split where its file exists."""
    has_file = targets_path(root).is_file()
    return targets or ("bop19" if has_file and split.startswith("test") else "all")


def true_poses(
    root: Path, split: str, selection: Selection, targets: Targets | None
) -> Iterator[list[GroundTruthPose]]:
    """The annotated instances of each selected frame, as `scene_gt.json` has them.

    Raises:
        UsageError: no such split, or `bop19` is asked for and there is no file.
        DataError: a file is missing or not BOP's.
    """
    chosen = resolve_targets(root, split, targets)
    wanted = read_target_counts(root) if chosen == "bop19" else None
    scenes = {
        i: path for i, path in find_scenes(root, split, selection.sensor).items() if selection.keeps_scene(i)
    }
    frame_ids = (FrameId(i, im_id) for i, path in scenes.items() for im_id in list_frames(path))
    scene_gt = FileCache(_read_scene_gt, max_items=0)
    fractions_of = cache(lambda scene_id: visible_fractions(root, split, [scene_id], selection.sensor))
    for frame_id in selection.select(frame_ids):
        scene = scenes[frame_id.scene_id]
        path = scene.file("scene_gt.json")
        entries = entries_of(scene_gt.get(path).get(frame_id.im_id, ()), path, frame_id.im_id)
        poses = [_bop_pose(scene, split, frame_id, i, entry) for i, entry in enumerate(entries)]
        if chosen == "annotated":
            yield poses
        else:
            yield _marked(poses, scene, wanted, lambda scene_id=frame_id.scene_id: fractions_of(scene_id))


def _read_scene_gt(path: Path) -> dict[int, Any]:
    by_image = read_by_image(path)
    try:
        t_mm = [entry["cam_t_m2c"] for entries in by_image.values() for entry in entries]
        positions_m = np.array(t_mm, np.float64).reshape(-1, 3) / MM_PER_M
    except MALFORMED:
        return by_image  # the entry that is broken is named when it is asked for
    distances_m = np.linalg.norm(positions_m, axis=1)
    require_millimetres(distances_m[np.isfinite(distances_m)], f"{path}: cam_t_m2c")
    return by_image


def entries_of(entries: Any, path: Path, im_id: int) -> list[Any] | tuple[()]:
    """An image's entries, or that they are no list of objects.

    Raises:
        DataError: says it.
    """
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, dict) for entry in entries):
        raise data_error(path, f"image {im_id} is not a list of entries", "Restore it as BOP has it.")
    return entries  # pyright: ignore[reportReturnType]


def _bop_pose(scene: BopScene, split: str, frame_id: FrameId, index: int, entry: Any) -> GroundTruthPose:
    name = f"{scene.file('scene_gt.json')}: image {frame_id.im_id}, entry {index}"
    try:
        key = InstanceKey(split, *frame_id, whole_number(entry["obj_id"]), index)
        R, t_mm = entry["cam_R_m2c"], entry["cam_t_m2c"]
    except MALFORMED as error:
        raise data_error(name, f"not BOP's form ({error!r})", "Restore it from the data set.") from None
    try:
        return GroundTruthPose(key, transform_of(R, t_mm))
    except MALFORMED as error:
        raise data_error(
            name, f"the pose is no rigid transform: {error}", "Restore it from the data set."
        ) from None


def _marked(
    poses: list[GroundTruthPose],
    scene: BopScene,
    targets: TargetCounts | None,
    fractions: Callable[[], Mapping[Place, float]],
) -> list[GroundTruthPose]:
    """Which poses count; `fractions` gives the scene's visible fractions, asked where more is annotated than counts."""
    if targets is None:
        return [replace(pose, counts=_is_visible(scene, pose.key)) for pose in poses]
    by_object = defaultdict(list)
    for pose in poses:
        by_object[pose.key.obj_id].append(pose.key)
    counting = set()
    for keys in by_object.values():
        wanted = targets.get(keys[0][1:4], 0)
        if len(keys) > wanted > 0:
            keys = _most_visible_first(keys, scene, fractions())
        counting.update(keys[:wanted])
    return [replace(pose, counts=pose.key in counting) for pose in poses]


def _most_visible_first(
    keys: list[InstanceKey], scene: BopScene, fractions: Mapping[Place, float]
) -> list[InstanceKey]:
    """By visible fraction as BOP sorts them; by mask pixels where `scene_gt_info.json` does not say it of all."""
    places = [(key.scene_id, key.im_id, key.inst_id) for key in keys]
    visible = [fractions.get(place, math.nan) for place in places]
    if any(map(math.isnan, visible)):
        visible = [_visible_px(scene, key) for key in keys]
    return [key for _, key in sorted(zip(visible, keys, strict=True), key=lambda pair: -pair[0])]


def _is_visible(scene: BopScene, key: InstanceKey) -> bool:
    """Whether the instance has a mask that is not empty, or nothing that could say so."""
    if not scene.images("mask_visib").is_dir() or not rgb_path(scene, key.im_id).is_file():
        return True
    return _visible_px(scene, key) > 0


def _visible_px(scene: BopScene, key: InstanceKey) -> int:
    path = mask_path(scene, key.im_id, key.inst_id)
    return count_or_one(path) if path.is_file() else 0


def visible_fractions(
    root: Path, split: str, scene_ids: Iterable[int], sensor: str | None = None
) -> dict[Place, float]:
    """`visib_fract` of every entry of the scenes' `scene_gt_info.json`, where there is one.

    Raises:
        DataError: a file is not BOP's.
    """
    scenes = find_scenes(root, split, sensor)
    fractions = _of_info(scenes, scene_ids, lambda entry: float(entry.get("visib_fract", math.nan)))
    return dict(fractions)


def mask_kinds(
    root: Path, split: str, scene_ids: Iterable[int], sensor: str | None = None
) -> dict[Place, str]:
    """`mask_kind` of every entry of the scenes' `scene_gt_info.json` that has one: `synth --masks` writes it.

    Raises:
        DataError: a file is not BOP's.
    """
    scenes = find_scenes(root, split, sensor)
    kinds = _of_info(scenes, scene_ids, lambda entry: str(entry.get("mask_kind") or ""))
    return {place: kind for place, kind in kinds if kind}


def _of_info(
    scenes: Mapping[int, BopScene], scene_ids: Iterable[int], value: Callable[[dict[str, Any]], Value]
) -> Iterator[tuple[Place, Value]]:
    for scene_id in scene_ids:
        path = scenes[scene_id].file("scene_gt_info.json")
        if not path.is_file():
            continue
        try:
            for im_id, entries in read_by_image(path).items():
                for index, entry in enumerate(entries):
                    yield (scene_id, im_id, index), value(entry)
        except MALFORMED as error:
            raise data_error(path, f"not BOP's form ({error!r})", "Restore it, or remove it.") from None
