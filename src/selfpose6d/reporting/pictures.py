"""The pictures of `report`: whole frames, the worst and the rejected instances."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.images import read_rgb
from selfpose6d.datasets.true_poses import iterate_ground_truth
from selfpose6d.errors import SelfPose6DError
from selfpose6d.evaluation.errors_file import InstanceErrors
from selfpose6d.evaluation.instances import Estimates, image_keys
from selfpose6d.image_files import to_jpeg
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.reporting.page import Picture
from selfpose6d.runs.predictions import MM_PER_M
from selfpose6d.selection import FrameId, Selection, spread_evenly
from selfpose6d.types import InstanceKey
from selfpose6d.viz.contact_sheet import SheetEntry, draw_strip
from selfpose6d.viz.overlay import DrawnPose, draw_overlay

JPEG = "image/jpeg"


@dataclass(frozen=True)
class RunRenderer:
    """What is needed to draw a run's estimates: images, meshes, names, true poses."""

    dataset: Dataset
    meshes: PackedMeshes
    mesh_index: Mapping[int, int]
    names: Mapping[int, str]
    T_true: Mapping[InstanceKey, np.ndarray]
    """True poses by key, where they are known and asked for."""

    def pose(self, estimates: Estimates, row: int) -> DrawnPose:
        """One estimate as it is drawn."""
        obj_id, status = int(estimates.obj_id[row]), str(estimates.status[row])
        label = f"{obj_id} {self.names.get(obj_id, '')} {status} {estimates.confidence[row]:.2f}"
        return DrawnPose(self.mesh_index[obj_id], estimates.T_cam_obj[row], " ".join(label.split()), status)


def open_renderer(
    dataset: Dataset, estimates: Estimates, names: Mapping[int, str], outlined: Estimates
) -> RunRenderer:
    """Load the meshes of the estimated objects, and the true poses in the images of the outlined ones, if any.

    Raises:
        SelfPose6DError: a mesh is missing or broken.
    """
    obj_ids = np.unique(estimates.obj_id).tolist()
    meshes = pack_meshes([dataset.load_mesh(obj_id) for obj_id in obj_ids])
    mesh_index = {obj_id: index for index, obj_id in enumerate(obj_ids)}
    scenes, frames = (tuple(np.unique(ids).tolist()) for ids in (outlined.scene_id, outlined.im_id))
    T_true, shown = {}, Selection(scenes, frames)
    with suppress(SelfPose6DError):
        poses = iterate_ground_truth(dataset.root, dataset.split, shown) if len(outlined) else ()
        T_true = {pose.key: pose.T_cam_obj for pose in poses}
    return RunRenderer(dataset, meshes, mesh_index, names, T_true)


def frame_pictures(renderer: RunRenderer, estimates: Estimates, count: int) -> list[Picture]:
    """`count` frames, evenly spread over the run, with all their estimates; unreadable ones are left out."""
    rows_of: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(image_keys(estimates)):
        rows_of.setdefault(key, []).append(row)
    pictures = []
    for key in spread_evenly(sorted(rows_of), count):
        with suppress(SelfPose6DError):
            rgb, K = _image(renderer, FrameId(*key))
            poses = [renderer.pose(estimates, row) for row in rows_of[key]]
            overlay = draw_overlay(rgb, K, renderer.meshes, poses)
            pictures.append(Picture(to_jpeg(overlay), JPEG, (f"scene {key[0]}, image {key[1]}",)))
    return pictures


def mask_pictures(folder: Path, count: int) -> list[Picture]:
    """`count` of the pictures that `find` drew of its masks, evenly spread; none where there are none."""
    pictures = []
    for path in spread_evenly(sorted(folder.glob("*.png")), count):
        with suppress(SelfPose6DError):
            scene, image = path.stem.split("_")
            caption = f"scene {int(scene)}, image {int(image)}"
            pictures.append(Picture(to_jpeg(read_rgb(path)), JPEG, (caption,)))
    return pictures


def instance_entries(
    renderer: RunRenderer, estimates: Estimates, rows: Sequence[int], errors: InstanceErrors | None
) -> list[SheetEntry]:
    """The chosen estimates, with errors and true outlines where known; unreadable ones are left out."""
    target_of = {} if errors is None else {row: i for i, row in enumerate(errors.prediction_row.tolist())}
    entries = []
    for row in rows:
        with suppress(SelfPose6DError):
            entries.append(_entry(renderer, estimates, row, errors, target_of.get(int(estimates.row[row]))))
    return entries


def entry_picture(renderer: RunRenderer, entry: SheetEntry) -> Picture:
    """Observed image, rendering and outline of one instance, its text beside it."""
    strip = draw_strip(renderer.meshes, replace(entry, captions=(), pose=replace(entry.pose, label="")))
    return Picture(to_jpeg(strip), JPEG, entry.captions, entry.pose.status)


def _entry(
    renderer: RunRenderer, estimates: Estimates, row: int, errors: InstanceErrors | None, target: int | None
) -> SheetEntry:
    frame_id = FrameId(int(estimates.scene_id[row]), int(estimates.im_id[row]))
    pose = renderer.pose(estimates, row)
    captions = [f"{pose.label}: scene {frame_id.scene_id}, image {frame_id.im_id}"]
    T_true = None
    if errors is not None and target is not None:
        add_mm, adds_mm = errors.add_m[target] * MM_PER_M, errors.adds_m[target] * MM_PER_M
        captions.append(f"ADD-S {adds_mm:.1f} mm, ADD {add_mm:.1f} mm")
        T_true = renderer.T_true.get(errors.key(target))
    if estimates.reason[row]:
        captions.append(str(estimates.reason[row]))
    return SheetEntry(*_image(renderer, frame_id), pose, tuple(captions), T_true)


def _image(renderer: RunRenderer, frame_id: FrameId) -> tuple[np.ndarray, np.ndarray]:
    return renderer.dataset.read_rgb(frame_id), renderer.dataset.read_intrinsics(frame_id)
