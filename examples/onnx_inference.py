"""Pose of one object from a network that `selfpose6d export MODEL --to model.onnx` wrote: numpy, OpenCV, ONNX Runtime.

    python examples/onnx_inference.py model.onnx --rgb rgb.png --depth depth.png --depth-scale 0.1 \
        --mask mask.png --camera FX FY CX CY --object 2

Neither torch nor selfpose6d is needed. The poses are those of `Predictor`, of one instance with its default seed and
refine="network" where the network has a trained refiner. Lengths are metres, transforms `T_<to>_<from>`; the camera is
OpenCV's: +x right, +y down, +z forward, pixel centres at integers.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime

Array = np.ndarray
METADATA_KEY = "selfpose6d"


class NoPoseError(Exception):
    """There is no pose, and why."""


class Pose(NamedTuple):
    """`T_cam_obj` and the network's confidence in it, 0-1."""

    T_cam_obj: Array
    confidence: float


class Crop(NamedTuple):
    """A square of the image around the mask, resized; `box_px` is its left, top and side in the image."""

    rgb: Array
    depth_m: Array
    mask: Array
    box_px: tuple[int, int, int]
    middle_m: float
    """Median depth of the mask."""


class RatedPoses(NamedTuple):
    """Poses in the crop's frame, what they are ranked by, and the logit of each being right."""

    T: Array
    score: Array
    right_logit: Array


@dataclass(frozen=True)
class Network:
    """The exported files, opened, and what they say of themselves."""

    estimator: onnxruntime.InferenceSession
    refiner: onnxruntime.InferenceSession | None
    metadata: dict[str, Any]

    def object(self, obj_id: int) -> tuple[int, dict[str, Any]]:
        """The object's index in the network, and what is known of it."""
        objects = self.metadata["objects"]
        ids = [entry["id"] for entry in objects]
        if obj_id not in ids:
            raise NoPoseError(f"object {obj_id} is unknown to the network, which knows {ids}")
        return ids.index(obj_id), objects[ids.index(obj_id)]


def load_network(path: Path, threads: int = 1) -> Network:
    """Open the exported file, and the refiner's beside it where there is one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads

    def opened(file: Path) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    estimator = opened(path)
    metadata = json.loads(estimator.get_modelmeta().custom_metadata_map[METADATA_KEY])
    refiner = opened(path.with_name(metadata["refiner"])) if metadata["refiner"] else None
    return Network(estimator, refiner, metadata)


def estimate_pose(network: Network, rgb: Array, depth_m: Array, K: Array, mask: Array, obj_id: int) -> Pose:
    """The pose of the object in the mask.

    Args:
        network: from `load_network`.
        rgb: (height, width, 3), 8 bits, red first.
        depth_m: (height, width), 0 where unknown.
        K: (3, 3).
        mask: (height, width), True where the object is seen.
        obj_id: which object it is.

    Raises:
        NoPoseError: the object is unknown, or there is too little depth.
    """
    index, entry = network.object(obj_id)
    crop = cut_crop(rgb, depth_m, mask, network.metadata)
    pixel = sampled_pixels(crop, entry["diameter_m"], network.metadata)
    points_cam_m = back_project(crop, K)
    T_cam_crop = look_at(np.sort(points_cam_m[pixel], axis=0)[(len(pixel) - 1) // 2])
    points_crop_m = transform(np.linalg.inv(T_cam_crop), points_cam_m).astype(np.float32)
    given = {
        "rgb": crop.rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255),
        "surface": surface_map(crop, points_crop_m),
        "depth_m": crop.depth_m,
        "mask": crop.mask,
        "K_crop": crop_camera(K, crop).astype(np.float32),
        "T_cam_crop": T_cam_crop.astype(np.float32),
        "points_crop_m": points_crop_m[pixel],
        "pixel": pixel,
        "object_index": np.int64(index),
    }
    given = {name: np.ascontiguousarray(np.asarray(value)[None]) for name, value in given.items()}
    given |= run(network.estimator, given)
    way = rated_best if network.metadata["architecture"] == "coordinates" else voted
    T_crop_obj, confidence = way(network, given, entry)
    return Pose(T_cam_crop @ T_crop_obj, confidence)


def run(session: onnxruntime.InferenceSession, given: dict[str, Array]) -> dict[str, Array]:
    """The outputs by their names; `given` may hold more than the inputs."""
    outputs = [output.name for output in session.get_outputs()]
    feed = {one.name: given[one.name] for one in session.get_inputs()}
    return dict(zip(outputs, map(np.asarray, session.run(outputs, feed)), strict=True))


# ---- what the network is shown ------------------------------------------------------------------------------------


def cut_crop(rgb: Array, depth_m: Array, mask: Array, metadata: dict[str, Any]) -> Crop:
    """Colours are resized; depth and mask are those of the image's pixel nearest to each of the crop's."""
    if (count := int((mask & (depth_m > 0)).sum())) < metadata["min_points"]:
        raise NoPoseError(f"{count} mask pixels with depth, need {metadata['min_points']}")
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side, size = int(np.ceil(longer * (1 + 2 * metadata["crop_margin"]))), metadata["crop_px"]
    left, top = (int(line[0] + line[-1] - side + 1) // 2 for line in (columns, rows))
    u_px, v_px = (
        np.floor(first + (np.arange(size) + 0.5) * (side / size)).astype(int) for first in (left, top)
    )
    height, width = mask.shape
    inside = ((v_px >= 0) & (v_px < height))[:, None] & ((u_px >= 0) & (u_px < width))
    at = np.clip(v_px, 0, height - 1)[:, None], np.clip(u_px, 0, width - 1)
    depth_m, mask = np.where(inside, depth_m[at], 0).astype(np.float32), inside & mask[at]
    measured_m = depth_m[mask & (depth_m > 0)]
    # training keeps depths in 16 bits
    step_m = np.float32(max(float(depth_m.max()) / metadata["depth_steps"], 1e-6))
    depth_m = np.round(depth_m / step_m).astype(np.float32) * step_m
    middle_m = float(np.median(measured_m)) if measured_m.size else 0.0
    return Crop(_resized(rgb, left, top, side, size), depth_m, mask, (left, top, side), middle_m)


def _resized(rgb: Array, left: int, top: int, side: int, size: int) -> Array:
    """Black outside the image; averaged where it shrinks, bilinear where it grows."""
    height, width = rgb.shape[:2]
    square = np.zeros((side, side, 3), np.uint8)
    v0, v1, u0, u1 = max(0, top), min(height, top + side), max(0, left), min(width, left + side)
    square[v0 - top : v1 - top, u0 - left : u1 - left] = rgb[v0:v1, u0:u1]
    interpolation = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(square, (size, size), interpolation=interpolation)


def sampled_pixels(crop: Crop, diameter_m: float, metadata: dict[str, Any], seed: int = 0) -> Array:
    """Raster indices of random mask pixels that are no farther than the object can reach, spread over the mask.

    The draws are those of torch's generator with this seed, so that the poses are those of selfpose6d; any other
    spread over the mask is as good.
    """
    known = crop.mask & (crop.depth_m > 0)
    near = known & (np.abs(crop.depth_m - np.float32(crop.middle_m)) <= np.float32(diameter_m))
    allowed = np.flatnonzero(near if near.sum() >= metadata["min_near_points"] else known)
    count = metadata["num_points"]
    bits = np.random.RandomState(seed).randint(0, 2**32, (2, count), dtype=np.uint32)
    within, order = (bits & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)
    place = (np.arange(count, dtype=np.float32) + within) / np.float32(count) * np.float32(len(allowed))
    return allowed[np.minimum(place.astype(np.int64), len(allowed) - 1)][np.argsort(order)]


def back_project(crop: Crop, K: Array) -> Array:
    """Camera points of all the crop's pixels, row by row, through the image's pixels that they were taken from."""
    left, top, side = crop.box_px
    size = crop.mask.shape[0]
    place = (np.arange(size) + 0.5) * (side / size)
    u_px, v_px = np.meshgrid(np.floor(left + place), np.floor(top + place))
    z = crop.depth_m.astype(np.float64)
    return np.stack([(u_px - K[0, 2]) / K[0, 0] * z, (v_px - K[1, 2]) / K[1, 1] * z, z], -1).reshape(-1, 3)


def look_at(middle_cam_m: Array) -> Array:
    """`T_cam_crop`: the origin is at the middle, z along the line of sight, by the least rotation that does it."""
    x, y, z = middle_cam_m / np.linalg.norm(middle_cam_m)
    a = 1 / (1 + z)
    T = np.eye(4)
    T[:3, :3] = [[1 - x * x * a, -x * y * a, x], [-x * y * a, 1 - y * y * a, y], [-x, -y, z]]
    T[:3, 3] = middle_cam_m
    return T


def surface_map(crop: Crop, points_crop_m: Array) -> Array:
    """x, y, z of the mask's pixels, 0 where unknown; where they are known; the mask."""
    flags = np.stack([crop.mask & (crop.depth_m > 0), crop.mask]).astype(np.float32)
    return np.concatenate([points_crop_m.T.reshape(3, *crop.mask.shape) * flags[0], flags])


def crop_camera(K: Array, crop: Crop) -> Array:
    """Camera matrix of the crop."""
    left, top, side = crop.box_px
    scale = crop.mask.shape[0] / side
    shift = [[scale, 0, scale * (0.5 - left) - 0.5], [0, scale, scale * (0.5 - top) - 0.5], [0, 0, 1]]
    return np.array(shift) @ K


# ---- architecture coordinates: poses rated by the meshes ----------------------------------------------------------


def rated_best(network: Network, given: dict[str, Array], entry: dict[str, Any]) -> tuple[Array, float]:
    """Each mode where it is rated best on its way, and of these the best; with its probability of being right.

    After the first corrections only poses that differ go on.
    """
    metadata, first = network.metadata, network.metadata["refine_steps_of_all"]
    poses = distinct(best_on_the_way(network, given, given["T_crop_obj"], entry, first), entry, metadata)
    if metadata["refine_steps"] > first:
        poses = corrected_further(network, given, poses, metadata["refine_steps"] - first, entry)
    best, calibration = int(poses.score.argmax()), metadata["confidence"]
    logit = calibration["scale"] * poses.right_logit[best] + calibration["shift"]
    return poses.T[best].astype(np.float64), float(1 / (1 + np.exp(-logit)))


def compared(
    network: Network, given: dict[str, Array], T_crop_obj: Array, entry: dict[str, Any]
) -> tuple[RatedPoses, Array]:
    """Poses (1, n, 4, 4) with their rating, which also counts what the estimator read in the crop, and corrected."""
    assert network.refiner is not None, "the export of a network of architecture coordinates has one"
    rated, reading = run(network.refiner, given | {"T_crop_obj": T_crop_obj}), network.metadata["reading"]
    agreement = share_of_pixels(given, T_crop_obj[0], entry, reading) + reading["least_agreement"]
    score = rated["sharpness"][0] + reading["weight"] * np.log(agreement)
    return RatedPoses(T_crop_obj[0], score, rated["right_logit"][0]), rated["T_corrected"]


def share_of_pixels(
    given: dict[str, Array], T_crop_obj: Array, entry: dict[str, Any], reading: dict[str, Any]
) -> Array:
    """How many of the pixels lie, by their likeliest fragments, where each of the poses puts them."""
    logit, offset, centre = (given[name][0].astype(np.float64) for name in ("logit", "offset", "centre"))
    likely = np.exp(logit - logit.max(1, keepdims=True))
    likely = (likely / likely.sum(1, keepdims=True))[:, :-1]
    told = np.argsort(-likely, axis=1, kind="stable")[:, : reading["told"]]
    pixel = np.arange(len(told))[:, None]
    places = (centre[told] + offset[pixel, told]) * entry["diameter_m"] + np.array(entry["centre_m"])
    R, t = T_crop_obj[:, None, :3, :3], T_crop_obj[:, None, :3, 3]
    points_obj_m = ((given["points_crop_m"] - t)[..., None, :] @ R)[..., 0, :]
    error = np.linalg.norm(points_obj_m[:, :, None] - places, axis=-1)
    squared = (error / (reading["fit_error"] * entry["diameter_m"])) ** 2
    return (likely[pixel, told] * np.exp(-squared)).sum((1, 2)) / len(told)


def best_on_the_way(
    network: Network, given: dict[str, Array], T_crop_obj: Array, entry: dict[str, Any], steps: int
) -> RatedPoses:
    """Of each start the pose that is rated best after 0 to `steps` corrections."""
    passed = []
    for _ in range(steps + 1):
        rated, T_crop_obj = compared(network, given, T_crop_obj, entry)
        passed.append(rated)
    stacked = RatedPoses(*map(np.stack, zip(*passed, strict=True)))
    best, start = stacked.score.argmax(0), np.arange(T_crop_obj.shape[1])
    return RatedPoses(*(value[best, start] for value in stacked))


def corrected_further(
    network: Network, given: dict[str, Array], poses: RatedPoses, steps: int, entry: dict[str, Any]
) -> RatedPoses:
    """The same of poses that are rated; those that can no longer become the best are left alone."""
    limits, start, T = network.metadata["going_on"], np.arange(len(poses.T)), poses.T
    best = RatedPoses(*(value.copy() for value in poses))
    _, corrected = compared(network, given, T[None], entry)
    for _ in range(steps):
        T_next, own = corrected[0], best.score[start]
        near = own > best.score.max() - limits["max_behind"]
        going = near & is_large(T, T_next, entry, limits)
        if not going.any():
            break
        start, T = start[going], T_next[going]
        rated, corrected = compared(network, given, T[None], entry)
        better = rated.score > best.score[start]
        for value, new in zip(best, rated, strict=True):
            value[start[better]] = new[better]
    return best


def is_large(T: Array, T_next: Array, entry: dict[str, Any], limits: dict[str, float]) -> Array:
    """Whether a correction rotates or shifts the object by enough to matter."""
    trace = np.einsum("nij,nij->n", T_next[:, :3, :3], T[:, :3, :3])
    rotation_rad = np.arccos(np.clip((trace - 1) / 2, -1, 1))
    centre_m = np.array(entry["centre_m"])
    shift_m = np.linalg.norm(transform_each(T_next, centre_m) - transform_each(T, centre_m), axis=-1)
    return (rotation_rad > limits["least_rotation_rad"]) | (
        shift_m > limits["least_shift"] * entry["diameter_m"]
    )


def distinct(poses: RatedPoses, entry: dict[str, Any], metadata: dict[str, Any]) -> RatedPoses:
    """The best poses that neither are near a better one nor look as it does; where there are fewer, the best again."""
    left, chosen = poses.score.copy(), []
    for _ in range(metadata["hypotheses"]):
        best = int(left.argmax())
        chosen.append(best if np.isfinite(left[best]) else chosen[0])
        alike = [nearest_symmetric_pose(poses.T[best], T, entry) for T in poses.T]
        places = places_m(np.stack([poses.T[best], *alike]).astype(np.float64), entry)
        distance_m = np.linalg.norm(places[1:] - places[0], axis=1)
        left[distance_m < metadata["same_pose_diameters"] * entry["diameter_m"]] = -np.inf
    return RatedPoses(*(value[chosen] for value in poses))


def nearest_symmetric_pose(T_pred: Array, T_target: Array, entry: dict[str, Any]) -> Array:
    """Of the poses that look the same as the target, the one nearest to the prediction, over the object's points."""
    if len(entry["T_obj_sym"]) == 1 and not any(entry["symmetry_axis"]):
        return T_target
    moment, centre = np.array(entry["point_moment"]), np.array(entry["symmetry_centre_m"])
    axis, T_obj_pred = np.array(entry["symmetry_axis"]), np.linalg.inv(T_target) @ T_pred
    centred = np.eye(4)
    centred[:3, 3] = -centre
    found = []
    for T_discrete in map(np.array, entry["T_obj_sym"]):
        T_sym = T_discrete
        if axis.any() or entry["is_ball"]:  # any rotation about the axis, or about the centre, may follow
            covariance = (centred @ T_discrete @ moment @ (centred @ T_obj_pred).T)[:3, :3]
            R = best_rotation(covariance) if entry["is_ball"] else rotation_about(axis, covariance)
            free = np.eye(4)
            free[:3, :3], free[:3, 3] = R, centre - R @ centre
            T_sym = free @ T_discrete
        off = (T_obj_pred - T_sym)[:3]
        found.append((float(((off @ moment) * off).sum()), T_sym))
    return T_target @ min(found, key=lambda one: one[0])[1]


def rotation_about(axis: Array, covariance: Array) -> Array:
    """The rotation R about the axis with the largest trace of R @ covariance."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle_rad = np.arctan2((cross * covariance.T).sum(), -((cross @ cross) * covariance.T).sum())
    return np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross


# ---- architecture dense-fusion: one pose a pixel, which vote ------------------------------------------------------


def voted(network: Network, given: dict[str, Array], entry: dict[str, Any]) -> tuple[Array, float]:
    """The mean of the poses in the densest place of all pixels' poses, then corrected by the refiner."""
    metadata, centre_m = network.metadata, np.array(entry["centre_m"])
    T, confidence = given["T_crop_obj"][0].astype(np.float64), given["confidence"][0].astype(np.float64)
    kept = max(1, round(metadata["kept_fraction"] * len(T)))
    weight = confidence * (confidence >= np.sort(confidence)[-kept])
    places = places_m(T, entry)
    squared = (places**2).sum(1)
    squared_m2 = squared[:, None] + squared - 2 * places @ places.T
    near = squared_m2 < (metadata["same_pose_diameters"] * entry["diameter_m"]) ** 2
    member = near[np.argmax((near @ weight) * (weight > 0))] & (weight > 0)
    relative = member * weight / max(member @ weight, 1e-12)  # a network may be sure of nothing
    found = np.eye(4)
    found[:3, :3] = best_rotation(np.tensordot(relative, T[:, :3, :3], 1).T)
    found[:3, 3] = relative @ transform_each(T, centre_m) - found[:3, :3] @ centre_m
    if network.refiner is not None:
        for _ in range(metadata["refine_steps"]):
            corrected = run(network.refiner, given | {"T_crop_obj": found[None].astype(np.float32)})
            found = corrected["T_corrected"][0].astype(np.float64)
    return found, float(member @ weight / max(member.sum(), 1))


# ---- geometry -----------------------------------------------------------------------------------------------------


def places_m(T: Array, entry: dict[str, Any]) -> Array:
    """Numbers whose distance is how far two poses place the object apart, metres."""
    R = T[:, :3, :3].reshape(len(T), 9)
    return np.concatenate([transform_each(T, np.array(entry["centre_m"])), R * (entry["diameter_m"] / 4)], 1)


def best_rotation(covariance: Array) -> Array:
    """The rotation R with the largest trace of R @ covariance, never a reflection."""
    U, _, Vh = np.linalg.svd(covariance)
    return Vh.T @ np.diag([1, 1, np.sign(np.linalg.det(Vh.T @ U.T))]) @ U.T


def transform(T_a_b: Array, points_b: Array) -> Array:
    """Points given in frame b, expressed in frame a."""
    return points_b @ T_a_b[:3, :3].T + T_a_b[:3, 3]


def transform_each(T_a_b: Array, point_b: Array) -> Array:
    """One point under each of several transforms."""
    return T_a_b[:, :3, :3] @ point_b + T_a_b[:, :3, 3]


# ---- command line -------------------------------------------------------------------------------------------------


def read_image(path: Path, flags: int) -> Array:
    """The image as OpenCV reads it, or an exit that says what is wrong."""
    image = cv2.imread(str(path), flags)
    if image is None:
        sys.exit(f"error: {path} is no readable image. Pass a PNG or JPEG file.")
    return image


def main() -> None:
    """Print the pose of one instance."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="the exported file")
    parser.add_argument("--rgb", type=Path, required=True)
    parser.add_argument("--depth", type=Path, required=True, help="16 bits, 0 where unknown")
    parser.add_argument("--depth-scale", type=float, default=1.0, help="millimetres of a step of the depth")
    parser.add_argument("--mask", type=Path, required=True, help="not 0 where the object is seen")
    parser.add_argument("--camera", type=float, nargs=4, required=True, metavar=("FX", "FY", "CX", "CY"))
    parser.add_argument("--object", type=int, required=True, help="its id")
    options = parser.parse_args()
    network = load_network(options.model)
    fx, fy, cx, cy = options.camera
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    rgb = np.ascontiguousarray(
        read_image(options.rgb, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1]
    )
    depth_m = read_image(options.depth, cv2.IMREAD_UNCHANGED).astype(np.float32) * (
        options.depth_scale / 1000
    )
    mask = read_image(options.mask, cv2.IMREAD_GRAYSCALE) > 0
    if not rgb.shape[:2] == depth_m.shape == mask.shape:
        sys.exit(
            f"rgb is {rgb.shape[:2]}, depth {depth_m.shape}, mask {mask.shape}: expected images of one size"
        )
    try:
        pose = estimate_pose(network, rgb, depth_m, K, mask, options.object)
    except NoPoseError as reason:
        sys.exit(f"no pose: {reason}")
    with np.printoptions(precision=6, suppress=True):
        print(f"T_cam_obj (metres), confidence {pose.confidence:.2f}:\n{pose.T_cam_obj}")


if __name__ == "__main__":
    main()
