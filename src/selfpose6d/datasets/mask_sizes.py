"""How large masks say that objects are, without any pose; what that says of a camera."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from selfpose6d.checks import OTHER_RESOLUTION, require_own_resolution
from selfpose6d.types import Instance


@dataclass(frozen=True)
class SizeEvidence:
    """How large a mask says an object is, without any pose: its diameter in metres at its median depth."""

    obj_id: int
    diameter_m: float


def mask_size(instance: Instance, depth_m: np.ndarray, K: np.ndarray) -> SizeEvidence | None:
    """The diameter of the circle about the mask, at the mask's median depth; None without it."""
    known = depth_m[instance.mask & (depth_m > 0)]
    if not known.size or not K[0, 0] > 0:
        return None
    _, radius_px = cv2.minEnclosingCircle(np.asarray(cv2.findNonZero(instance.mask.astype(np.uint8))))
    return SizeEvidence(instance.key.obj_id, 2 * radius_px * float(np.median(known)) / K[0, 0])


def size_ratios(
    instances: Iterable[Instance],
    depth_m: np.ndarray,
    K: np.ndarray,
    diameter_m: Callable[[int], float | None],
) -> list[float]:
    """Sizes of the outlined instances over their models' diameters, where both are known."""
    return [ratio for _, ratio in sizes_by_object(instances, depth_m, K, diameter_m)]


def sizes_by_object(
    instances: Iterable[Instance],
    depth_m: np.ndarray,
    K: np.ndarray,
    diameter_m: Callable[[int], float | None],
) -> list[tuple[int, float]]:
    """`size_ratios` with the objects' ids."""
    outlined = [instance for instance in instances if not instance.region]
    sizes = [size for instance in outlined if (size := mask_size(instance, depth_m, K)) is not None]
    known = ((size, diameter_m(size.obj_id)) for size in sizes)
    return [(size.obj_id, size.diameter_m / diameter) for size, diameter in known if diameter]


def require_resolution_by_sizes(
    K: np.ndarray,
    shape: tuple[int, int],
    ratios: Callable[[], Sequence[float]],
    name: str = "K",
    without_sizes: bool = False,
) -> None:
    """Refuse intrinsics of another resolution than images of `shape` (height, width).

    `ratios` gives the `size_ratios`; it is asked only where the principal point is off the centre. `without_sizes`: the
    principal point alone is enough, where no mask says a size.

    Raises:
        DataError: `require_own_resolution`.
    """
    if np.abs(2 * K[:2, 2] / (shape[1], shape[0]) - 1).max() <= OTHER_RESOLUTION:
        return
    known = ratios()
    if known or without_sizes:
        require_own_resolution(K, shape, known, name)
