"""ROS messages to arrays and back: pure functions. Pixels are read with numpy; cv_bridge is not needed."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from scipy.spatial.transform import Rotation
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from selfpose6d import Instance, InstanceKey, LabeledPose, Mesh
from selfpose6d_ros.covariance import View, pose_covariance, single_covariance

METRES_PER_MM = 0.001
MAX_DEPTH_M = 20.0
"""What is farther is a sentinel of a driver, no measurement."""
INSTANCES_PER_OBJECT = 1000
"""Label images: value 1000 * id + k is the k-th instance of an object, a value below 1000 the object's only one."""
_DTYPES: Mapping[str, tuple[type, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "8UC1": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    "16UC1": (np.uint16, 1),
    "32SC1": (np.int32, 1),
    "32FC1": (np.float32, 1),
}
"""Type and channels of a pixel."""


class MessageError(ValueError):
    """A message holds what the node cannot use; says what was expected and what to do."""


def image_array(message: Any) -> np.ndarray:
    """The pixels of a sensor_msgs/Image, (height, width) or (height, width, channels), in this machine's byte order.

    Raises:
        MessageError: another encoding, or fewer bytes than the message says.
    """
    if message.encoding not in _DTYPES:
        raise MessageError(
            f"image encoding {message.encoding!r} is not one of {' '.join(_DTYPES)}. Convert it with image_proc, or "
            "decompress it with image_transport."
        )
    kind, channels = _DTYPES[message.encoding]
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row_bytes = message.width * channels * dtype.itemsize
    data = np.frombuffer(bytes(message.data), np.uint8)
    if message.step < row_bytes or len(data) < message.step * message.height:
        raise MessageError(
            f"image {message.width} x {message.height} {message.encoding} needs rows of {row_bytes} bytes and "
            f"{message.height} of them, got step {message.step} and {len(data)} bytes. The driver's message is broken."
        )
    rows = data[: message.step * message.height].reshape(message.height, message.step)[:, :row_bytes]
    pixels = np.ascontiguousarray(rows).view(dtype).reshape(message.height, message.width, channels)
    return np.squeeze(pixels, 2).astype(kind) if channels == 1 else pixels.astype(kind)


def rgb_image(message: Any) -> np.ndarray:
    """(height, width, 3), red first; grey images three times the same."""
    pixels = image_array(message)
    if pixels.dtype != np.uint8:
        raise MessageError(
            f"colours must have 8 bits, got encoding {message.encoding!r}: is this the depth topic?"
        )
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    order = [2, 1, 0] if message.encoding.startswith("bgr") else [0, 1, 2]
    return np.ascontiguousarray(pixels[..., order])


def depth_image_m(message: Any) -> np.ndarray:
    """Metres, 0 where unknown: 16 bits are millimetres, floats are metres (REP 118)."""
    pixels = image_array(message)
    if message.encoding in ("16UC1", "mono16"):
        depth_m = pixels.astype(np.float32) * np.float32(METRES_PER_MM)
    elif message.encoding == "32FC1":
        depth_m = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    else:
        raise MessageError(f"depth must be 16UC1 (millimetres) or 32FC1 (metres), got {message.encoding!r}.")
    return np.where((depth_m > 0) & (depth_m < MAX_DEPTH_M), depth_m, np.float32(0))


def camera_matrix(message: Any, rectified: bool = False) -> np.ndarray:
    """K of a sensor_msgs/CameraInfo; of `rectified` images that of the rectified camera, the projection matrix.

    Raises:
        MessageError: the images are distorted, or the camera is not calibrated.
    """
    if rectified:
        K = np.array(message.p, np.float64).reshape(3, 4)[:, :3]
    else:
        K = np.array(message.k, np.float64).reshape(3, 3)
        if np.any(np.abs(np.array(message.d, np.float64)) > 0):
            raise MessageError(
                f"the camera's images are distorted (d = {list(message.d)}). Rectify them with image_proc and set the "
                "parameter rectified."
            )
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise MessageError(
            "the camera is not calibrated: its focal length is 0. Calibrate it, or set camera_info."
        )
    return K


def instances_from_labels(message: Any) -> tuple[Instance, ...]:
    """Of an image of labels the instances, by value; 0 is background. See `INSTANCES_PER_OBJECT`."""
    labels = image_array(message)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise MessageError(f"labels must be an image of whole numbers, got {message.encoding!r}.")
    found = []
    for value in np.unique(labels[labels > 0]).tolist():
        obj_id, inst_id = (value, 0) if value < INSTANCES_PER_OBJECT else divmod(value, INSTANCES_PER_OBJECT)
        found.append(Instance(InstanceKey("", 0, 0, obj_id, inst_id), labels == value))
    return tuple(found)


def instances_from_boxes(
    message: Any, ids_by_name: Mapping[str, int], shape: tuple[int, int]
) -> tuple[Instance, ...]:
    """Of a vision_msgs/Detection2DArray the instances: its boxes, of the best hypothesis' class, a name or an id.

    Boxes of classes that are no object of ours are left out.
    """
    height, width = shape
    found = []
    for index, detection in enumerate(message.detections):
        if not detection.results:
            continue
        best = max(detection.results, key=lambda result: result.hypothesis.score).hypothesis.class_id
        obj_id = ids_by_name.get(best, int(best) if best.isdigit() else -1)
        if obj_id not in ids_by_name.values():
            continue
        centre = detection.bbox.center.position
        half = detection.bbox.size_x / 2, detection.bbox.size_y / 2
        left, right = (int(np.clip(round(centre.x + side * half[0]), 0, width)) for side in (-1, 1))
        top, bottom = (int(np.clip(round(centre.y + side * half[1]), 0, height)) for side in (-1, 1))
        mask = np.zeros(shape, bool)
        mask[top:bottom, left:right] = True
        if mask.any():
            found.append(Instance(InstanceKey("", 0, 0, obj_id, index), mask, region=True))
    return tuple(found)


def detection_array(
    header: Any,
    poses: Sequence[LabeledPose],
    meshes: Mapping[int, Mesh],
    names: Mapping[int, str],
    views: Mapping[InstanceKey, View],
) -> Any:
    """A vision_msgs/Detection3DArray of the poses that are not rejected, with the images' stamp and frame.

    An ambiguous pose has its alternatives as further hypotheses, the likeliest first; its own covariance covers all.
    """
    message = Detection3DArray()
    message.header = header
    for pose in accepted(poses):
        message.detections.append(_detection(header, pose, meshes[pose.key.obj_id], names, views[pose.key]))
    return message


def accepted(poses: Sequence[LabeledPose]) -> list[LabeledPose]:
    """Those with a pose that is certified or ambiguous."""
    return [pose for pose in poses if pose.valid and pose.certificate.status != "rejected"]


def frame_name(pose: LabeledPose, names: Mapping[int, str]) -> str:
    """Of the object's frame in TF."""
    name = names.get(pose.key.obj_id, f"object_{pose.key.obj_id}")
    return f"{name}_{pose.key.inst_id}"


def transform_message(header: Any, pose: LabeledPose, names: Mapping[int, str]) -> Any:
    """A geometry_msgs/TransformStamped from the camera's optical frame to the object's."""
    message = TransformStamped()
    message.header = header
    message.child_frame_id = frame_name(pose, names)
    to = message.transform
    to.translation.x, to.translation.y, to.translation.z = map(float, pose.T_cam_obj[:3, 3])
    _set_rotation(to.rotation, pose.T_cam_obj)
    return message


def _detection(header: Any, pose: LabeledPose, mesh: Mesh, names: Mapping[int, str], view: View) -> Any:
    message, certificate = Detection3D(), pose.certificate
    message.header, message.id = header, frame_name(pose, names)
    name = names.get(pose.key.obj_id, str(pose.key.obj_id))
    weight = certificate.alternatives[0].confidence if certificate.alternatives else pose.confidence
    covariance = pose_covariance(mesh, pose.T_cam_obj, certificate, view)
    message.results.append(_hypothesis(name, pose.T_cam_obj, weight, covariance))
    for other in certificate.alternatives[1:]:
        covariance = single_covariance(mesh, other.T_cam_obj, certificate, view)
        message.results.append(_hypothesis(name, other.T_cam_obj, other.confidence, covariance))
    centre = pose.T_cam_obj @ [*mesh.centre_m, 1]
    _set_pose(message.bbox.center, np.column_stack([pose.T_cam_obj[:, :3], centre]))
    size = message.bbox.size
    size.x, size.y, size.z = map(float, np.ptp(mesh.vertices_m, axis=0))
    return message


def _hypothesis(name: str, T_cam_obj: np.ndarray, score: float, covariance: np.ndarray) -> Any:
    message = ObjectHypothesisWithPose()
    message.hypothesis.class_id, message.hypothesis.score = name, float(score)
    _set_pose(message.pose.pose, T_cam_obj)
    message.pose.covariance = covariance.reshape(-1).tolist()
    return message


def _set_pose(message: Any, T_cam_obj: np.ndarray) -> None:
    place = message.position
    place.x, place.y, place.z = map(float, T_cam_obj[:3, 3])
    _set_rotation(message.orientation, T_cam_obj)


def _set_rotation(message: Any, T_cam_obj: np.ndarray) -> None:
    quat_xyzw = Rotation.from_matrix(T_cam_obj[:3, :3]).as_quat()
    message.x, message.y, message.z, message.w = map(float, quat_xyzw)
