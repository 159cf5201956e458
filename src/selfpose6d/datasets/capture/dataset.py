"""A capture folder: `rgb/`, `depth/`, `masks/`, `camera.json`; what a camera and a segmenter leave behind."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.camera_entry import (
    StatedCamera,
    intrinsics_of,
    metres_per_depth_unit,
    stated_camera,
)
from selfpose6d.datasets.capture.masks import find_masks
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.images import (
    DEPTH_SUFFIXES,
    SUFFIXES,
    data_error,
    images_by_stem,
    read_depth,
)
from selfpose6d.datasets.inputs import FrameInput, InputFile, image_input, image_path
from selfpose6d.datasets.masks import MaskSource
from selfpose6d.datasets.model_files import ModelFiles, describe_folder
from selfpose6d.errors import DataError, UsageError
from selfpose6d.files import is_plain_name
from selfpose6d.json_files import by_number, read_json
from selfpose6d.selection import FrameId, Selection

OTHER_CAMERA_FILES = ("cam_K.txt", "intrinsic.json", "intrinsics.json", "camera_intrinsic.json")
"""As the folders of other tools have them."""
SPLIT = "all"
SCENE_ID = 0


class CaptureDataset(Dataset):
    """A capture folder: one split, one scene, one camera; `im_id` is the index in sorted file order."""

    layout = "capture"

    def __init__(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> None:
        """`masks` None takes the folder's `masks/`.

        Raises:
            UsageError: another split than `all` (the commands' defaults pass).
            DataError: no frames, no masks, or `camera.json` or `frames.json` is missing or broken.
        """
        if split not in (SPLIT, "test", "train"):
            raise UsageError(f"a capture folder has one split, {SPLIT}, got {split!r}. Leave out --split.")
        if (root / "scene_camera.json").is_file():
            raise UsageError(
                f"{root} is one scene of a BOP data set. Pass the data set's root and choose by --scenes."
            )
        self.names = number_frames(root)
        camera, name = _read_json(root / "camera.json"), str(root / "camera.json")
        self._K = intrinsics_of(camera, name)
        self._metres_per_unit = metres_per_depth_unit(camera.get("depth_scale"), name)
        self._stated = stated_camera(camera)
        stems = {im_id: Path(name).stem for im_id, name in self.names.items()}
        masks = find_masks(root / "masks", stems, models) if masks is None else masks
        super().__init__(root, SPLIT, selection, models, masks)

    def scene_ids(self) -> Sequence[int]:
        """The one scene, 0."""
        return (SCENE_ID,)

    def list_scene(self, scene_id: int) -> Sequence[int]:
        """Every image of `rgb/`."""
        return tuple(self.names)

    def frame_names(self) -> dict[int, str]:
        """Colour image file names by `im_id`: the content of `frames.json`."""
        return dict(self.names)

    def rgb_path(self, frame_id: FrameId) -> Path:
        """The colour image."""
        return self.root / "rgb" / self.names[frame_id.im_id]

    def image_inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """The two images and the camera's values."""
        rgb = self.rgb_path(frame_id)
        images = InputFile(rgb.parent, (rgb.name,)), self._depth_image(frame_id)
        return *images, f"{self._K.tolist()} {self._metres_per_unit!r} {self._stated}"

    def read_depth(self, frame_id: FrameId) -> Float[np.ndarray, "height width"]:
        """The depth image of the same name, in metres."""
        return read_depth(*self.depth_source(frame_id))

    def depth_source(self, frame_id: FrameId) -> tuple[Path, float]:
        """The depth image of the same name, and the camera's `depth_scale`."""
        return image_path(self._depth_image(frame_id)), self._metres_per_unit

    def read_intrinsics(self, frame_id: FrameId) -> Float[np.ndarray, "3 3"]:
        """The camera's matrix, the same for all frames."""
        return self._K.copy()

    def stated_camera(self, frame_id: FrameId) -> StatedCamera:
        """What `camera.json` says beside it."""
        return self._stated

    def _depth_image(self, frame_id: FrameId) -> InputFile:
        return image_input(self.root / "depth", self.rgb_path(frame_id).stem, suffixes=DEPTH_SUFFIXES)


def number_frames(root: Path) -> dict[int, str]:
    """Colour image file names by `im_id`: as `frames.json` says, new files behind it in sorted order.

    Raises:
        DataError: there is no image, or `frames.json` is broken.
    """
    found = {path.name for path in images_by_stem(root / "rgb").values()}
    path = root / "frames.json"
    known = _read_frame_names(path) if path.is_file() else {}
    new = sorted(found - set(known.values()))
    names = known | dict(enumerate(new, start=max(known, default=-1) + 1))
    if not names:
        raise DataError(
            f"no frames: looked for images ({' '.join(SUFFIXES)}) in {root / 'rgb'}, "
            f"found {describe_folder(root / 'rgb')}. Put the colour images there."
        )
    return dict(sorted(names.items()))


def _read_frame_names(path: Path) -> dict[int, str]:
    try:
        names = by_number(_read_json(path))
        if wrong := [name for name in names.values() if not is_plain_name(name)]:
            raise ValueError(f"got {str(wrong[0])[:60]!r}")
        return names
    except ValueError as error:
        reason = f"expected file names by image id ({error})"
        raise data_error(path, reason, "Remove it or restore it.") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except FileNotFoundError:
        others = [name for name in OTHER_CAMERA_FILES if (path.parent / name).is_file()]
        beside = f"; {others[0]} is read by selfpose6d import" if others else ""
        remedy = 'Write {"cam_K": [9 numbers], "depth_scale": mm}.'
        raise data_error(path, f"missing file{beside}", remedy) from None
    except (OSError, ValueError) as error:
        raise data_error(path, f"unreadable JSON ({error})", "Correct it.") from error
    if not isinstance(content, dict):
        raise data_error(path, f"expected a JSON object, got {type(content).__name__}", "Correct it.")
    return content
