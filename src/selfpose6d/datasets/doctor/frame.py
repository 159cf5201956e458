"""What can be wrong with one frame. Each check reads its own file: no fault hides another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np

from selfpose6d.checks import (
    OTHER_RESOLUTION,
    other_resolution,
    require_depth_in_metres,
    require_intrinsics,
)
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.doctor.problems import Problem, error, warning
from selfpose6d.datasets.images import require_shape
from selfpose6d.errors import DataError
from selfpose6d.selection import FrameId
from selfpose6d.types import MIN_POINTS, Instance

Content = TypeVar("Content")


@dataclass(frozen=True)
class SizeEvidence:
    """How large a mask says an object is, without any pose: its diameter in metres at its median depth."""

    obj_id: int
    diameter_m: float


@dataclass(frozen=True)
class FrameReport:
    """A frame's problems, and what is checked over many frames: cameras, missing models, sizes."""

    problems: tuple[Problem, ...]
    instances: int = 0
    camera: tuple[np.ndarray, tuple[int, int]] | None = None
    """Camera matrix and image shape (height, width)."""
    without_model: tuple[int, ...] = ()
    """Object ids that masks name and no mesh file has."""
    sizes: tuple[SizeEvidence, ...] = ()


def check_frame(dataset: Dataset, frame_id: FrameId) -> FrameReport:
    """Read everything of one frame and report every problem of it."""
    problems: list[Problem] = []
    rgb = _try(problems, lambda: dataset.read_rgb(frame_id))
    depth_m = _try(problems, lambda: dataset.read_depth(frame_id))
    K = _try(problems, lambda: dataset.read_intrinsics(frame_id))
    name = str(dataset.rgb_path(frame_id))
    if depth_m is not None:
        problems += check_depth(depth_m, name)
        if rgb is not None:
            _try(problems, lambda: require_shape(depth_m, rgb.shape[:2], f"depth of {name}"))
    image = rgb if rgb is not None else depth_m
    if image is None:
        return FrameReport(tuple(problems))
    shape = image.shape[:2]
    instances, without_model = _read_instances(problems, dataset, frame_id, shape)
    problems += _check_detections(dataset, frame_id, shape)
    sizes = []
    if depth_m is not None and K is not None and depth_m.shape == shape:
        problems += [p for instance in instances for p in check_mask_depth(instance, depth_m, name)]
        outlined = [instance for instance in instances if not instance.region]
        sizes = [size for i in outlined if (size := mask_size(i, depth_m, K)) is not None]
    camera = (K, shape) if K is not None else None
    return FrameReport(tuple(problems), len(instances), camera, without_model, tuple(sizes))


def check_depth(depth_m: np.ndarray, name: str) -> Iterator[Problem]:
    """A depth image without any depth, or in another unit."""
    known = depth_m[depth_m > 0]
    if not known.size:
        yield error(name, "the depth image has no known depth", "Record the depth again.")
        return
    try:
        require_depth_in_metres(depth_m, f"{name}: depth")
    except DataError as fault:
        yield Problem("error", str(fault))


def check_intrinsics(K: np.ndarray, shape: tuple[int, int], name: str) -> Iterator[Problem]:
    """A camera matrix that is none, or that belongs to images of another resolution."""
    try:
        require_intrinsics(K, name)
    except DataError as fault:
        yield Problem("error", str(fault))
        return
    size = np.array([shape[1], shape[0]])
    size_px, centre = f"{size[0]}x{size[1]} pixels", f"principal point {K[0, 2]:.0f}, {K[1, 2]:.0f}"
    if (ratio := other_resolution(K, shape)) is not None:
        reason = f"intrinsics of another resolution: about {ratio:.2g} times {size_px}"
        yield error(name, reason, "Scale cam_K to the images' resolution.")
    elif ((K[:2, 2] <= 0) | (K[:2, 2] >= size)).any():
        yield error(name, f"{centre} is not within {size_px}", "Correct cam_K; it is row-major.")
    elif np.abs(2 * K[:2, 2] / size - 1).max() > 2 * OTHER_RESOLUTION:
        remedy = "If the images are cropped, move cx and cy along."
        yield warning(name, f"{centre} is far off the centre of {size_px}", remedy)


def check_mask_depth(instance: Instance, depth_m: np.ndarray, name: str) -> Iterator[Problem]:
    """A mask with too little depth to estimate a pose from."""
    num_points = int(np.count_nonzero(instance.mask & (depth_m > 0)))
    if num_points < MIN_POINTS:
        yield warning(
            f"{name}: object {instance.key.obj_id}, instance {instance.key.inst_id}",
            f"{num_points} mask pixels have depth, {MIN_POINTS} are needed",
            "It will be skipped; correct the mask or the depth if it should not be.",
        )


def mask_size(instance: Instance, depth_m: np.ndarray, K: np.ndarray) -> SizeEvidence | None:
    """The diameter of the circle about the mask, at the mask's median depth; None without it."""
    known = depth_m[instance.mask & (depth_m > 0)]
    if not known.size or not K[0, 0] > 0:
        return None
    _, radius_px = cv2.minEnclosingCircle(np.asarray(cv2.findNonZero(instance.mask.astype(np.uint8))))
    return SizeEvidence(instance.key.obj_id, 2 * radius_px * float(np.median(known)) / K[0, 0])


def check_detection(row: dict[str, Any], shape: tuple[int, int], name: str) -> Iterator[Problem]:
    """A detection whose box or polygon leaves the image."""
    height, width = shape
    corners_px = [corners] if (corners := _box_corners_px(row.get("bbox"))) is not None else []
    polygons = row.get("segmentation")
    if isinstance(polygons, list):
        corners_px += [np.reshape(polygon, (-1, 2)) for polygon in polygons if len(polygon) % 2 == 0]
    if any((px < -1).any() or (px > [width + 1, height + 1]).any() for px in corners_px):
        reason = f"the mask or box reaches outside the image of {width}x{height} pixels"
        yield error(name, reason, "Export it in the image's own pixels, as [x, y, width, height].")


def _box_corners_px(bbox: Any) -> np.ndarray | None:
    """First and last corner of [x, y, width, height]; None of what is no box: reading its mask says so."""
    try:
        return np.cumsum(np.asarray(bbox, np.float64)[:4].reshape(2, 2), axis=0)
    except (TypeError, ValueError, IndexError):
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
