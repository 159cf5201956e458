"""What can be wrong with the files of a BOP scene, beyond single frames: duplicates, orphans, gaps."""

import json
from collections.abc import Iterator
from pathlib import Path

from selfpose6d.datasets.bop.scene import list_frames, read_object_ids
from selfpose6d.datasets.doctor.problems import Problem, check_duplicates, error, repeated, warning
from selfpose6d.datasets.images import list_images
from selfpose6d.errors import DataError

_FILES = ("scene_camera.json", "scene_gt.json")
_SHOWN = 5


def check_split(split_folder: Path) -> Iterator[Problem]:
    """Scene folders with the same id."""
    names = [path.name for path in split_folder.iterdir() if path.is_dir() and path.name.isdecimal()]
    for scene_id in repeated(map(int, names)):
        twins = sorted(name for name in names if int(name) == scene_id)
        yield error(
            split_folder, f"duplicate id: scenes {', '.join(twins)} are all {scene_id}", "Renumber them."
        )


def check_scene(scene: Path, with_masks: bool) -> Iterator[Problem]:
    """Duplicate images and ids, frames that one file names and another does not, masks that nothing names.

    `with_masks` False leaves out what only matters where `mask_visib/` is read.
    """
    for folder in ("rgb", "gray", "depth", "mask_visib"):
        yield from check_duplicates(scene / folder)
    for name in _FILES:
        yield from _check_keys(scene / name)
    try:
        im_ids = list_frames(scene)
    except DataError:
        return
    if not im_ids:
        yield warning(scene, "no frames", "Remove the folder, or put its images there.")
    if with_masks:
        yield from _check_masks(scene, im_ids)


def _check_keys(path: Path) -> Iterator[Problem]:
    """Repeated image ids; a missing or broken file is reported by the frames that need it."""
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=lambda pairs: pairs)
        for im_id in repeated(int(key) for key, _ in pairs):
            yield error(path, f"duplicate id: image {im_id} is there more than once", "Keep one entry.")
    except (OSError, ValueError, TypeError):
        return


def _check_masks(scene: Path, im_ids: list[int]) -> Iterator[Problem]:
    try:
        object_ids = read_object_ids(scene / "scene_gt.json")
    except DataError as fault:
        yield Problem("error", str(fault))
        return
    if unnamed := [im_id for im_id in im_ids if im_id not in object_ids]:
        yield warning(
            scene / "scene_gt.json", f"no entry for images {_some(unnamed)}", "Add their obj_id entries."
        )
    named = {f"{im_id:06d}_{i:06d}" for im_id, ids in object_ids.items() for i in range(len(ids))}
    orphans = sorted({path.stem for path in list_images(scene / "mask_visib")} - named)
    if orphans:
        reason = f"masks {_some(orphans)} have no entry in scene_gt.json"
        yield warning(scene / "mask_visib", reason, "Add their entries (obj_id), or remove the masks.")


def _some(items: list) -> str:
    return ", ".join(map(str, items[:_SHOWN])) + (f" ... ({len(items)})" if len(items) > _SHOWN else "")
