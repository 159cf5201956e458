"""YCB-Video's original layout on disk: a split's frames, their files, their label-free fields.

Of `-meta.mat` only `cls_indexes`, `intrinsic_matrix` and `factor_depth` are read here; `-box.txt` never.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from selfpose6d.datasets.file_cache import FileCache
from selfpose6d.datasets.images import data_error
from selfpose6d.datasets.inputs import InputFile, image_input
from selfpose6d.datasets.model_files import ModelFiles, describe_folder, find_model_files
from selfpose6d.datasets.ycb_video.mat_file import read_mat
from selfpose6d.errors import UsageError
from selfpose6d.files import read_text, read_whole
from selfpose6d.json_files import whole_number
from selfpose6d.meshes.units import Unit
from selfpose6d.selection import FrameId

SYNTHETIC_SPLIT = "data_syn"
ALL_SPLIT = "all"
_SET_OF_SPLIT = {"test": "keyframe"}
_READ_FIELDS = ("cls_indexes", "intrinsic_matrix", "factor_depth")
YCB_NAMES = (
    "002_master_chef_can", "003_cracker_box", "004_sugar_box", "005_tomato_soup_can", "006_mustard_bottle",
    "007_tuna_fish_can", "008_pudding_box", "009_gelatin_box", "010_potted_meat_can", "011_banana",
    "019_pitcher_base", "021_bleach_cleanser", "024_bowl", "025_mug", "035_power_drill", "036_wood_block",
    "037_scissors", "040_large_marker", "051_large_clamp", "052_extra_large_clamp", "061_foam_brick",
)  # fmt: skip
_SIZES = {"intrinsic_matrix": 9, "factor_depth": 1}
"""Numbers in a field of `-meta.mat`."""


class YcbVideoFrames:
    """Which frames a split has and where their files are."""

    def __init__(self, root: Path, split: str) -> None:
        """List the split.

        Raises:
            UsageError: no such split, or none of its frames is there.
        """
        self._folder = root / (SYNTHETIC_SPLIT if split == SYNTHETIC_SPLIT else "data")
        self._synthetic = split == SYNTHETIC_SPLIT
        by_scene = groupby(sorted(self._listed(root, split)), key=lambda frame_id: frame_id.scene_id)
        self.by_scene = {scene_id: [frame_id.im_id for frame_id in ids] for scene_id, ids in by_scene}
        if not self.by_scene:
            found = describe_folder(self._folder)
            raise UsageError(
                f"no frames: looked for NNNNNN-color.png and its like in {self._folder}, found {found}. "
                "Correct the path or --split."
            )
        self._metas = FileCache(partial(read_meta, fields=_READ_FIELDS))

    def file(self, frame_id: FrameId, kind: str) -> tuple[Path, str]:
        """Folder and name without suffix of one of the frame's files; `kind` is `-color`, `-depth`, ..."""
        scene = self._folder if self._synthetic else self._folder / f"{frame_id.scene_id:04d}"
        return scene, f"{frame_id.im_id:06d}{kind}"

    def meta_path(self, frame_id: FrameId) -> Path:
        """`NNNNNN-meta.mat`."""
        folder, stem = self.file(frame_id, "-meta")
        return folder / f"{stem}.mat"

    def label_image(self, frame_id: FrameId) -> InputFile:
        """`NNNNNN-label.png`."""
        return image_input(*self.file(frame_id, "-label"))

    def object_ids(self, frame_id: FrameId) -> list[int]:
        """The frame's `cls_indexes`, which are the values of its label image."""
        return class_ids(self.meta(frame_id), self.meta_path(frame_id))

    def meta(self, frame_id: FrameId) -> dict[str, np.ndarray]:
        """The three fields of `-meta.mat` that are no label; the last frame's stay in memory.

        Raises:
            DataError: the file is missing, unreadable or lacks a field.
        """
        return self._metas.get(self.meta_path(frame_id))

    def _listed(self, root: Path, split: str) -> list[FrameId]:
        if split == SYNTHETIC_SPLIT:
            return _frames_of_scene(self._folder, 0)
        present = [
            frame_id
            for scene in sorted(self._folder.iterdir() if self._folder.is_dir() else ())
            if scene.name.isdecimal()
            for frame_id in _frames_of_scene(scene, int(scene.name))
        ]
        image_set = _image_set(root, split)
        if image_set is None:
            if present and split != ALL_SPLIT:
                self._warn_of_all(f"split {split} has no list in {root / 'image_sets'}", len(present))
            return present
        named = read_image_set(image_set)
        chosen = [frame_id for frame_id in present if frame_id in named]
        if present and not chosen:
            reason = f"none of the {len(named)} frames of {image_set} is under {self._folder}"
            self._warn_of_all(reason, len(present))
        return chosen or present

    def _warn_of_all(self, reason: str, frames: int) -> None:
        """What is trained on and tested is no longer apart: said wherever it may happen."""
        warnings.warn(
            f"{reason}: taking all {frames} frames that are there, those of other splits among them. Restore the list, "
            f"or keep training and test frames apart with --scenes (--split {ALL_SPLIT}: all, no warning)",
            stacklevel=2,
        )


def read_meta(path: Path, fields: Sequence[str]) -> dict[str, np.ndarray]:
    """The named fields of a `-meta.mat`.

    Raises:
        DataError: the file is missing, unreadable or lacks a field.
    """
    try:
        content = read_mat(read_whole(path), fields)
    except FileNotFoundError:
        raise data_error(path, "missing file", "Restore it from the data set.") from None
    except (OSError, ValueError) as error:
        reason = f"unreadable MATLAB file ({error})"
        raise data_error(path, reason, "Restore it from the data set.") from None
    if missing := [name for name in fields if name not in content]:
        raise data_error(path, f"lacks {', '.join(missing)}", "Restore it from the data set.")
    for name, size in _SIZES.items():
        if name in fields and (content[name].size != size or not np.isfinite(content[name]).all()):
            reason = f"expected {name} of {size} numbers, got {content[name].ravel().tolist()[:12]}"
            raise data_error(path, reason, "Restore it from the data set.")
    return {name: content[name] for name in fields}


def class_ids(meta: Mapping[str, np.ndarray], path: Path) -> list[int]:
    """`cls_indexes`: the objects of a frame.

    Raises:
        DataError: one is no object id.
    """
    try:
        return [whole_number(value) for value in meta["cls_indexes"].reshape(-1).tolist()]
    except ValueError as error:
        raise data_error(path, f"cls_indexes: {error}", "Restore it from the data set.") from None


def read_image_set(path: Path) -> set[FrameId]:
    """The frames of an image set (`0048/000001` a line), without those of `data_syn`."""
    pairs = (line.strip().split("/") for line in _read_list(path).splitlines())
    return {
        FrameId(int(p[0]), int(p[1])) for p in pairs if len(p) == 2 and p[0].isdecimal() and p[1].isdecimal()
    }


def find_ycb_models(root: Path, models_dir: Path | None, unit: Unit | None) -> ModelFiles:
    """`models/<name>/textured.obj` in metres, ids 1-21 in the order of `image_sets/classes.txt`."""
    classes = root / "image_sets" / "classes.txt"
    names = _read_list(classes).split() if classes.is_file() else YCB_NAMES
    if not names:
        raise data_error(classes, "no class name in it", "Restore it from the data set, or remove it.")
    return find_model_files(models_dir or root / "models", unit, names, named_unit="m")


def _read_list(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise data_error(path, f"no text ({error})", "Restore it from the data set.") from None


def _image_set(root: Path, split: str) -> Path | None:
    """The list of a split, None for all frames.

    Raises:
        UsageError: `image_sets/` has no such split.
    """
    folder = root / "image_sets"
    for name in (_SET_OF_SPLIT.get(split, split), split):
        if (folder / f"{name}.txt").is_file():
            return folder / f"{name}.txt"
    if split in (ALL_SPLIT, "test", "train"):
        return None
    raise UsageError(
        f"no split {split!r}: looked for {folder / split}.txt, found {describe_folder(folder)}. "
        f"Choose one of these with --split, or {ALL_SPLIT}, {SYNTHETIC_SPLIT}, test (the key frames)."
    )


def _frames_of_scene(folder: Path, scene_id: int) -> list[FrameId]:
    if not folder.is_dir():
        return []
    kinds = ("color", "depth", "label", "meta")
    names = (path.stem.partition("-") for path in folder.iterdir())
    im_ids = {int(stem) for stem, _, kind in names if stem.isdecimal() and kind in kinds}
    return [FrameId(scene_id, im_id) for im_id in sorted(im_ids)]
