"""The three errors of the BOP challenge (VSD, MSSD, MSPD), its greedy matching and its thresholds.

Reference: Hodan et al., BOP: Benchmark for 6D Object Pose Estimation (2018), and its 2019 evaluation.
"""

import numpy as np
from jaxtyping import Bool, Float

VSD_DELTA_M = 0.015
VSD_TAUS = np.arange(1, 11) * 0.05
"""Misalignment tolerances as shares of the object's diameter."""
VSD_THETAS = np.arange(1, 11) * 0.05
MSSD_THETAS = np.arange(1, 11) * 0.05
"""Shares of the object's diameter."""
MSPD_THETAS_PX = np.arange(1, 11) * 5.0
"""Pixels in an image 640 wide."""
MSPD_REFERENCE_WIDTH_PX = 640
MAX_MOVED_POINTS = 1_000_000


def mssd(
    T_cam_obj_est: Float[np.ndarray, "4 4"],
    T_cam_obj_true: Float[np.ndarray, "4 4"],
    points_m: Float[np.ndarray, "points 3"],
    T_obj_sym: Float[np.ndarray, "symmetries 4 4"],
) -> float:
    """Maximum symmetry-aware surface distance in metres: the worst point, at the best symmetric true pose."""
    est_m = _moved(T_cam_obj_est[None], points_m)
    worst_m = (
        np.linalg.norm(_moved(T_cam_obj_true @ part, points_m) - est_m, axis=-1).max(axis=-1)
        for part in _parts(T_obj_sym, len(points_m))
    )
    return float(np.concatenate(list(worst_m)).min())


def mspd(
    T_cam_obj_est: Float[np.ndarray, "4 4"],
    T_cam_obj_true: Float[np.ndarray, "4 4"],
    points_m: Float[np.ndarray, "points 3"],
    T_obj_sym: Float[np.ndarray, "symmetries 4 4"],
    K: Float[np.ndarray, "3 3"],
    width_px: int,
) -> float:
    """Maximum symmetry-aware projection distance, in pixels of an image 640 wide."""
    est_px = _projected(_moved(T_cam_obj_est[None], points_m), K)
    worst_px = (
        np.linalg.norm(_projected(_moved(T_cam_obj_true @ part, points_m), K) - est_px, axis=-1).max(axis=-1)
        for part in _parts(T_obj_sym, len(points_m))
    )
    error_px = float(np.concatenate(list(worst_px)).min())
    return error_px * MSPD_REFERENCE_WIDTH_PX / width_px


def vsd(
    depth_est_m: Float[np.ndarray, "height width"],
    depth_true_m: Float[np.ndarray, "height width"],
    depth_measured_m: Float[np.ndarray, "height width"],
    K: Float[np.ndarray, "3 3"],
    diameter_m: float,
) -> Float[np.ndarray, "taus"]:
    """Visible surface discrepancy, 0-1, for each tolerance of `VSD_TAUS`.

    The first two are the object rendered at the estimated and the true pose (0 off the object), the third is
    the sensor's image (0 unknown: the surface counts as visible there). 1 where neither pose is visible.
    """
    ray_lengths = _ray_lengths(depth_measured_m.shape, K)
    est_m, true_m, measured_m = (
        depth * ray_lengths for depth in (depth_est_m, depth_true_m, depth_measured_m)
    )
    visible_true = _visible(true_m, measured_m)
    visible_est = _visible(est_m, measured_m) | (visible_true & (est_m > 0))
    both, either = visible_true & visible_est, np.count_nonzero(visible_true | visible_est)
    if not either:
        return np.ones(len(VSD_TAUS))
    gap = np.sort(np.abs(est_m - true_m)[both]) / diameter_m
    far = len(gap) - np.searchsorted(gap, VSD_TAUS, side="left")
    return (far + either - len(gap)) / either


def matched(
    errors: Float[np.ndarray, "settings estimates truths"],
    scores: Float[np.ndarray, "estimates"],
    thresholds: Float[np.ndarray, "settings"],
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


def _parts(T_obj_sym: np.ndarray, points: int) -> list[np.ndarray]:
    """Symmetries in pieces of at most a million moved points: a bowl has 315, a scan 100,000 vertices."""
    return np.array_split(T_obj_sym, -(-len(T_obj_sym) * points // MAX_MOVED_POINTS))


def _visible(model_m: np.ndarray, measured_m: np.ndarray) -> np.ndarray:
    return (model_m > 0) & ((model_m - measured_m <= VSD_DELTA_M) | (measured_m == 0))


def _ray_lengths(shape: tuple[int, ...], K: np.ndarray) -> np.ndarray:
    v, u = np.mgrid[: shape[0], : shape[1]]
    return np.sqrt(((u - K[0, 2]) / K[0, 0]) ** 2 + ((v - K[1, 2]) / K[1, 1]) ** 2 + 1.0)


def _moved(T_cam_obj: np.ndarray, points_m: np.ndarray) -> np.ndarray:
    return points_m @ T_cam_obj[:, :3, :3].swapaxes(1, 2) + T_cam_obj[:, None, :3, 3]


def _projected(points_cam_m: np.ndarray, K: np.ndarray) -> np.ndarray:
    homogeneous = points_cam_m @ K.T
    return homogeneous[..., :2] / homogeneous[..., 2:]
