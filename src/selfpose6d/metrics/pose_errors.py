"""Distances between an estimated and a true pose, over the points of a model: ADD, ADD-S, and ADD up to symmetries.

An estimate that is missing is a matrix of NaN; its distance is infinite.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

POSES_PER_CHUNK = 128
"""Bounds the memory: 8 MB of coordinates for 2,620 points."""


def add(
    T_cam_obj_est: Float[np.ndarray, "poses 4 4"],
    T_cam_obj_true: Float[np.ndarray, "poses 4 4"],
    points_m: Float[np.ndarray, "points 3"],
) -> Float[np.ndarray, " poses"]:
    """Mean distance in metres between the same model points at both poses; inf where a pose is not finite.

    Reference: paper IV-A; Hinterstoisser et al. 2012.
    """
    present = _finite(T_cam_obj_est, T_cam_obj_true)
    difference = (T_cam_obj_est - T_cam_obj_true)[present, :3]
    distance_m = np.full(len(present), np.inf)
    distance_m[present] = _by_chunks(difference, lambda part: _add_chunk(part, points_m))
    return distance_m


def adds(
    T_cam_obj_est: Float[np.ndarray, "poses 4 4"],
    T_cam_obj_true: Float[np.ndarray, "poses 4 4"],
    points_m: Float[np.ndarray, "points 3"],
    workers: int = -1,
) -> Float[np.ndarray, " poses"]:
    """Mean distance in metres from each true model point to the nearest estimated one.

    Inf where a pose is not finite. Rigid motions keep distances, so the true points are moved into the
    estimate's object frame and one KD-tree of `points_m` serves all poses; rotations must be orthonormal.
    `workers` threads search it (-1: all cores).

    Reference: paper Eq. (12), in the direction of its text; YCB_Video_toolbox.
    """
    present = _finite(T_cam_obj_est, T_cam_obj_true)
    T_est_true = _relative(T_cam_obj_est[present], T_cam_obj_true[present])
    tree = KDTree(points_m, leafsize=32)
    queries_m = points_m[tree.indices]  # neighbours in a row visit the same leaves: a quarter faster
    distance_m = np.full(len(present), np.inf)
    distance_m[present] = _by_chunks(T_est_true, lambda part: _adds_chunk(part, queries_m, tree, workers))
    # never above ADD, by definition; matrices that are rounded a little are no exception
    return np.minimum(distance_m, add(T_cam_obj_est, T_cam_obj_true, points_m))


def least_add(
    T_cam_obj_est: Float[np.ndarray, "poses 4 4"],
    T_cam_obj_true: Float[np.ndarray, "poses 4 4"],
    points_m: Float[np.ndarray, "points 3"],
    T_obj_sym: Float[np.ndarray, "symmetries 4 4"],
) -> Float[np.ndarray, " poses"]:
    """ADD in metres to the nearest of the true poses `T_cam_obj_true @ T_obj_sym`; inf where a pose is not finite.

    `T_obj_sym` are the motions that map the object onto itself, the identity among them: alone it gives ADD.
    """
    distance_m = np.full(len(T_cam_obj_est), np.inf)
    for T in T_obj_sym:
        np.minimum(distance_m, add(T_cam_obj_est, T_cam_obj_true @ T, points_m), out=distance_m)
    return distance_m


def _add_chunk(difference: np.ndarray, points_m: np.ndarray) -> np.ndarray:
    offset_m = difference[:, :, :3] @ points_m.T + difference[:, :, 3:]
    return np.sqrt(np.square(offset_m, out=offset_m).sum(axis=1)).mean(axis=-1)


def _adds_chunk(T_est_true: np.ndarray, queries_m: np.ndarray, tree: KDTree, workers: int) -> np.ndarray:
    moved_m = queries_m @ T_est_true[:, :3, :3].swapaxes(1, 2) + T_est_true[:, None, :3, 3]
    nearest_m, _ = tree.query(moved_m, workers=workers)
    return np.asarray(nearest_m).mean(axis=-1)


def _relative(T_cam_est: np.ndarray, T_cam_true: np.ndarray) -> np.ndarray:
    R_est_cam = T_cam_est[:, :3, :3].swapaxes(1, 2)
    T_est_true = np.tile(np.eye(4), (len(T_cam_est), 1, 1))
    T_est_true[:, :3, :3] = R_est_cam @ T_cam_true[:, :3, :3]
    T_est_true[:, :3, 3:] = R_est_cam @ (T_cam_true - T_cam_est)[:, :3, 3:]
    return T_est_true


def _finite(*poses: np.ndarray) -> Bool[np.ndarray, " poses"]:
    return np.all([np.isfinite(T).all(axis=(1, 2)) for T in poses], axis=0)


def _by_chunks(poses: np.ndarray, distance) -> np.ndarray:
    parts = [distance(poses[i : i + POSES_PER_CHUNK]) for i in range(0, len(poses), POSES_PER_CHUNK)]
    return np.concatenate(parts) if parts else np.empty(0)
