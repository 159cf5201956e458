"""What can be wrong with the files of a BOP scene, beyond single frames: duplicates, orphans, gaps."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from selfpose6d.datasets.bop.dataset import BopDataset
from selfpose6d.datasets.bop.scene import BopScene, list_frames, read_object_ids
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.doctor.problems import (
    Problem,
    check_duplicates,
    error,
    shared_ids,
    warning,
)
from selfpose6d.datasets.images import list_images
from selfpose6d.datasets.model_files import list_some
from selfpose6d.errors import DataError


def check_files(dataset: Dataset, scene_id: int | None) -> Iterator[Problem]:
    """What is wrong with the files of a scene; with None, with the split's folder."""
    assert isinstance(dataset, BopDataset)
    if scene_id is None:
        return _check_split(dataset.root / dataset.split)
    return _check_scene(dataset.scenes[scene_id], not isinstance(dataset.masks, DetectionMasks))


def _check_split(folder: Path) -> Iterator[Problem]:
    names = [path.name for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()]
    for scene_id, twins in shared_ids((int(name), name) for name in names):
        yield error(folder, f"duplicate id: scenes {twins} are all {scene_id}", "Renumber them.")


def _check_scene(scene: BopScene, with_masks: bool) -> Iterator[Problem]:
    """`with_masks` False leaves out what only matters where `mask_visib/` is read."""
    kinds = ("rgb", "gray", "depth", "mask_visib")
    for folder in sorted({scene.colour_images(), *map(scene.images, kinds)}):
        yield from check_duplicates(folder)
    with suppress(DataError):  # the frames that need the file report it
        if not (im_ids := list_frames(scene)):
            yield warning(scene.folder, "no frames", "Remove the folder, or put its images there.")
        if with_masks:
            yield from _check_masks(scene, im_ids)


def _check_masks(scene: BopScene, im_ids: list[int]) -> Iterator[Problem]:
    try:
        object_ids = read_object_ids(scene.file("scene_gt.json"))
    except DataError as fault:
        yield Problem("error", str(fault))
        return
    if unnamed := [im_id for im_id in im_ids if im_id not in object_ids]:
        reason = f"no entry for images {list_some(unnamed, 5, ', ')}"
        yield warning(scene.file("scene_gt.json"), reason, "Add their obj_id entries.")
    named = {(im_id, i) for im_id, ids in object_ids.items() for i in range(len(ids))}
    stems = (path.stem for path in list_images(scene.images("mask_visib")))
    if orphans := sorted(stem for stem in stems if _place(stem) not in named):
        reason = f"masks {list_some(orphans, 5, ', ')} have no entry in scene_gt.json"
        yield warning(scene.images("mask_visib"), reason, "Add their entries (obj_id), or remove the masks.")


def _place(stem: str) -> tuple[int, ...] | None:
    """Image id and index of a mask's name, None of other names."""
    parts = stem.split("_")
    return tuple(map(int, parts)) if len(parts) == 2 and all(part.isdecimal() for part in parts) else None
