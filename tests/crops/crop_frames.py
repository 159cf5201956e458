"""A frame of a plane and a bright box on it, small enough to reckon with."""

import numpy as np

from selfpose6d.types import Frame, Instance, InstanceKey

K = np.array([[100.0, 0.0, 31.5], [0.0, 110.0, 23.5], [0.0, 0.0, 1.0]])


def key(inst_id: int = 0, obj_id: int = 1, im_id: int = 3) -> InstanceKey:
    return InstanceKey("train", 2, im_id, obj_id, inst_id)


def frame(rows=slice(10, 30), columns=slice(20, 50), inst_id: int = 0) -> Frame:
    """64 x 48; colour and depth name the pixel: red = column, green = row, depth = 1 m + 1 mm a column."""
    row, column = np.mgrid[:48, :64]
    rgb = np.stack([column, row, np.full_like(row, 7)], -1).astype(np.uint8)
    depth_m = (1.0 + 1e-3 * column).astype(np.float32)
    mask = np.zeros((48, 64), bool)
    mask[rows, columns] = True
    return Frame("train", 2, 3, rgb, depth_m, K, (Instance(key(inst_id), mask),))
