"""A box before a slanted wall, seen by two cameras: the depth of every ray is known."""

import cv2
import numpy as np

BOX = ((-0.12, -0.10), (0.10, 0.08))
"""Of the box's front side: least and greatest x and y in metres, at `BOX_Z_M`, in the colour camera's frame."""
BOX_Z_M = 0.7
WALL_NORMAL = np.array([0.25, -0.15, 1.0])
WALL_OFFSET_M = 1.2
"""Points of the wall: normal . x = offset."""

T_COLOUR_DEPTH = np.eye(4)
T_COLOUR_DEPTH[:3, :3] = cv2.Rodrigues(np.array([0.01, -0.02, 0.015]))[0]
T_COLOUR_DEPTH[:3, 3] = 0.04, -0.01, 0.005


def camera(focal_px: float, size: tuple[int, int]) -> np.ndarray:
    """A pinhole matrix with its centre a little off the image's."""
    return np.array([[focal_px, 0, size[0] / 2 + 1.3], [0, focal_px * 1.01, size[1] / 2 - 2.1], [0, 0, 1]])


def depth_of_rays(rays: np.ndarray, T_colour_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The z depth in the camera's frame along rays (..., 2) of (x/z, y/z), and whether it is the box's."""
    directions = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], -1) @ T_colour_camera[:3, :3].T
    centre = T_colour_camera[:3, 3]
    wall = (WALL_OFFSET_M - WALL_NORMAL @ centre) / (directions @ WALL_NORMAL)
    box = (BOX_Z_M - centre[2]) / directions[..., 2]
    xy = centre[:2] + box[..., None] * directions[..., :2]
    is_box = ((xy > BOX[0]) & (xy < BOX[1])).all(-1) & (box < wall)
    return np.where(is_box, box, wall), is_box


def rays_of(K: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The rays of all pixel centres (height, width, 2)."""
    v, u = np.indices(size[::-1]).astype(np.float64)
    return np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]], -1)


def texture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A colour image with detail."""
    coarse = np.random.default_rng(seed).integers(0, 255, (size[1] // 8 + 1, size[0] // 8 + 1, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST)
