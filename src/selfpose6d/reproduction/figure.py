"""Figure 4: models back-projected at the poses of two methods, instances chosen by rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8

from selfpose6d.datasets.object_label import object_label
from selfpose6d.datasets.true_poses import iterate_ground_truth
from selfpose6d.evaluation.errors_file import InstanceErrors
from selfpose6d.evaluation.estimates import read_estimates
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey
from selfpose6d.viz.contact_sheet import SheetEntry, crop_around
from selfpose6d.viz.overlay import LABEL_HEIGHT_PX, DrawnPose, draw_outline, draw_text
from selfpose6d.viz.palette import BACKGROUND_RGB, STATUS_RGB, TEXT_RGB, TRUTH_RGB

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset

GAP_PX = 6
MESH_OPACITY = 0.75
"""Of the back-projected model: what it hides still shows through where it lies wrong."""
MM_PER_M = 1000
RULE = (
    "Per object two instances, chosen by rule among those that both methods estimated: on the left the one of median "
    "ADD(-S) of the second method, on the right the one whose ADD(-S) differs most between the two. Each: observed "
    "image, first method, second method. White: outline at the true pose."
)


@dataclass(frozen=True)
class Method:
    """A method's run: its title, errors and predictions."""

    title: str
    errors: InstanceErrors
    predictions: Path


def choose_rows(first: InstanceErrors, second: InstanceErrors) -> list[tuple[InstanceKey, InstanceKey]]:
    """Per object the instance of median ADD(-S) of `second` and that of the largest difference; ties by key."""
    errors = [{one.key(i): float(one.add_or_adds_m[i]) for i in range(len(one))} for one in (first, second)]
    both = [key for key in errors[1] if np.isfinite([one.get(key, np.inf) for one in errors]).all()]
    chosen = []
    for obj_id in sorted({key.obj_id for key in both}):
        keys = sorted(key for key in both if key.obj_id == obj_id)
        by_error = sorted(keys, key=lambda key: (errors[1][key], key))
        apart = max(keys, key=lambda key: (abs(errors[0][key] - errors[1][key]), key))
        chosen.append((by_error[(len(by_error) - 1) // 2], apart))
    return chosen


def draw_figure(
    dataset: "Dataset", first: Method, second: Method
) -> UInt8[np.ndarray, "rows columns 3"] | None:
    """One row an object, six tiles; None where no instance has both estimates."""
    chosen = choose_rows(first.errors, second.errors)
    if not chosen:
        return None
    keys = [key for pair in chosen for key in pair]
    obj_ids = sorted({key.obj_id for key in keys})
    meshes = pack_meshes([dataset.load_mesh(obj_id) for obj_id in obj_ids])
    selection = Selection(tuple(sorted({k.scene_id for k in keys})), tuple(sorted({k.im_id for k in keys})))
    truth = {
        pose.key: pose.T_cam_obj for pose in iterate_ground_truth(dataset.root, dataset.split, selection)
    }
    poses = [_poses(method) for method in (first, second)]
    rows = []
    for pair in chosen:
        tiles = []
        for key in pair:
            index, errors = obj_ids.index(key.obj_id), [_error_m(m.errors, key) for m in (first, second)]
            titles = [
                f"{m.title} {MM_PER_M * e:.0f} mm" for m, e in zip((first, second), errors, strict=True)
            ]
            estimates = [found[key] for found in poses]
            tiles += _tiles(dataset, meshes, index, key, truth[key], estimates, titles)
        rows.append(_row(tiles))
    return np.concatenate(rows)


def _poses(method: Method) -> dict[InstanceKey, np.ndarray]:
    """The estimated pose of each target that has one."""
    estimates, _ = read_estimates(method.predictions)
    row_of = {int(row): i for i, row in enumerate(estimates.row.tolist())}
    errors = method.errors
    return {
        errors.key(i): estimates.T_cam_obj[row_of[row]]
        for i, row in enumerate(errors.prediction_row.tolist())
        if row in row_of
    }


def _error_m(errors: InstanceErrors, key: InstanceKey) -> float:
    index = next(i for i in range(len(errors)) if errors.key(i) == key)
    return float(errors.add_or_adds_m[index])


def _tiles(
    dataset: "Dataset",
    meshes: PackedMeshes,
    index: int,
    key: InstanceKey,
    T_true: np.ndarray,
    estimates: Sequence[np.ndarray],
    titles: Sequence[str],
) -> list[np.ndarray]:
    """Observed crop around the true pose, then the model back-projected at each estimate."""
    frame_id = FrameId(key.scene_id, key.im_id)
    rgb, K = dataset.read_rgb(frame_id), dataset.read_intrinsics(frame_id)
    observed, K_crop = crop_around(meshes, SheetEntry(rgb, K, DrawnPose(index, T_true), ()))
    covered = [_back_projected(observed, meshes, index, T, K_crop) for T in estimates]
    true_mask = _coverage(meshes, index, T_true, K_crop, observed.shape[0])[1][..., 0] > 0.5
    first = observed.copy()
    lines = object_label(key.obj_id, dataset.object_names()), f"scene {key.scene_id}, image {key.im_id}"
    for index, line in enumerate(lines):
        draw_text(first, line, 0, index * LABEL_HEIGHT_PX, TEXT_RGB)
    for image, title in zip(covered, titles, strict=True):
        draw_outline(image, true_mask, TRUTH_RGB, 1)
        draw_text(image, title, 0, 0, STATUS_RGB[""])
    return [first, *covered]


def _back_projected(
    observed: np.ndarray, meshes: PackedMeshes, index: int, T_cam_obj: np.ndarray, K: np.ndarray
) -> np.ndarray:
    colours, coverage = _coverage(meshes, index, T_cam_obj, K, observed.shape[0])
    opacity = MESH_OPACITY * coverage
    image = np.rint((1 - opacity) * observed + opacity * colours).clip(0, 255).astype(np.uint8)
    draw_outline(image, coverage[..., 0] > 0.5, STATUS_RGB[""], 1)
    return image


def _coverage(
    meshes: PackedMeshes, index: int, T_cam_obj: np.ndarray, K: np.ndarray, side_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (0-255) and coverage (0-1) of the rendered model."""
    T, K_tile = (torch.from_numpy(np.asarray(matrix)).float() for matrix in (T_cam_obj[None], K))
    rendering = render(PosedMeshes.of_one(meshes, index, T, K_tile, (side_px, side_px)), supersample=2)
    coverage = rendering.mask[0, ..., None].numpy()
    return 255 * rendering.rgb[0].numpy() / np.maximum(coverage, 1e-6), coverage


def _row(tiles: Sequence[np.ndarray]) -> np.ndarray:
    side = tiles[0].shape[0]
    gap = np.full((side, GAP_PX, 3), BACKGROUND_RGB, np.uint8)
    wide = np.full((side, 3 * GAP_PX, 3), BACKGROUND_RGB, np.uint8)
    parts: list[np.ndarray] = []
    for i, tile in enumerate(tiles):
        parts += [wide if i == 3 else gap, tile] if i else [tile]
    row = np.concatenate(parts, axis=1)
    return np.concatenate([row, np.full((GAP_PX, row.shape[1], 3), BACKGROUND_RGB, np.uint8)])
