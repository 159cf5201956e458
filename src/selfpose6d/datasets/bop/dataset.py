"""Any BOP root: `models/`, `<split>/<scene>/{rgb|gray,depth,mask_visib}/` and the scene files.

Never read: `scene_gt_info.json`, the amodal `mask/`, test targets, any pose.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.datasets.bop.scene import (
    MAX_CACHED_FRAMES,
    BopCamera,
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
        self.scenes = find_scenes(root, split)
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
        path = self.scenes[frame_id.scene_id] / "scene_camera.json"
        camera = self._cameras.get(path).get(frame_id.im_id)
        if camera is None:
            raise data_error(path, f"no camera for image {frame_id.im_id}", "Add its cam_K and depth_scale.")
        return camera, f"{path}: image {frame_id.im_id}"


class BopMasks(MaskSource):
    """`mask_visib/NNNNNN_MMMMMM.png`, MMMMMM being the index of the entry in `scene_gt.json`."""

    def __init__(self, scenes: dict[int, Path]) -> None:
        self._scenes = scenes
        self._object_ids = FileCache(read_object_ids, MAX_CACHED_FRAMES)

    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """One entry for every `obj_id` of the frame in `scene_gt.json`."""
        object_ids = self._object_ids.get(self._scenes[frame_id.scene_id] / "scene_gt.json")
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


def find_scenes(root: Path, split: str) -> dict[int, Path]:
    """The scene folders of a split.

    Raises:
        UsageError: there is no such split or it has no scene folder.
    """
    if scenes := scene_folders(root / split):
        return scenes
    raise UsageError(
        f"no scenes: looked for {root / split}/NNNNNN/, found {describe_folder(root / split)}. "
        f"Splits with scenes: {' '.join(list_splits(root)) or 'none'}; choose one with --split."
    )


def list_splits(root: Path) -> tuple[str, ...]:
    """The splits of a root: its folders that hold scenes."""
    return tuple(path.name for path in sorted(root.iterdir()) if path.is_dir() and scene_folders(path))


def require_masks(scenes: dict[int, Path]) -> dict[int, Path]:
    """Return `scenes` when at least one has masks that `scene_gt.json` names.

    Raises:
        NoMasksError: no scene has them.
    """
    if any((s / "mask_visib").is_dir() and (s / "scene_gt.json").is_file() for s in scenes.values()):
        return scenes
    first = next(iter(scenes.values()))
    raise NoMasksError(
        f"no masks: looked for mask_visib/ and scene_gt.json (its obj_id) in {len(scenes)} scene folders, "
        f"found {describe_folder(first)} in {first}. Pass --detections FILE, or use selfpose6d "
        "find or estimate --segmenter RUN."
    )
