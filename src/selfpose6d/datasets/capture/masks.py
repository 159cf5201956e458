"""Masks of a capture folder: `masks/<obj_id or name>/<frame>.png`, or label images `masks/<frame>.png`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.images import SUFFIXES, list_images, read_mask
from selfpose6d.datasets.inputs import FrameInput, InputFile, image_input, image_path
from selfpose6d.datasets.masks import LabelImageMasks, MaskEntry, MaskSource
from selfpose6d.datasets.model_files import ModelFiles, describe_folder
from selfpose6d.errors import DataError, NoMasksError
from selfpose6d.selection import FrameId


def find_masks(folder: Path, stems: Mapping[int, str], models: ModelFiles) -> MaskSource:
    """The mask source that fits the folder; `stems` are the frames' file names without suffix by `im_id`.

    Raises:
        NoMasksError: there are no masks.
        DataError: a folder names no object.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if any(True for path in folders for _ in list_images(path)):
        return ObjectFolderMasks(_object_ids(folders, models), stems)
    if any(True for _ in list_images(folder)):
        return LabelImageMasks(partial(_label_image, folder, stems))
    found = ", ".join(f"in {path.name} {describe_folder(path)}" for path in folders[:3]) or describe_folder(
        folder
    )
    raise NoMasksError(
        f"no masks: looked for {folder}/<obj_id or name>/<frame>.png and label images {folder}/<frame>.png (or "
        f"{' '.join(SUFFIXES[1:])}), found {found}. Add masks, pass --detections FILE, or use "
        "selfpose6d find or estimate --segmenter RUN."
    )


class ObjectFolderMasks(MaskSource):
    """One folder an object: `<frame>.png` is instance 0, `<frame>_<k>.png` is instance k."""

    def __init__(self, folders: Mapping[Path, int], stems: Mapping[int, str]) -> None:
        self._folders = folders
        self._stems = stems

    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """Instances with a mask file, by object."""
        stem = self._stems[frame_id.im_id]
        found = []
        for folder, obj_id in self._folders.items():
            if image_path(image_input(folder, stem)).is_file():
                found.append(MaskEntry(obj_id, 0))
            found += [MaskEntry(obj_id, inst_id) for inst_id in sorted(self._numbered[folder, stem])]
        return found

    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """The instance's mask file."""
        folder = next(path for path, obj_id in self._folders.items() if obj_id == entry.obj_id)
        stem = self._stems[frame_id.im_id]
        name = self._numbered[folder, stem].get(entry.inst_id, stem)
        return read_mask(image_path(image_input(folder, name)), shape)

    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """Each object's id, and the files that may be its masks."""
        stem = self._stems[frame_id.im_id]
        for folder, obj_id in self._folders.items():
            names = (stem, *self._numbered.get((folder, stem), {}).values())
            yield from (str(obj_id), *(image_input(folder, name) for name in names))

    @cached_property
    def _numbered(self) -> defaultdict[tuple[Path, str], dict[int, str]]:
        """File stem by instance of the `<frame>_<k>` files.

        Raises:
            DataError: two files are one instance.
        """
        numbered: defaultdict[tuple[Path, str], dict[int, str]] = defaultdict(dict)
        frames = set(self._stems.values())
        for folder in self._folders:
            paths = {path.stem: path for path in list_images(folder)}
            for name in sorted(paths):
                stem, _, number = name.rpartition("_")
                if not number.isdecimal() or stem not in frames or name in frames:
                    continue
                inst_id = int(number)
                other = numbered[folder, stem].get(inst_id, stem if inst_id == 0 else "")
                if other in paths:
                    raise DataError(
                        f"{folder}: {paths[other].name} and {paths[name].name} are both instance {inst_id} of frame "
                        f"{stem}. Give each instance a number of its own: {stem}_1{paths[name].suffix}, and so on."
                    )
                numbered[folder, stem][inst_id] = name
        return numbered


def _label_image(folder: Path, stems: Mapping[int, str], frame_id: FrameId) -> InputFile:
    return image_input(folder, stems[frame_id.im_id])


def _object_ids(folders: Sequence[Path], models: ModelFiles) -> dict[Path, int]:
    ids = {path: _object_id(path, models) for path in folders}
    for path, obj_id in ids.items():
        twins = [other.name for other, other_id in ids.items() if other_id == obj_id]
        if len(twins) > 1:
            raise DataError(f"{path.parent}: folders {', '.join(twins)} are all object {obj_id}. Merge them.")
    return ids


def _object_id(folder: Path, models: ModelFiles) -> int:
    if folder.name.isdecimal():
        return int(folder.name)
    if folder.name not in models.names:
        raise DataError(
            f"{folder}: no model has the name {folder.name!r}; models in {models.folder}: "
            f"{' '.join(sorted(models.names)) or 'none'}. Name it by the object's id or its model."
        )
    return models.names[folder.name]
