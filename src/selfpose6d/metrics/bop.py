"""The three errors of the BOP challenge (VSD, MSSD, MSPD), its greedy matching and its thresholds.

Reference: Hodan et al., BOP: Benchmark for 6D Object Pose Estimation (2018), and its 2019 evaluation.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float

VSD_DELTA_M = 0.015
"""How far behind the measured surface still counts as visible."""
VSD_TAUS = np.arange(1, 11) * 0.05
"""Misalignment tolerances as fractions of the object's diameter."""
VSD_THETAS = np.arange(1, 11) * 0.05
MSSD_THETAS = np.arange(1, 11) * 0.05
"""Fractions of the object's diameter."""
MSPD_THETAS_PX = np.arange(1, 11) * 5.0
"""Pixels in an image 640 wide."""
MSPD_REFERENCE_WIDTH_PX = 640
Projection = Callable[[np.ndarray], np.ndarray]
MAX_MOVED_POINTS = 1_000_000
"""At a time: 24 MB an array of coordinates."""


def mssd(
    T_cam_obj_est: Float[np.ndarray, "4 4"],
    T_cam_obj_true: Float[np.ndarray, "4 4"],
    points_m: Float[np.ndarray, "points 3"],
    T_obj_sym: Float[np.ndarray, "symmetries 4 4"],
) -> float:
    """Maximum symmetry-aware surface distance in metres: the worst point, at the best symmetric true pose."""
    return _largest_distance(T_cam_obj_est, T_cam_obj_true, points_m, T_obj_sym, lambda points: points)


def mspd(
    T_cam_obj_est: Float[np.ndarray, "4 4"],
    T_cam_obj_true: Float[np.ndarray, "4 4"],
    points_m: Float[np.ndarray, "points 3"],
    T_obj_sym: Float[np.ndarray, "symmetries 4 4"],
    K: Float[np.ndarray, "3 3"],
    width_px: int,
) -> float:
    """Maximum symmetry-aware projection distance, in pixels of an image 640 wide."""
    poses = T_cam_obj_est, T_cam_obj_true
    error_px = _largest_distance(*poses, points_m, T_obj_sym, lambda points: _projected(points, K))
    return error_px * MSPD_REFERENCE_WIDTH_PX / width_px


def vsd(
    depth_est_m: Float[np.ndarray, "height width"],
    depth_true_m: Float[np.ndarray, "height width"],
    depth_measured_m: Float[np.ndarray, "height width"],
    K: Float[np.ndarray, "3 3"],
    diameter_m: float,
) -> Float[np.ndarray, " taus"]:
    """Visible surface discrepancy, 0-1, for each tolerance of `VSD_TAUS`.

    The first two are the object rendered at the estimated and the true pose (0 off the object), the third is
    the sensor's image (0 unknown: the surface counts as visible there). 1 where neither pose is visible.
    """
    lengths = ray_lengths(depth_measured_m.shape, K)
    est_m, true_m, measured_m = (depth * lengths for depth in (depth_est_m, depth_true_m, depth_measured_m))
    visible_true = visible_surface(true_m, measured_m)
    visible_est = visible_surface(est_m, measured_m) | (visible_true & (est_m > 0))
    both, either = visible_true & visible_est, np.count_nonzero(visible_true | visible_est)
    if not either:
        return np.ones(len(VSD_TAUS))
    gap = np.sort(np.abs(est_m - true_m)[both]) / diameter_m
    far = len(gap) - np.searchsorted(gap, VSD_TAUS, side="left")
    return (far + either - len(gap)) / either


def matched(
    errors: Float[np.ndarray, "settings estimates truths"],
    scores: Float[np.ndarray, " estimates"],
    thresholds: Float[np.ndarray, " settings"],
) -> Bool[np.ndarray, "settings truths"]:
    """Which true poses are found at each setting.

    By falling score, each estimate takes the free true pose of least error, or none where that error is not
    below the setting's threshold.
    """
    settings, _, truths = errors.shape
    free = np.ones((settings, truths), bool)
    rows = np.arange(settings)
    for estimate in np.argsort(-scores, kind="stable") if truths else ():
        error = np.where(free, errors[:, estimate], np.inf)
        best = error.argmin(axis=1)
        hit = error[rows, best] < thresholds
        free[rows[hit], best[hit]] = False
    return ~free


def _largest_distance(
    T_est: np.ndarray, T_true: np.ndarray, points_m: np.ndarray, T_obj_sym: np.ndarray, project: Projection
) -> float:
    """Of the worst point at the best symmetric true pose; `project` takes points in camera coordinates."""
    est = project(_moved(T_est[None], points_m))
    # A bowl has 315 symmetries, a scan 100,000 vertices.
    parts = np.array_split(T_obj_sym, -(-len(T_obj_sym) * len(points_m) // MAX_MOVED_POINTS))
    distances = (np.linalg.norm(project(_moved(T_true @ part, points_m)) - est, axis=-1) for part in parts)
    return float(min(distance.max(axis=-1).min() for distance in distances))


def visible_surface(
    model_m: Float[np.ndarray, "height width"], measured_m: Float[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """Where a rendered surface is visible: not behind the measured one by more than `VSD_DELTA_M`, or nothing measured.

    Both are distances along the rays in metres, 0 off the object and where unknown.
    """
    return (model_m > 0) & ((model_m - measured_m <= VSD_DELTA_M) | (measured_m == 0))


def ray_lengths(shape: tuple[int, ...], K: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "height width"]:
    """Distance from the camera per unit of z, for every pixel of an image of `shape`; not to be written to."""
    return _ray_lengths((shape[0], shape[1]), *K[[0, 1, 0, 1], [0, 1, 2, 2]].tolist())


@lru_cache(maxsize=4)  # the instances of a frame, and most frames of a data set, have one camera
def _ray_lengths(
    shape: tuple[int, int], fx: float, fy: float, cx: float, cy: float
) -> Float[np.ndarray, "height width"]:
    v, u = np.mgrid[: shape[0], : shape[1]]
    lengths = np.sqrt(((u - cx) / fx) ** 2 + ((v - cy) / fy) ** 2 + 1.0)
    lengths.flags.writeable = False
    return lengths


def _moved(T_cam_obj: np.ndarray, points_m: np.ndarray) -> np.ndarray:
    return points_m @ T_cam_obj[:, :3, :3].swapaxes(1, 2) + T_cam_obj[:, None, :3, 3]


def _projected(points_cam_m: np.ndarray, K: np.ndarray) -> np.ndarray:
    homogeneous = points_cam_m @ K.T
    return homogeneous[..., :2] / homogeneous[..., 2:]
