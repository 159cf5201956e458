"""The pictures of `report`: whole frames, the worst and the rejected instances."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import SelfPose6DError
from selfpose6d.evaluation.evaluate import Evaluation
from selfpose6d.evaluation.instances import Estimates, image_keys
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.reporting.page import Picture
from selfpose6d.selection import FrameId
from selfpose6d.viz.contact_sheet import SheetEntry, draw_strip
from selfpose6d.viz.image_files import to_jpeg
from selfpose6d.viz.overlay import DrawnPose, draw_overlay

JPEG = "image/jpeg"
MM_PER_M = 1e3


@dataclass(frozen=True)
class Studio:
    """What is needed to draw a run's estimates: the images, the meshes and the objects' names."""

    dataset: Dataset
    meshes: PackedMeshes
    mesh_index: Mapping[int, int]
    names: Mapping[int, str]

    def pose(self, estimates: Estimates, row: int) -> DrawnPose:
        """One estimate as it is drawn."""
        obj_id, status = int(estimates.obj_id[row]), str(estimates.status[row])
        label = f"{obj_id} {self.names.get(obj_id, '')} {status} {estimates.confidence[row]:.2f}"
        return DrawnPose(self.mesh_index[obj_id], estimates.T_cam_obj[row], " ".join(label.split()), status)


def open_studio(dataset: Dataset, estimates: Estimates, names: Mapping[int, str]) -> Studio:
    """Load the meshes of the estimated objects.

    Raises:
        SelfPose6DError: a mesh is missing or broken.
    """
    obj_ids = np.unique(estimates.obj_id).tolist()
    meshes = pack_meshes([dataset.load_mesh(obj_id) for obj_id in obj_ids])
    return Studio(dataset, meshes, {obj_id: index for index, obj_id in enumerate(obj_ids)}, names)


def frame_pictures(studio: Studio, estimates: Estimates, count: int) -> list[Picture]:
    """`count` frames, evenly spread over the run, with all their estimates; unreadable ones are left out."""
    rows_of: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(image_keys(estimates)):
        rows_of.setdefault(key, []).append(row)
    keys = sorted(rows_of)
    chosen = np.unique(np.linspace(0, len(keys) - 1, min(count, len(keys))).astype(int)).tolist()
    pictures = []
    for key in (keys[i] for i in chosen):
        with suppress(SelfPose6DError):
            rgb, K = _image(studio, FrameId(*key))
            poses = [studio.pose(estimates, row) for row in rows_of[key]]
            overlay = draw_overlay(rgb, K, studio.meshes, poses)
            pictures.append(Picture(to_jpeg(overlay), JPEG, (f"scene {key[0]}, image {key[1]}",)))
    return pictures


def instance_entries(
    studio: Studio, estimates: Estimates, rows: Sequence[int], evaluation: Evaluation | None
) -> list[SheetEntry]:
    """The chosen estimates, with distances and true outlines where known; unreadable ones are left out."""
    entries = []
    for row in rows:
        with suppress(SelfPose6DError):
            entries.append(_entry(studio, estimates, row, evaluation))
    return entries


def entry_picture(studio: Studio, entry: SheetEntry) -> Picture:
    """ObservedImages, rendering and outline of one instance, its text beside it."""
    strip = draw_strip(studio.meshes, replace(entry, captions=(), pose=replace(entry.pose, label="")))
    return Picture(to_jpeg(strip), JPEG, entry.captions, entry.pose.status)


def _entry(studio: Studio, estimates: Estimates, row: int, evaluation: Evaluation | None) -> SheetEntry:
    frame_id = FrameId(int(estimates.scene_id[row]), int(estimates.im_id[row]))
    pose = studio.pose(estimates, row)
    captions = [f"{pose.label}: scene {frame_id.scene_id}, image {frame_id.im_id}"]
    T_true = None
    if evaluation is not None and len(found := np.flatnonzero(evaluation.scores.estimate == row)):
        target, scores = int(found[0]), evaluation.scores
        add_mm, adds_mm = scores.add_m[target] * MM_PER_M, scores.adds_m[target] * MM_PER_M
        captions.append(f"ADD-S {adds_mm:.1f} mm, ADD {add_mm:.1f} mm")
        T_true = evaluation.truths.T_cam_obj[scores.truth[target]]
    if estimates.reason[row]:
        captions.append(str(estimates.reason[row]))
    return SheetEntry(*_image(studio, frame_id), pose, tuple(captions), T_true)


def _image(studio: Studio, frame_id: FrameId) -> tuple[np.ndarray, np.ndarray]:
    return studio.dataset.read_rgb(frame_id), studio.dataset.read_intrinsics(frame_id)
