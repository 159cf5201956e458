"""Crops as fixed-size records: what lies in memory and on disk between decoding and the network."""

import numpy as np

from selfpose6d.crops.crop import NetworkCrop
from selfpose6d.errors import UsageError

_STEPS = np.iinfo(np.uint16).max


def record_dtype(size_px: int) -> np.dtype:
    """Layout of one crop of `size_px`: about 5.1 bytes a pixel."""
    if size_px % 8:
        raise UsageError(f"crop_px must be a multiple of 8, got {size_px}.")
    return np.dtype(
        [
            ("key", np.int32, 4),
            ("rgb", np.uint8, (size_px, size_px, 3)),
            ("depth", np.uint16, (size_px, size_px)),
            ("depth_step_m", np.float32),
            ("middle_m", np.float32),
            ("mask", np.uint8, (size_px, size_px // 8)),
            ("K", np.float64, (3, 3)),
            ("box_px", np.float64, 3),
        ]
    )


def pack_crop(crop: NetworkCrop) -> np.ndarray:
    """One record (a structured array of length 1). Depth is kept to 1/65535 of the crop's largest depth."""
    record = np.zeros(1, record_dtype(crop.size_px))
    step_m = max(float(crop.depth_m.max()) / _STEPS, 1e-6)
    known = crop.depth_m[crop.mask & (crop.depth_m > 0)]
    record["key"] = crop.key[1:]
    record["rgb"] = crop.rgb
    record["depth"] = np.round(crop.depth_m / step_m).astype(np.uint16)
    record["depth_step_m"] = step_m
    record["middle_m"] = np.median(known) if known.size else 0.0
    record["mask"] = np.packbits(crop.mask, axis=-1)
    record["K"] = crop.K
    record["box_px"] = (crop.box.left_px, crop.box.top_px, crop.box.side_px)
    return record
