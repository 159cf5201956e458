"""Which frame and which object of a data set a row of a detections file means; one rule for every tool's files."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from selfpose6d.datasets.images import data_error
from selfpose6d.datasets.model_files import list_some
from selfpose6d.json_files import whole_number
from selfpose6d.selection import FrameId

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""Label Studio puts this before the names of uploaded files."""
_NUMBERED = re.compile(r"(?:(\d+)_)?(\d+)(?:-color)?")
"""Names of numbered images: NNNNNN (BOP), SSSSSS_NNNNNN (our COCO export), NNNNNN-color (YCB-Video)."""


class DetectionIds:
    """Resolves image and category ids against a data set, and remembers what matched nothing."""

    def __init__(self, dataset: "Dataset") -> None:
        self._dataset = dataset
        self._images: dict[int, set[int]] = {}
        self._unknown_images: Counter[str] = Counter()
        self._unknown_names: Counter[str] = Counter()
        self._unknown_numbers: Counter[str] = Counter()
        self._known_objects = 0
        self._absent_scenes: Counter[int] = Counter()

    def frame(self, row: Mapping[str, Any], image: Mapping[str, Any] | None) -> FrameId | None:
        """The frame of a row, or of its entry among a COCO file's images; None: it matches nothing, which
        `require_known` says, or lies in a scene that is not here.

        An image is known by its file name, else by its number: BOP's image id, or the position in a capture folder.
        """
        image_id = row.get("image_id")
        name = image.get("file_name") if image else image_id if _is_name(image_id) else None
        if isinstance(name, str):
            frame_id = self._named(name, row.get("scene_id"))
            shown = name
        else:
            frame_id = self._numbered(row.get("scene_id"), image_id)
            shown = str(image_id)
        if frame_id is None:
            self._unknown_images[shown] += 1
        elif frame_id.scene_id not in self._scenes:
            self._absent_scenes[frame_id.scene_id] += 1
            return None
        elif not self._is_selected(frame_id):
            return None
        elif frame_id.im_id not in self._of_scene(frame_id.scene_id):
            shown = f"{frame_id.scene_id}/{frame_id.im_id}" if len(self._scenes) > 1 else shown
            self._unknown_images[shown] += 1
            return None
        return frame_id

    def obj_id(self, category_id: Any, name: str | None) -> int | None:
        """The object of a category: by its name, else by its number; None for a name that is no object's.

        A number without a mesh stays one (its instances are skipped with that reason), unless no row has a known one.
        """
        models = self._dataset.models
        if name is None and _is_name(category_id):
            name = category_id
        if name is None:
            found = _whole(category_id)
            if found in models.files or found in models.names.values():
                self._known_objects += 1
            else:
                self._unknown_numbers[str(category_id)] += 1
        else:
            found = self._by_name.get(name.strip().lower())
            number = re.fullmatch(r"(?:obj_?)?0*(\d+)", name.strip().lower())
            if found is None and number:
                found = _whole(number[1])
            if found is None:
                self._unknown_names[repr(name)] += 1
        if found is None:
            return None
        return found if self._dataset.selection.keeps_object(found) else None

    def require_known(self, path: Path, matched: int) -> None:
        """Refuse a file of which something matches nothing; says what both sides have.

        Raises:
            DataError: unknown categories or images; scenes that are not here, where no row is of one that is.
        """
        models = self._dataset.models
        unknown = self._unknown_names or (self._unknown_numbers if not self._known_objects else Counter())
        if unknown:
            names = [f"{i} {name}" for i, name in sorted(self._dataset.object_names().items())]
            reason = (
                f"{unknown.total()} rows are of categories that are no object of this data set: "
                f"{list_some(unknown, separator=', ')}; its objects: "
                f"{list_some(names or models.object_ids, separator=', ')}"
            )
            raise data_error(path, reason, "Give the categories the ids or names of the models.")
        if self._unknown_images:
            reason = (
                f"{self._unknown_images.total()} rows are of images that are not in split {self._dataset.split}: "
                f"{list_some(self._unknown_images, separator=', ')}; it has {self._describe_images()}"
            )
            remedy = "Name images by file or by number, as the data set does, or choose frames with --frames."
            raise data_error(path, reason, remedy)
        if self._absent_scenes and not matched:
            reason = (
                f"no row is of this data set: they are of scenes {list_some(sorted(self._absent_scenes))}, split "
                f"{self._dataset.split} has {list_some(self._scenes)}"
            )
            raise data_error(path, reason, "Pass the file of this data set and split.")

    @property
    def needs_scene(self) -> bool:
        """Whether an image id alone does not say which image it is."""
        return self._only_scene is None

    @property
    def absent_scenes(self) -> Counter[int]:
        """Rows by scene of scenes that the data set does not have."""
        return self._absent_scenes

    def _numbered(self, scene_id: Any, image_id: Any) -> FrameId | None:
        scene = self._only_scene if scene_id is None else _whole(scene_id)
        im_id = _whole(image_id)
        return None if scene is None or im_id is None else FrameId(scene, im_id)

    def _named(self, name: str, scene_id: Any) -> FrameId | None:
        *folders, last = PurePosixPath(name.replace("\\", "/")).parts or ("",)
        stem = PurePosixPath(last).stem
        plain = _UPLOADED.sub("", stem, count=1)
        if self._by_stem:
            im_ids = self._by_stem.get(stem) or self._by_stem.get(plain) or ()
            return FrameId(self._only_scene or 0, im_ids[0]) if len(im_ids) == 1 else None
        match = _NUMBERED.fullmatch(stem) or _NUMBERED.fullmatch(plain)
        if not match:
            return None
        numbered_folders = [folder for folder in folders if folder.isdecimal()]
        said = (match[1], scene_id, *numbered_folders[-1:])
        return self._numbered(next((scene for scene in said if scene is not None), None), match[2])

    def _is_selected(self, frame_id: FrameId) -> bool:
        selection = self._dataset.selection
        return selection.keeps_scene(frame_id.scene_id) and (
            not selection.frames or frame_id.im_id in selection.frames
        )

    def _of_scene(self, scene_id: int) -> set[int]:
        if scene_id not in self._images:
            self._images[scene_id] = set(self._dataset.list_scene(scene_id))
        return self._images[scene_id]

    def _describe_images(self) -> str:
        if names := self._dataset.frame_names():
            return f"images 0 to {max(names)}: {list_some(names.values(), 4, ', ')}"
        first = self._scenes[0]
        return f"scenes {list_some(self._scenes)}; in scene {first} images {list_some(sorted(self._of_scene(first)))}"

    @cached_property
    def _scenes(self) -> tuple[int, ...]:
        return tuple(self._dataset.scene_ids())

    @property
    def _only_scene(self) -> int | None:
        return self._scenes[0] if len(self._scenes) == 1 else None

    @cached_property
    def _by_stem(self) -> dict[str, list[int]]:
        by_stem = defaultdict(list)
        for im_id, name in self._dataset.frame_names().items():
            by_stem[Path(name).stem].append(im_id)
        return dict(by_stem)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        named = {name.lower(): obj_id for name, obj_id in self._dataset.models.names.items()}
        return named | {name.lower(): obj_id for obj_id, name in self._dataset.object_names().items()}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and not value.strip().isdecimal()


def _whole(value: Any) -> int | None:
    try:
        return whole_number(value)
    except ValueError:
        return None
