"""One scene folder of a BOP root: its frames, cameras and the object ids of its masks.

Of `scene_gt.json` the parser keeps `obj_id` alone; poses never become Python objects that anything can reach.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from selfpose6d.datasets.camera_entry import StatedCamera, stated_camera
from selfpose6d.datasets.images import DEPTH_SUFFIXES, data_error, list_images
from selfpose6d.datasets.inputs import InputFile, image_path, numbered_input
from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.json_files import Pairs, by_number, read_json, whole_number

MAX_CACHED_FRAMES = 200_000
"""Frames whose entries stay parsed, over all scenes: about 40 MB."""
_NO_SENSORS = ("info", "coco")
"""What follows `scene_gt_` in other files of a scene."""
_INTRINSICS = ("cam_K", "fx", "fy", "cx", "cy", "intrinsic_matrix")
JsonPairs = list[tuple[str, Any]]


class BopCamera(NamedTuple):
    """A frame's entry of `scene_camera.json`, unchecked; `depth_scale` in millimetres per depth unit."""

    intrinsics: dict[str, Any]
    """`cam_K`, or what stands there instead."""
    depth_scale: Any
    stated: StatedCamera = StatedCamera()


@dataclass(frozen=True)
class BopScene:
    """A scene folder, of several sensors' files those of one: `rgb_cam1/`, `scene_camera_cam1.json` of `cam1`.

    HOT3D names the images' folder by the sensor alone (`gray1/`).
    """

    folder: Path
    sensor: str = ""

    def file(self, name: str) -> Path:
        """One of the scene's JSON files, by its name without sensor (`scene_gt.json`)."""
        stem, dot, suffix = name.partition(".")
        return self.folder / (f"{stem}_{self.sensor}{dot}{suffix}" if self.sensor else name)

    def images(self, kind: str) -> Path:
        """The folder of the images of a kind (`depth`, `mask_visib`)."""
        return self.folder / (f"{kind}_{self.sensor}" if self.sensor else kind)

    def colour_images(self) -> Path:
        """The folder of the colour images, or of the grey ones where the scene has no others."""
        own = (self.images("rgb"), self.images("gray"), *([self.folder / self.sensor] if self.sensor else ()))
        return next((folder for folder in own if folder.is_dir()), own[0])


def scene_folders(split_folder: Path) -> dict[int, Path]:
    """The scene folders of a split by scene id, sorted; of two with one id the first in name order."""
    found: dict[int, Path] = {}
    for path in sorted(split_folder.iterdir()) if split_folder.is_dir() else ():
        if path.name.isdecimal() and path.is_dir():
            found.setdefault(int(path.name), path)
    return dict(sorted(found.items()))


def sensors_of(folder: Path) -> tuple[str, ...]:
    """The sensors whose files a scene folder has apart, sorted; empty in the plain layout."""
    names = [path.stem.removeprefix("scene_camera_") for path in folder.glob("scene_camera_*.json")]
    names += [path.stem.removeprefix("scene_gt_") for path in folder.glob("scene_gt_*.json")]
    return tuple(sorted({name for name in names if name.split("_")[0] not in _NO_SENSORS}))


def rgb_path(scene: BopScene, im_id: int) -> Path:
    """The colour image of a frame, or the grey one where the scene has no colours."""
    return image_path(rgb_image(scene, im_id))


def rgb_image(scene: BopScene, im_id: int) -> InputFile:
    """What `rgb_path` looks for."""
    return numbered_input(scene.colour_images(), im_id)


def depth_path(scene: BopScene, im_id: int) -> Path:
    """The depth image of a frame."""
    return image_path(depth_image(scene, im_id))


def depth_image(scene: BopScene, im_id: int) -> InputFile:
    """What `depth_path` looks for."""
    return numbered_input(scene.images("depth"), im_id, suffixes=DEPTH_SUFFIXES)


def mask_path(scene: BopScene, im_id: int, inst_id: int) -> Path:
    """The visible mask of one instance."""
    return image_path(mask_image(scene, im_id, inst_id))


def mask_image(scene: BopScene, im_id: int, inst_id: int) -> InputFile:
    """What `mask_path` looks for."""
    return numbered_input(scene.images("mask_visib"), im_id, inst_id)


def list_frames(scene: BopScene) -> list[int]:
    """Image ids of a scene, sorted: those with an image and those that `scene_camera.json` names.

    A scene that has neither (poses only) is listed from `scene_gt.json`.

    Raises:
        DataError: no image names a frame, and the JSON file is unreadable.
    """
    folders = {scene.colour_images(), scene.images("rgb"), scene.images("gray"), scene.images("depth")}
    found = (path.stem for folder in folders for path in list_images(folder, DEPTH_SUFFIXES))
    im_ids = {int(stem) for stem in found if stem.isdecimal()}
    for name, read in (("scene_camera.json", read_cameras), ("scene_gt.json", read_object_ids)):
        if (path := scene.file(name)).is_file():
            try:
                return sorted(im_ids | set(read(path)))
            except DataError:
                if not im_ids:
                    raise
        if im_ids:
            break
    return sorted(im_ids)


def read_cameras(path: Path) -> dict[int, BopCamera]:
    """`scene_camera.json` by image id, entries unchecked.

    Raises:
        DataError: the file is missing or not BOP's form.
    """
    shared: dict[str, BopCamera] = {}  # most frames have the same camera: one object for all of them
    entries = read_by_image(path, _only_camera).items()
    cameras = ((i, entry if isinstance(entry, BopCamera) else _no_camera(entry)) for i, entry in entries)
    return {im_id: shared.setdefault(repr(camera), camera) for im_id, camera in cameras}


def read_object_ids(path: Path) -> dict[int, tuple[int, ...]]:
    """`obj_id` of every entry of `scene_gt.json` by image id, in the file's order (index = `inst_id`).

    Raises:
        DataError: the file is missing or not BOP's form.
    """
    shared: dict[tuple[int, ...], tuple[int, ...]] = {}
    by_image = {}
    for im_id, entries in read_by_image(path, _only_obj_id).items():
        try:
            found = tuple(map(whole_number, _as_list(entries)))
        except ValueError as error:
            reason = f"image {im_id} is not a list of entries with an integer obj_id ({error})"
            raise data_error(path, reason, "Restore it as BOP has it.") from None
        by_image[im_id] = shared.setdefault(found, found)
    return by_image


def _only_camera(pairs: JsonPairs) -> Any:
    entry = dict(pairs)
    if not ("cam_K" in entry or "depth_scale" in entry or "fx" in entry):
        return entry
    intrinsics = {key: entry[key] for key in _INTRINSICS if key in entry}
    return BopCamera(intrinsics, entry.get("depth_scale"), stated_camera(entry))


def _no_camera(entry: Any) -> BopCamera:
    """An entry of another form, by the names of its fields: what reads it says what is there instead."""
    return BopCamera(dict.fromkeys(entry) if isinstance(entry, dict) else {}, None)


def _only_obj_id(pairs: JsonPairs) -> Any:
    entry = dict(pairs)
    return entry.get("obj_id", entry)


def read_by_image(path: Path, keep: Pairs | None = None) -> dict[int, Any]:
    """A scene's JSON file by image id, however the id is written; `keep` makes what stands for an object in it.

    Raises:
        DataError: the file is missing or not BOP's form.
    """
    try:
        return by_number(read_json(path, keep))
    except FileNotFoundError:
        raise data_error(path, "missing file", "Restore it; every BOP scene has one.") from None
    except (OSError, *MALFORMED) as error:
        raise data_error(path, f"not BOP's form ({error})", "Restore it from the data set.") from error


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, got {type(value).__name__}")
    return value
