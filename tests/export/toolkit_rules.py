"""What bop_toolkit computes of a pose, restated with numpy alone: a z-buffer on its canvas of three images' width."""

import numpy as np


def depth_on_canvas(vertices, faces, T_cam_obj, K, shape):
    """Nearest depth of every pixel of a canvas that has the image in its middle."""
    height, width = shape
    canvas = np.zeros((3 * height, 3 * width))
    points = vertices @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3]
    uvw = points @ K.T
    uv = uvw[:, :2] / uvw[:, 2:] + (width, height)
    for a, b, c in faces:
        corners, inverse_z = uv[[a, b, c]], 1 / points[[a, b, c], 2]
        low = np.maximum(np.floor(corners.min(0)).astype(int), 0)
        high = np.minimum(np.ceil(corners.max(0)).astype(int), (3 * width - 1, 3 * height - 1))
        u, v = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        (x0, y0), (x1, y1), (x2, y2) = corners
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9 or not u.size:
            continue
        w1 = ((u - x0) * (y2 - y0) - (x2 - x0) * (v - y0)) / area
        w2 = ((x1 - x0) * (v - y0) - (u - x0) * (y1 - y0)) / area
        weights = np.stack([1 - w1 - w2, w1, w2])
        inside = (weights >= 0).all(0)
        z = 1 / np.tensordot(inverse_z, weights, 1)[inside]
        part = canvas[low[1] : high[1] + 1, low[0] : high[0] + 1]
        there = part[inside]
        part[inside] = np.where((there == 0) | (z < there), z, there)
    return canvas


def to_distance(depth, K):
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]]
    return np.sqrt(((u - K[0, 2]) * depth / K[0, 0]) ** 2 + ((v - K[1, 2]) * depth / K[1, 1]) ** 2 + depth**2)


def box(mask, offset=(0, 0)):
    v, u = mask.nonzero()
    return [u.min() - offset[0], v.min() - offset[1], np.ptp(u), np.ptp(v)]


def info(canvas_mm, depth_mm, K, delta_mm=15):
    """The entry of `scene_gt_info.json` (`calc_gt_info` with visib_mode bop19), and the two masks."""
    height, width = depth_mm.shape
    rendered = canvas_mm[height : 2 * height, width : 2 * width]
    measured, model = to_distance(depth_mm, K), to_distance(rendered, K)
    visible = (model > 0) & ((model - measured <= delta_mm) | (measured == 0))
    return {
        "bbox_obj": box(canvas_mm > 0, (width, height)),
        "bbox_visib": box(visible),
        "px_count_all": int((canvas_mm > 0).sum()),
        "px_count_valid": int((measured[rendered > 0] > 0).sum()),
        "px_count_visib": int(visible.sum()),
        "visib_fract": visible.sum() / (canvas_mm > 0).sum(),
    }
