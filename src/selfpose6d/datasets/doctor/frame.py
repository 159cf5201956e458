"""What can be wrong with one frame. Each check reads its own file: no fault hides another."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from selfpose6d.datasets.coco_masks import polygons_px
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.doctor.problems import Problem, warning
from selfpose6d.datasets.mask_sizes import SizeEvidence, mask_size
from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.selection import FrameId
from selfpose6d.types import MIN_POINTS, Instance

Content = TypeVar("Content")


@dataclass(frozen=True)
class FrameReport:
    """A frame's problems, and what is checked over many frames: missing models, sizes."""

    problems: tuple[Problem, ...]
    instances: int = 0
    without_model: tuple[int, ...] = ()
    """Object ids that masks name and no mesh file has."""
    sizes: tuple[SizeEvidence, ...] = ()
    camera: tuple[bytes, tuple[int, int]] | None = None
    """The camera matrix's bytes and the image's shape (height, width)."""
    of_camera: tuple[Problem, ...] = ()
    """Problems that all frames of this camera have."""


def check_frame(dataset: Dataset, frame_id: FrameId) -> FrameReport:
    """Read everything of one frame and report every problem of it."""
    problems: list[Problem] = []
    rgb = _try(problems, lambda: dataset.read_rgb(frame_id))
    depth_m = _try(problems, lambda: dataset.read_depth(frame_id))
    K = _try(problems, lambda: dataset.read_intrinsics(frame_id))
    name = str(dataset.rgb_path(frame_id))
    image = rgb if rgb is not None else depth_m
    if image is None:
        return FrameReport(tuple(problems))
    shape = image.shape[:2]
    if depth_m is not None:
        _try(problems, lambda: dataset.require_depth(frame_id, depth_m, shape))
    instances, without_model = _read_instances(problems, dataset, frame_id, shape)
    problems += _check_detections(dataset, frame_id, shape)
    usable_m = depth_m if depth_m is not None and depth_m.shape == shape else None
    if usable_m is not None:
        problems += [p for instance in instances for p in check_mask_depth(instance, usable_m, name)]
    sizes, of_camera = [], []
    if K is not None:
        _try(of_camera, lambda: dataset.require_camera(frame_id, K, shape, usable_m, instances))
        of_camera += [] if of_camera else check_principal_point(K, shape, f"camera of {name}")
    if usable_m is not None and K is not None:
        outlined = [instance for instance in instances if not instance.region]
        sizes = [size for i in outlined if (size := mask_size(i, usable_m, K)) is not None]
    camera = None if K is None else (K.tobytes(), shape)
    return FrameReport(tuple(problems), len(instances), without_model, tuple(sizes), camera, tuple(of_camera))


def check_principal_point(K: np.ndarray, shape: tuple[int, int], name: str) -> Iterator[Problem]:
    """A principal point far off the centre: right for a crop whose camera was moved along."""
    size = np.array([shape[1], shape[0]])
    if K.shape == (3, 3) and np.isfinite(K).all() and np.abs(2 * K[:2, 2] / size - 1).max() > 0.4:
        centre = f"principal point {K[0, 2]:.0f}, {K[1, 2]:.0f}"
        where = f"far off the centre of {size[0]}x{size[1]} pixels"
        yield warning(name, f"{centre} is {where}", "If the images are cropped, move cx and cy along.")


def check_mask_depth(instance: Instance, depth_m: np.ndarray, name: str) -> Iterator[Problem]:
    """A mask with too little depth to estimate a pose from."""
    num_points = int(np.count_nonzero(instance.mask & (depth_m > 0)))
    if num_points < MIN_POINTS:
        yield warning(
            f"{name}: object {instance.key.obj_id}, instance {instance.key.inst_id}",
            f"{num_points} mask pixels have depth, {MIN_POINTS} are needed",
            "It will be skipped; correct the mask or the depth if it should not be.",
        )


def check_detection(row: dict[str, Any], shape: tuple[int, int], name: str) -> Iterator[Problem]:
    """A detection whose box or polygon leaves the image: it is cut at the border."""
    height, width = shape
    corners_px = [corners] if (corners := _box_corners_px(row.get("bbox"))) is not None else []
    polygons = row.get("segmentation")
    if isinstance(polygons, list):
        with suppress(*MALFORMED):  # reading its mask says so
            corners_px += polygons_px(polygons)
    if any((px < -1).any() or (px > [width + 1, height + 1]).any() for px in corners_px):
        reason = f"the mask or box reaches outside the image of {width}x{height} pixels"
        remedy = "It is cut at the border; boxes are [x, y, width, height] in the image's own pixels."
        yield warning(name, reason, remedy)


def _box_corners_px(bbox: Any) -> np.ndarray | None:
    """First and last corner of [x, y, width, height]; None of what is no box: reading its mask says so."""
    try:
        return np.cumsum(np.asarray(bbox, np.float64)[:4].reshape(2, 2), axis=0)
    except MALFORMED:
        return None


def _read_instances(
    problems: list[Problem], dataset: Dataset, frame_id: FrameId, shape: tuple[int, int]
) -> tuple[tuple[Instance, ...], tuple[int, ...]]:
    """Usable instances, and the object ids that have no model."""
    instances, skipped = _try(problems, lambda: dataset.read_instances(frame_id, shape)) or ((), ())
    known = dataset.models.files
    problems += [Problem("error", instance.reason) for instance in skipped if instance.key.obj_id in known]
    return instances, tuple({i.key.obj_id for i in skipped} - set(known))


def _check_detections(dataset: Dataset, frame_id: FrameId, shape: tuple[int, int]) -> Iterator[Problem]:
    if isinstance(dataset.masks, DetectionMasks):
        for entry in dataset.masks.entries(frame_id):
            row = dataset.masks.read(frame_id, entry.inst_id)
            yield from check_detection(row, shape, f"{dataset.masks.path}: detection {entry.inst_id}")


def _try(problems: list[Problem], read: Callable[[], Content]) -> Content | None:
    try:
        return read()
    except DataError as fault:
        problems.append(Problem("error", str(fault)))
        return None
