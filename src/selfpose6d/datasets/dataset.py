"""What every data set can do: list its frames, read one, read a mesh, say who it is."""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from selfpose6d.checks import (
    require_depth_in_metres,
    require_focal_length_in_pixels,
    require_intrinsics,
    require_outline,
)
from selfpose6d.datasets.camera_entry import StatedCamera
from selfpose6d.datasets.images import data_error, read_rgb, require_shape
from selfpose6d.datasets.inputs import FrameInput, frame_stamps
from selfpose6d.datasets.mask_sizes import require_resolution_by_sizes, size_ratios, sizes_by_object
from selfpose6d.datasets.masks import MaskEntry, MaskSource, NoMasks
from selfpose6d.datasets.model_files import ModelFiles, object_names
from selfpose6d.errors import DataError, SelfPose6DError
from selfpose6d.files import read_whole
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.runs.journal import JournalRecord, finished_record, unreadable_record
from selfpose6d.selection import FrameId, FrameIds, Selection
from selfpose6d.types import Frame, Instance, InstanceKey, PoseEstimate


class Dataset(ABC):
    """RGB-D frames with masks and meshes. Reads one frame at a time, writes nothing, reads no pose."""

    layout: str

    def __init__(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource
    ) -> None:
        self.root = root
        self.split = split
        self.selection = selection
        self.models = models
        self.masks = masks
        self._diameters_m: dict[int, float | None] = {}

    @abstractmethod
    def scene_ids(self) -> Sequence[int]:
        """The scenes of the split, sorted."""

    @abstractmethod
    def list_scene(self, scene_id: int) -> Sequence[int]:
        """The `im_id` of every frame of one scene, sorted.

        Raises:
            DataError: the only file that lists them is unreadable.
        """

    @abstractmethod
    def rgb_path(self, frame_id: FrameId) -> Path:
        """The colour image's file."""

    @abstractmethod
    def read_depth(self, frame_id: FrameId) -> Float[np.ndarray, "height width"]:
        """The depth image in metres, 0 where unknown.

        Raises:
            DataError: missing, unreadable or not in the unit that the camera file says.
        """

    def depth_source(self, frame_id: FrameId) -> tuple[Path, float] | None:
        """The depth image's file and the metres of its unit, where the depth lies in such a file; else None.

        Raises:
            DataError: the unit is not known.
        """
        return None

    @abstractmethod
    def read_intrinsics(self, frame_id: FrameId) -> Float[np.ndarray, "3 3"]:
        """The camera matrix.

        Raises:
            DataError: missing, unreadable or not a camera matrix.
        """

    def stated_camera(self, frame_id: FrameId) -> StatedCamera:
        """What the camera's file says beside its matrix; nothing, where it can say nothing.

        Raises:
            DataError: missing or unreadable.
        """
        return StatedCamera()

    @abstractmethod
    def image_inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """All that `read_rgb`, `read_depth` and `read_intrinsics` read of a frame; opens no image, raises nothing.

        Where the camera cannot be read, the reason is its value.
        """

    def frame_inputs(self, frame_id: FrameId) -> Iterator[FrameInput]:
        """All that `load_frame` reads of a frame beside the meshes: its files, and values of files of many frames."""
        return chain(self.image_inputs(frame_id), self.masks.inputs(frame_id))

    def frame_stamps(self) -> Iterator[str]:
        """A line for each selected frame that tells whether what `frame_inputs` names has changed; opens no image."""
        return frame_stamps(self.root, ((i, self.frame_inputs(i)) for i in self.frame_ids()))

    def read_rgb(self, frame_id: FrameId) -> UInt8[np.ndarray, "height width 3"]:
        """The colour image; a grey one gives three equal channels.

        Raises:
            DataError: missing or unreadable.
        """
        return read_rgb(self.rgb_path(frame_id))

    def all_frame_ids(self) -> Iterator[FrameId]:
        """The frames of the split, sorted, selected or not; scenes are listed as they are reached."""
        return self._frames_of(self.scene_ids())

    def frame_ids(self) -> FrameIds:
        """The selected frames, sorted by scene and image."""
        return self._selected

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the selected objects that have a mesh, ascending."""
        return tuple(filter(self.selection.keeps_object, self.models.object_ids))

    def object_names(self) -> dict[int, str]:
        """Object names by id, where `models_info.json` or the model folders say one."""
        return object_names(self.models)

    def load_mesh(self, obj_id: int) -> Mesh:
        """One object's mesh, in metres; read from disk at every call. Raises what `ModelFiles.load` does."""
        return self.models.load(obj_id)

    def load_frame(self, frame_id: FrameId) -> Frame:
        """Read one frame; an instance that cannot be used is in `Frame.skipped`, with the reason.

        Raises:
            DataError: an image or the camera is missing or unreadable; the other frames may be fine.
        """
        rgb, depth_m = self.read_rgb(frame_id), self.read_depth(frame_id)
        shape = rgb.shape[:2]
        self.require_depth(frame_id, depth_m, shape)
        K = self.read_intrinsics(frame_id)
        instances, skipped = self.read_instances(frame_id, shape)
        self.require_camera(frame_id, K, shape, depth_m, instances)
        return Frame(self.split, *frame_id, rgb, depth_m, K, instances, skipped)

    def require_depth(self, frame_id: FrameId, depth_m: np.ndarray, shape: tuple[int, int]) -> None:
        """Refuse a depth image that does not fit a colour image of `shape` (height, width), or is in another unit.

        Raises:
            DataError: says which.
        """
        name = self.rgb_path(frame_id)
        require_shape(depth_m, shape, f"depth of {name}")
        if not depth_m.any():
            raise data_error(name, "the depth image has no known depth", "Record the depth again.")
        require_depth_in_metres(depth_m, f"{name}: depth")

    def require_camera(
        self,
        frame_id: FrameId,
        K: Float[np.ndarray, "3 3"],
        shape: tuple[int, int],
        depth_m: Float[np.ndarray, "height width"] | None,
        instances: Sequence[Instance] = (),
    ) -> None:
        """Refuse a camera that is none, or not that of images of `shape` (height, width).

        The sizes that `instances` have at their depth tell a crop from another resolution; `depth_m` None: unknown.

        Raises:
            DataError: no pinhole camera in pixels, one of another resolution, or stated lens distortion.
        """
        name, stated = f"{self.rgb_path(frame_id)}: camera matrix", self.stated_camera(frame_id)
        require_intrinsics(K, name)
        require_focal_length_in_pixels(K, shape, name)
        stated.require_fits(K, shape, name)
        if stated.size_px is None:

            def ratios() -> list[float]:
                return [] if depth_m is None else size_ratios(instances, depth_m, K, self._diameter_m)

            require_resolution_by_sizes(K, shape, ratios, name, without_sizes=True)

    def size_ratios(self, frame: Frame) -> list[tuple[int, float]]:
        """Object id and size over its model's diameter of the outlined instances of a frame."""
        return sizes_by_object(frame.instances, frame.depth_m, frame.K, self._diameter_m)

    def _diameter_m(self, obj_id: int) -> float | None:
        """Of an object's mesh, None where it cannot be read; kept."""
        if obj_id not in self._diameters_m:
            try:
                self._diameters_m[obj_id] = self.load_mesh(obj_id).diameter_m
            except SelfPose6DError:  # whoever needs the mesh says why
                self._diameters_m[obj_id] = None
        return self._diameters_m[obj_id]

    def read_instances(
        self, frame_id: FrameId, shape: tuple[int, int]
    ) -> tuple[tuple[Instance, ...], tuple[PoseEstimate, ...]]:
        """The usable instances of a frame with masks of `shape` (height, width); the others with a reason.

        Raises:
            DataError: the file that lists the instances is missing or unreadable.
        """
        instances, skipped = [], []
        for entry in self._entries(frame_id):
            key = self._key(frame_id, entry)
            try:
                mask = self._load_mask(frame_id, entry, shape)
                instances.append(Instance(key, mask, self.masks.is_region(frame_id, entry)))
            except DataError as error:
                skipped.append(PoseEstimate.none(key, str(error)))
        return tuple(instances), tuple(skipped)

    def instance_keys(self, frame_id: FrameId) -> tuple[InstanceKey, ...]:
        """The keys of a frame's selected instances without reading an image: what an unreadable frame misses.

        Raises:
            DataError: the file that lists the instances is missing or unreadable.
        """
        return tuple(self._key(frame_id, entry) for entry in self._entries(frame_id))

    def frame_names(self) -> dict[int, str]:
        """File names by `im_id`, where the ids are not in the names; empty elsewhere."""
        return {}

    def fingerprint(self, with_masks: bool = True) -> str:
        """A hash that tells this data set and split from others, wherever it lies and whatever is selected.

        It covers the list of frames, the first image of every scene, names and sizes of the meshes and the
        detections file, unless `with_masks` is False. Poses are not part of it.
        """
        masks = self.masks.content_key() if with_masks else NoMasks().content_key()
        digest = hashlib.sha256(f"{self.layout}\n{self.split}\n{masks}\n".encode())
        for scene_id in self.scene_ids():
            for index, im_id in enumerate(self.list_scene(scene_id)):
                digest.update(f"{scene_id}/{im_id}\n".encode())
                if index == 0:
                    digest.update(_content(self.rgb_path(FrameId(scene_id, im_id))))
        digest.update(repr(self.frame_names()).encode())
        for obj_id, model in self.models.files.items():
            size = model.path.stat().st_size
            digest.update(f"{obj_id} {model.path.name} {model.unit} {size}\n".encode())
        return digest.hexdigest()[:32]

    @cached_property
    def _selected(self) -> FrameIds:
        scene_ids = filter(self.selection.keeps_scene, self.scene_ids())
        return FrameIds(self.selection.select(self._frames_of(scene_ids)))

    def _frames_of(self, scene_ids: Iterable[int]) -> Iterator[FrameId]:
        return (FrameId(scene_id, im_id) for scene_id in scene_ids for im_id in self.list_scene(scene_id))

    def _entries(self, frame_id: FrameId) -> list[MaskEntry]:
        return [e for e in self.masks.entries(frame_id) if self.selection.keeps_object(e.obj_id)]

    def _key(self, frame_id: FrameId, entry: MaskEntry) -> InstanceKey:
        return InstanceKey(self.split, *frame_id, *entry)

    def _load_mask(
        self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]
    ) -> Bool[np.ndarray, "h w"]:
        self.models.find(entry.obj_id)
        mask = self.masks.load(frame_id, entry, shape)
        if not mask.any():
            raise data_error(
                f"mask of instance {entry.inst_id} in {self.rgb_path(frame_id)}",
                f"empty mask of object {entry.obj_id}",
                "Remove the instance, or correct its mask.",
            )
        if not self.masks.is_region(frame_id, entry):
            require_outline(mask, f"mask of instance {entry.inst_id} in {self.rgb_path(frame_id)}")
        return mask


def process_frame(
    dataset: Dataset, frame_id: FrameId, find_poses: Callable[[Frame], Sequence[PoseEstimate]]
) -> JournalRecord:
    """One frame's poses, or why it could not be read, for a run's journal.

    Its time is BOP's: from the loaded frame to the last pose of all its instances.
    """
    try:
        frame = dataset.load_frame(frame_id)
    except DataError as error:
        keys: tuple[InstanceKey, ...] = ()
        with suppress(DataError):  # what lists the instances may be what cannot be read
            keys = dataset.instance_keys(frame_id)
        return unreadable_record(frame_id, keys, str(error))
    start_s = time.perf_counter()
    poses = find_poses(frame)
    return finished_record(frame_id, poses, frame.skipped, time.perf_counter() - start_s)


def _content(path: Path) -> bytes:
    try:
        return read_whole(path)
    except OSError:
        return b"missing"
