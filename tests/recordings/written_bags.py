"""Tiny bags that tests write themselves: ROS 1, rosbag2 with SQLite, MCAP."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

Form = Literal["ros1", "sqlite3", "mcap"]
NS_PER_S = 10**9
START_NS = 1_700_000_000 * NS_PER_S
K_COLOUR = np.array([[150.0, 0, 79.5], [0, 151.0, 59.5], [0, 0, 1]])

_TF_MESSAGE = "geometry_msgs/TransformStamped[] transforms\n"
_EXTRINSICS = "float64[9] rotation\nfloat64[3] translation\n"


@dataclass(frozen=True)
class Sent:
    """A message of a topic; `fields` of its type in `kind`, with the stamp and frame of its header."""

    topic: str
    kind: str
    stamp_ns: int
    fields: dict[str, Any]
    frame_id: str = "camera"
    header_stamp_ns: int | None = None
    """Where it is not `stamp_ns`."""


def write_bag(folder: Path, form: Form, messages: Sequence[Sent], compression: str | None = None) -> Path:
    """The file or folder that `import` reads; `compression` is rosbag2's mode, MESSAGE or FILE."""
    store = get_typestore(Stores.ROS1_NOETIC if form == "ros1" else Stores.ROS2_HUMBLE)
    if form == "ros1":  # the only type of these that is not in the store
        store.register(get_types_from_msg(_TF_MESSAGE, "tf2_msgs/msg/TFMessage"))
    store.register(get_types_from_msg(_EXTRINSICS, "realsense2_camera_msgs/msg/Extrinsics"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recording.bag" if form == "ros1" else folder / "recording"
    plugin = StoragePlugin.MCAP if form == "mcap" else StoragePlugin.SQLITE3
    writer = Writer1(path) if form == "ros1" else Writer2(path, version=9, storage_plugin=plugin)
    if compression is not None:
        assert isinstance(writer, Writer2)
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for sent in messages:
            if sent.topic not in connections:
                connections[sent.topic] = writer.add_connection(sent.topic, sent.kind, typestore=store)
            message = _message(store, sent, is_ros1=form == "ros1")
            serialize = store.serialize_ros1 if form == "ros1" else store.serialize_cdr
            raw = message if isinstance(message, bytes) else bytes(serialize(message, sent.kind))
            writer.write(connections[sent.topic], sent.stamp_ns, raw)
    return next(path.glob("*.mcap")) if form == "mcap" else path


def image(topic: str, stamp_ns: int, pixels: np.ndarray, encoding: str, **other: Any) -> Sent:
    """An `Image`; `step` and `data` follow the pixels unless `other` has them."""
    frame_id = other.pop("frame_id", "camera")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    fields = {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": pixels.shape[1] * channels * pixels.itemsize,
        "data": np.frombuffer(pixels.tobytes(), np.uint8),
        **other,
    }
    return Sent(topic, "sensor_msgs/msg/Image", stamp_ns, fields, frame_id)


def compressed(topic: str, stamp_ns: int, data: bytes, form: str, frame_id: str = "camera") -> Sent:
    """A `CompressedImage`."""
    fields = {"format": form, "data": np.frombuffer(data, np.uint8)}
    return Sent(topic, "sensor_msgs/msg/CompressedImage", stamp_ns, fields, frame_id)


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    """A JPEG or PNG file of RGB or one channel."""
    stored = np.ascontiguousarray(pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return cv2.imencode(suffix, stored)[1].tobytes()


def camera_info(
    topic: str, stamp_ns: int, K: np.ndarray, size: tuple[int, int], frame_id: str = "camera", **other: Any
) -> Sent:
    """A `CameraInfo`; `other` may hold d, distortion_model, p, binning_x, ..."""
    P = np.hstack([K, np.zeros((3, 1))])
    fields = {
        "height": size[1],
        "width": size[0],
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": K.ravel(),
        "r": np.eye(3).ravel(),
        "p": P.ravel(),
        "binning_x": 0,
        "binning_y": 0,
        **other,
    }
    return Sent(topic, "sensor_msgs/msg/CameraInfo", stamp_ns, fields, frame_id)


def static_transform(parent: str, child: str, T_parent_child: np.ndarray, stamp_ns: int = START_NS) -> Sent:
    """A `/tf_static` message."""
    angle_axis = cv2.Rodrigues(T_parent_child[:3, :3])[0].ravel()
    angle = np.linalg.norm(angle_axis)
    axis = angle_axis / (angle or 1)
    quat_xyzw = (*(axis * np.sin(angle / 2)), np.cos(angle / 2))
    fields = {"child": child, "quat_xyzw": quat_xyzw, "translation": T_parent_child[:3, 3]}
    return Sent("/tf_static", "tf2_msgs/msg/TFMessage", stamp_ns, fields, parent)


def rgbd_messages(
    frames: Sequence[tuple[np.ndarray, np.ndarray]],
    encoding: str = "16UC1",
    K: np.ndarray = K_COLOUR,
    period_ns: int = NS_PER_S // 30,
) -> list[Sent]:
    """Frames (RGB, depth) of one camera whose depth is registered, depth 1 ms behind colour."""
    size = frames[0][0].shape[1], frames[0][0].shape[0]
    messages = []
    for index, (rgb, depth) in enumerate(frames):
        stamp_ns = START_NS + index * period_ns
        messages += [
            camera_info("/camera/color/camera_info", stamp_ns, K, size),
            camera_info("/camera/depth/camera_info", stamp_ns, K, size),
            image("/camera/color/image_raw", stamp_ns, rgb, "rgb8"),
            image("/camera/depth/image_raw", stamp_ns + 10**6, depth, encoding),
        ]
    return messages


def _message(store: Any, sent: Sent, is_ros1: bool) -> Any:
    types = store.types
    stamp = divmod(sent.stamp_ns if sent.header_stamp_ns is None else sent.header_stamp_ns, NS_PER_S)
    if "raw" in sent.fields:
        return sent.fields["raw"]
    if sent.kind.startswith(("std_msgs/", "realsense2_camera_msgs/")):
        return types[sent.kind](**sent.fields)
    time = types["builtin_interfaces/msg/Time"](*stamp)
    header_type = types["std_msgs/msg/Header"]
    header = (
        header_type(seq=0, stamp=time, frame_id=sent.frame_id)
        if is_ros1
        else header_type(stamp=time, frame_id=sent.frame_id)
    )
    if sent.kind == "geometry_msgs/msg/Transform":
        return _transform(types, **sent.fields)
    if sent.kind == "tf2_msgs/msg/TFMessage":
        fields = dict(sent.fields)
        child = fields.pop("child")
        stamped = types["geometry_msgs/msg/TransformStamped"](header, child, _transform(types, **fields))
        return types[sent.kind](transforms=[stamped])
    fields = dict(sent.fields)
    if sent.kind == "sensor_msgs/msg/CameraInfo":
        fields["roi"] = types["sensor_msgs/msg/RegionOfInterest"](*fields.pop("roi", (0, 0, 0, 0)), False)
        if is_ros1:
            fields = {name.upper() if name in "dkrp" else name: value for name, value in fields.items()}
    return types[sent.kind](header=header, **fields)


def _transform(types: Any, quat_xyzw: Sequence[float], translation: Sequence[float]) -> Any:
    rotation = types["geometry_msgs/msg/Quaternion"](*map(float, quat_xyzw))
    offset = types["geometry_msgs/msg/Vector3"](*map(float, translation))
    return types["geometry_msgs/msg/Transform"](translation=offset, rotation=rotation)
