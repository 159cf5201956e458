"""Images, masks and cameras that Python callers pass, as the package needs them.

What can only mean one thing is converted: lists, torch tensors, other number formats, channels first. All else is
refused with one line that names the argument, what was expected and what was got. What fits already is handed on
as it is, so that frames read from files cost next to nothing here.
"""

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from selfpose6d.checks import (
    MAX_DEPTH_MEDIAN_M,
    far_plane_m,
    require_depth_in_metres,
    require_intrinsics,
    without_unknown_depth,
)
from selfpose6d.errors import UsageError

ROUNDING = 1e-3
"""Of colours between 0 and 1: what interpolation leaves above 1."""
LEAST_MAX = 2.0
"""Brightest value of a floating-point image that can be one of 0-255: darker ones are black."""


def rgb_image(rgb: Any, name: str = "rgb") -> UInt8[np.ndarray, "height width 3"]:
    """Colours as 8-bit RGB, rows first.

    Taken: 8 bits, floats 0-1 or 0-255, one, three or four channels (grey is repeated, alpha left out), channels
    first or last. Whether three channels are RGB or BGR cannot be seen: RGB is expected.

    Raises:
        UsageError: anything else.
    """
    if _is_array(rgb, np.uint8, 3) and rgb.shape[2] == 3 and rgb.flags.c_contiguous:
        return rgb
    expected = "an RGB image, height x width x 3, of 8 bits"
    image = _as_array(rgb, name, expected)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[2] not in (1, 3, 4) and image.shape[0] in (1, 3, 4):
        image = image.transpose(1, 2, 0)
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
        raise UsageError(f"{name} must be {expected}, got {describe(rgb)}. Pass one image.")
    levels = _to_levels(image, name)
    levels = levels[..., :3] if levels.shape[2] > 1 else np.repeat(levels, 3, axis=2)
    return np.ascontiguousarray(levels)


def _to_levels(image: np.ndarray, name: str) -> UInt8[np.ndarray, "height width channels"]:
    """Levels 0-255 of an image of integers in that range, or of floats 0-1 or 0-255."""
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    is_float = image.dtype.kind == "f"
    if is_float and low >= 0 and high <= 1 + ROUNDING:
        return np.rint(np.minimum(image, 1) * 255.0).astype(np.uint8)
    if image.dtype.kind != "b" and low >= 0 and (LEAST_MAX if is_float else 0) <= high <= 255:
        return np.rint(image).astype(np.uint8)
    raise UsageError(
        f"{name} must have levels 0-255, or floats 0-1, got {image.dtype} from {low:.4g} to {high:.4g}. "
        "Scale it, as in np.uint8(255 * image / image.max())."
    )


def depth_image_m(depth_m: Any, name: str = "depth_m") -> Float[np.ndarray, "height width"]:
    """Depth in metres, float32; 0 where it is unknown: not finite, not positive, beyond any RGB-D camera's range, or on
    a far plane.

    Raises:
        UsageError: no image of one floating-point channel: integers are no metres.
        DataError: it is not in metres.
    """
    depth = depth_m
    if not (_is_array(depth_m, np.float32, 2) and depth_m.flags.c_contiguous):
        expected = "a depth image in metres, height x width, floating-point"
        depth = one_channel(_as_array(depth_m, name, expected))
        if depth.ndim != 2:
            raise UsageError(f"{name} must be {expected}, got {describe(depth_m)}. Pass one channel.")
        if depth.dtype.kind != "f":
            got = f"{depth.dtype} up to {depth.max(initial=0)}"
            raise UsageError(
                f"{name} must be {expected}, got {got}. Multiply it by what one unit is in metres, "
                "as in np.float32(depth) / 1000 for millimetres."
            )
        with np.errstate(over="ignore"):
            depth = np.ascontiguousarray(depth, np.float32)
    if not depth.size:
        raise UsageError(f"{name} must be a depth image, got {describe(depth_m)}. Pass one with pixels.")
    within = depth.min() >= 0 and depth.max() <= MAX_DEPTH_MEDIAN_M  # neither where there are NaNs
    if not within or far_plane_m(depth) is not None:
        depth = without_unknown_depth(depth)
    require_depth_in_metres(depth, name)
    return depth if within else np.where(depth <= MAX_DEPTH_MEDIAN_M, depth, np.float32(0))


def camera_matrix(K: Any, name: str = "K") -> Float[np.ndarray, "3 3"]:
    """Intrinsics as a 3x3 matrix; nine numbers by row, and 3x4 or 4x4 matrices without translation are taken.

    Raises:
        UsageError: other shapes.
        DataError: no camera has these numbers.
    """
    if not _is_array(K, np.float64, 2) or K.shape != (3, 3):
        expected = "a camera matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        matrix = _as_array(K, name, expected).astype(np.float64)
        if matrix.shape in ((3, 4), (4, 4)) and np.array_equal(
            matrix[:, 3:].ravel(), [0.0, 0.0, 0.0, 1.0][: len(matrix)]
        ):
            matrix = matrix[:3, :3]
        if matrix.size != 9:
            raise UsageError(f"{name} must be {expected}, got {describe(K)}. Write it out.")
        K = matrix.reshape(3, 3)
    require_intrinsics(K, name)
    return K


def object_mask(mask: Any, name: str = "mask") -> Bool[np.ndarray, "height width"]:
    """One object's pixels: of two values all that are not 0, of floats 0-1 those of at least a half.

    Raises:
        UsageError: anything else, images of several labels too.
    """
    if _is_array(mask, np.bool_, 2):
        return mask
    expected = "one object's mask, height x width, bool"
    values = one_channel(_as_array(mask, name, expected))
    if values.ndim != 2:
        raise UsageError(f"{name} must be {expected}, got {describe(mask)}. Pass one channel of one mask.")
    if values.dtype == np.bool_:
        return values
    high = values.max(initial=0)
    if ((values == 0) | (values == high)).all() and high >= 0:
        return values != 0
    if values.dtype.kind == "f" and values.min() >= 0 and high <= 1 + ROUNDING:
        return values >= 0.5
    raise UsageError(
        f"{name} must be {expected}, got {values.dtype} of several values from {values.min():g} to {high:g}. "
        "Pass labels == label for an image of labels, mask > 127 for a soft mask."
    )


def object_ids(obj_ids: Any, name: str = "obj_ids") -> list[int]:
    """Object ids, of a list, array or tensor.

    Raises:
        UsageError: they are no whole numbers.
    """
    if isinstance(obj_ids, Tensor | np.ndarray):
        obj_ids = obj_ids.tolist()
    try:
        return [operator.index(obj_id) for obj_id in obj_ids]
    except TypeError:
        raise UsageError(
            f"{name} must be a list with one whole number for each mask, got {obj_ids!r}. Pass, for example, [2, 5]."
        ) from None


def mask_list(masks: Any, name: str = "masks") -> list[Bool[np.ndarray, "height width"]]:
    """One mask for each object, of a list, or of an array or tensor of masks.

    Raises:
        UsageError: anything else, a single mask too.
    """
    if isinstance(masks, Tensor | np.ndarray) and masks.ndim < 3 and len(masks):
        raise UsageError(
            f"{name} must be a list of masks, one for each object id, got {describe(masks)}. Pass [mask]."
        )
    if not isinstance(masks, Iterable):
        raise UsageError(f"{name} must be a list of masks, one for each object id, got {describe(masks)}.")
    return [object_mask(mask, f"{name}[{index}]") for index, mask in enumerate(masks)]


def one_channel(image: np.ndarray) -> np.ndarray:
    """A view without the channel axis, first or last, of an image of one channel; others as they are."""
    if image.ndim != 3 or 1 not in (image.shape[0], image.shape[2]):
        return image
    return image[..., 0] if image.shape[2] == 1 else image[0]


def describe(value: Any) -> str:
    """What was passed, in a few words."""
    if isinstance(value, np.ndarray | Tensor):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        shape = " x ".join(map(str, value.shape)) or "no axis"
        return f"{kind} of {str(value.dtype).removeprefix('torch.')}, {shape}"
    if value is None:
        return "None"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    module = type(value).__module__.split(".")[0]
    return (
        type(value).__name__ if module in ("builtins", "selfpose6d") else f"a {module} {type(value).__name__}"
    )


def _is_array(value: Any, dtype: type, ndim: int) -> bool:
    """Whether it is a plain array of this kind in this machine's byte order."""
    return type(value) is np.ndarray and value.dtype == dtype and value.ndim == ndim


def _as_array(value: Any, name: str, expected: str) -> np.ndarray:
    """The numbers in an array, tensor or nested list; of a masked array, 0 where it is masked."""
    array = None
    if isinstance(value, Tensor):
        dense = value.detach().cpu()
        array = (dense.float() if dense.dtype is torch.bfloat16 else dense).numpy()
    elif isinstance(value, np.ma.MaskedArray):
        array = value.filled(0)
    elif isinstance(value, np.ndarray | list | tuple):
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, OverflowError):  # rows of different lengths
            array = None
    if array is None or array.dtype.kind not in "biuf":
        raise UsageError(f"{name} must be {expected}, got {describe(value)}. Pass it as a numpy array.")
    return array
