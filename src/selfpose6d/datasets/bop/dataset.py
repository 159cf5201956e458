"""Any BOP root: `models/`, `<split>/<scene>/{rgb|gray,depth,mask_visib}/` and the scene files.

Of data sets with several sensors (BOP 2024 and later) one sensor's files: `rgb_cam1/`, `scene_gt_cam1.json`.

Never read: `scene_gt_info.json`, the amodal `mask/`, test targets, any pose.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.datasets.bop.scene import (
    MAX_CACHED_FRAMES,
    BopCamera,
    BopScene,
    depth_image,
    depth_path,
    list_frames,
    mask_image,
    mask_path,
    read_cameras,
    read_object_ids,
    rgb_image,
    rgb_path,
    scene_folders,
    sensors_of,
)
from selfpose6d.datasets.camera_entry import StatedCamera, intrinsics_of, metres_per_depth_unit
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.file_cache import FileCache
from selfpose6d.datasets.images import data_error, read_depth, read_mask
from selfpose6d.datasets.inputs import FrameInput
from selfpose6d.datasets.masks import MaskEntry, MaskSource
from selfpose6d.datasets.model_files import ModelFiles, describe_folder
from selfpose6d.errors import DataError, NoMasksError, UsageError
from selfpose6d.selection import FrameId, Selection


class BopDataset(Dataset):
    """A split of a BOP root."""

    layout = "bop"

    def __init__(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> None:
        """`masks` None takes the scenes' `mask_visib/`, named by the `obj_id` of `scene_gt.json`.

        Raises:
            UsageError: no such split.
            NoMasksError: no masks.
        """
        self.scenes = find_scenes(root, split, selection.sensor)
        masks = BopMasks(require_masks(self.scenes)) if masks is None else masks
        super().__init__(root, split, selection, models, masks)
        self._cameras = FileCache(read_cameras, MAX_CACHED_FRAMES)

    def scene_ids(self) -> Sequence[int]:
        """The split's scene folders."""
        return tuple(self.scenes)

    def list_scene(self, scene_id: int) -> Sequence[int]:
        """The scene's images, also those that only `scene_camera.json` names."""
        return list_frames(self.scenes[scene_id])

    def rgb_path(self, frame_id: FrameId) -> Path:
        """`rgb/NNNNNN.*` or `gray/NNNNNN.*`."""
        return rgb_path(self.scenes[frame_id.scene_id], frame_id.im_id)

    def image_inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """The two images and the frame's entry of `scene_camera.json`."""
        scene, im_id = self.scenes[frame_id.scene_id], frame_id.im_id
        return rgb_image(scene, im_id), depth_image(scene, im_id), self._camera_value(frame_id)

    def read_depth(self, frame_id: FrameId) -> Float[np.ndarray, "height width"]:
        """The depth image in metres, by the frame's `depth_scale`."""
        return read_depth(*self.depth_source(frame_id))

    def depth_source(self, frame_id: FrameId) -> tuple[Path, float]:
        """`depth/NNNNNN.*` and the frame's `depth_scale`."""
        camera, name = self._camera(frame_id)
        path = depth_path(self.scenes[frame_id.scene_id], frame_id.im_id)
        return path, metres_per_depth_unit(camera.depth_scale, name)

    def read_intrinsics(self, frame_id: FrameId) -> Float[np.ndarray, "3 3"]:
        """The frame's `cam_K`."""
        camera, name = self._camera(frame_id)
        return intrinsics_of(camera.intrinsics, name)

    def stated_camera(self, frame_id: FrameId) -> StatedCamera:
        """What the frame's entry says beside it."""
        return self._camera(frame_id)[0].stated

    def _camera_value(self, frame_id: FrameId) -> str:
        try:
            return repr(self._camera(frame_id)[0])
        except DataError as error:
            return str(error)

    def _camera(self, frame_id: FrameId) -> tuple[BopCamera, str]:
        """The frame's entry of `scene_camera.json`, and what messages call it."""
        path = self.scenes[frame_id.scene_id].file("scene_camera.json")
        camera = self._cameras.get(path).get(frame_id.im_id)
        if camera is None:
            raise data_error(path, f"no camera for image {frame_id.im_id}", "Add its cam_K and depth_scale.")
        return camera, f"{path}: image {frame_id.im_id}"


class BopMasks(MaskSource):
    """`mask_visib/NNNNNN_MMMMMM.png`, MMMMMM being the index of the entry in `scene_gt.json`."""

    def __init__(self, scenes: dict[int, BopScene]) -> None:
        self._scenes = scenes
        self._object_ids = FileCache(read_object_ids, MAX_CACHED_FRAMES)

    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """One entry for every `obj_id` of the frame in `scene_gt.json`."""
        object_ids = self._object_ids.get(self._scenes[frame_id.scene_id].file("scene_gt.json"))
        return [MaskEntry(obj_id, i) for i, obj_id in enumerate(object_ids.get(frame_id.im_id, ()))]

    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """The instance's mask file."""
        return read_mask(mask_path(self._scenes[frame_id.scene_id], frame_id.im_id, entry.inst_id), shape)

    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """Each entry's `obj_id` and mask; no other field of `scene_gt.json`."""
        try:
            entries = self.entries(frame_id)
        except DataError as error:
            return (str(error),)
        images = (mask_image(self._scenes[frame_id.scene_id], frame_id.im_id, e.inst_id) for e in entries)
        return (*(str(entry.obj_id) for entry in entries), *images)


def find_scenes(root: Path, split: str, sensor: str | None = None) -> dict[int, BopScene]:
    """The scene folders of a split, as one sensor sees them; None: the only one that there is.

    Raises:
        UsageError: there is no such split, it has no scene folder, or none with this sensor.
    """
    folders = scene_folders(root / split)
    if not folders:
        raise UsageError(
            f"no scenes: looked for {root / split}/NNNNNN/, found {describe_folder(root / split)}. "
            f"Splits with scenes: {' '.join(list_splits(root)) or 'none'}; choose one with --split."
        )
    chosen = _chosen_sensor(folders, sensor)
    return {scene_id: BopScene(folder, chosen) for scene_id, folder in folders.items()}


def _chosen_sensor(folders: dict[int, Path], sensor: str | None) -> str:
    """The sensor asked for, or the only one; "" where the scenes' files belong to one sensor without a name."""
    first = next(iter(folders.values()))
    is_plain = sensor is None and any(
        (folder / "scene_camera.json").is_file() or (folder / "scene_gt.json").is_file()
        for folder in folders.values()
    )
    if is_plain:
        return ""
    sensors = sorted({name for folder in folders.values() for name in sensors_of(folder)})
    if sensor is None and len(sensors) > 1:
        raise UsageError(
            f"{first.parent} has images of {len(sensors)} sensors: {' '.join(sensors)}. "
            f"Choose one, as in --sensor {sensors[0]}."
        )
    if sensor is not None and sensor not in sensors:
        there = f"there are {' '.join(sensors)}" if sensors else "its files are of one sensor without a name"
        raise UsageError(
            f"--sensor {sensor}: {first.parent} has no scene_camera_{sensor}.json; {there}. "
            f"{'Choose among these.' if sensors else 'Leave --sensor out.'}"
        )
    return sensor or next(iter(sensors), "")


def list_splits(root: Path) -> tuple[str, ...]:
    """The splits of a root: its folders that hold scenes."""
    return tuple(path.name for path in sorted(root.iterdir()) if path.is_dir() and scene_folders(path))


def require_masks(scenes: dict[int, BopScene]) -> dict[int, BopScene]:
    """Return `scenes` when at least one has masks that `scene_gt.json` names.

    Raises:
        NoMasksError: no scene has them.
    """
    if any(s.images("mask_visib").is_dir() and s.file("scene_gt.json").is_file() for s in scenes.values()):
        return scenes
    first = next(iter(scenes.values()))
    masks, poses = first.images("mask_visib").name, first.file("scene_gt.json").name
    raise NoMasksError(
        f"no masks: looked for {masks}/ and {poses} (its obj_id) in {len(scenes)} scene folders, "
        f"found {describe_folder(first.folder)} in {first.folder}. Pass --detections FILE, or use selfpose6d "
        "find or estimate --segmenter RUN."
    )
