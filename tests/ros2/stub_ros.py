"""As much of ROS 2 as the node uses: messages with their fields, a node, a synchroniser that pairs by stamp."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np


@dataclass
class Time:
    sec: int = 0
    nanosec: int = 0


@dataclass
class Header:
    stamp: Time = field(default_factory=Time)
    frame_id: str = ""


def message(name: str, **fields: Any) -> type:
    """A message class; a field's default is a value, or a callable that makes it."""
    made = [
        (key, Any, field(default_factory=default) if callable(default) else field(default=default))
        for key, default in fields.items()
    ]
    return make_dataclass(name, made, slots=True)  # slots: a field that does not exist is an error, as in ROS


Point = message("Point", x=0.0, y=0.0, z=0.0)
Vector3 = message("Vector3", x=0.0, y=0.0, z=0.0)
Quaternion = message("Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
Pose = message("Pose", position=Point, orientation=Quaternion)
PoseWithCovariance = message("PoseWithCovariance", pose=Pose, covariance=lambda: [0.0] * 36)
Transform = message("Transform", translation=Vector3, rotation=Quaternion)
TransformStamped = message("TransformStamped", header=Header, child_frame_id="", transform=Transform)
Image = message("Image", header=Header, height=0, width=0, encoding="", is_bigendian=0, step=0, data=b"")
CameraInfo = message("CameraInfo", header=Header, d=list, k=lambda: [0.0] * 9, p=lambda: [0.0] * 12)
ObjectHypothesis = message("ObjectHypothesis", class_id="", score=0.0)
ObjectHypothesisWithPose = message(
    "ObjectHypothesisWithPose", hypothesis=ObjectHypothesis, pose=PoseWithCovariance
)
Point2D = message("Point2D", x=0.0, y=0.0)
Pose2D = message("Pose2D", position=Point2D, theta=0.0)
BoundingBox2D = message("BoundingBox2D", center=Pose2D, size_x=0.0, size_y=0.0)
Detection2D = message("Detection2D", header=Header, results=list, bbox=BoundingBox2D, id="")
Detection2DArray = message("Detection2DArray", header=Header, detections=list)
BoundingBox3D = message("BoundingBox3D", center=Pose, size=Vector3)
Detection3D = message("Detection3D", header=Header, results=list, bbox=BoundingBox3D, id="")
Detection3DArray = message("Detection3DArray", header=Header, detections=list)


class Node:
    """Parameters, publishers and a log that tests can look at."""

    given: ClassVar[dict[str, Any]] = {}
    """Parameters that the test sets."""

    def __init__(self, name: str) -> None:
        self.name, self.parameters, self.published, self.warnings = name, {}, [], []

    def declare_parameter(self, name: str, default: Any) -> None:
        self.parameters[name] = self.given.get(name, default)

    def get_parameter(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(value=self.parameters[name])

    def create_publisher(self, kind: type, topic: str, depth: int) -> SimpleNamespace:
        def publish(sent: Any) -> None:
            assert isinstance(sent, kind)
            self.published.append((topic, sent))

        return SimpleNamespace(publish=publish)

    def get_logger(self) -> SimpleNamespace:
        return SimpleNamespace(warning=self.warnings.append)


class Subscriber:
    def __init__(self, node: Node, kind: type, topic: str, qos_profile: Any = None) -> None:
        self.kind, self.topic, self.queue = kind, topic, []
        self.synchronizer: Any = None

    def receive(self, sent: Any) -> None:
        assert isinstance(sent, self.kind)
        self.queue.append(sent)
        self.synchronizer.look()


class ApproximateTimeSynchronizer:
    """Calls back with one message of each topic whose stamps are within `slop` seconds."""

    def __init__(self, subscribers: list[Subscriber], queue_size: int, slop: float) -> None:
        self.subscribers, self.queue_size, self.slop = subscribers, queue_size, slop
        self.callback: Callable[..., None] = lambda *_: None
        for subscriber in subscribers:
            subscriber.synchronizer = self

    def registerCallback(self, callback: Callable[..., None]) -> None:
        self.callback = callback

    def look(self) -> None:
        for subscriber in self.subscribers:
            del subscriber.queue[: -self.queue_size]
        for first in list(self.subscribers[0].queue):
            near = [
                min(one.queue, key=lambda sent: abs(seconds(sent) - seconds(first)), default=None)
                for one in self.subscribers
            ]
            if all(sent is not None and abs(seconds(sent) - seconds(first)) <= self.slop for sent in near):
                for subscriber, sent in zip(self.subscribers, near, strict=True):
                    subscriber.queue.remove(sent)
                self.callback(*near)


class TransformBroadcaster:
    def __init__(self, node: Node) -> None:
        self.sent: list[Any] = []

    def sendTransform(self, transforms: list[Any]) -> None:
        self.sent += transforms


def seconds(sent: Any) -> float:
    return sent.header.stamp.sec + 1e-9 * sent.header.stamp.nanosec


def modules() -> dict[str, ModuleType]:
    """By the names that they are imported by."""
    content = {
        "geometry_msgs.msg": {"TransformStamped": TransformStamped},
        "sensor_msgs.msg": {"Image": Image, "CameraInfo": CameraInfo},
        "vision_msgs.msg": {
            kind.__name__: kind
            for kind in (
                Detection2D,
                Detection2DArray,
                Detection3D,
                Detection3DArray,
                ObjectHypothesisWithPose,
            )
        },
        "message_filters": {
            "ApproximateTimeSynchronizer": ApproximateTimeSynchronizer,
            "Subscriber": Subscriber,
        },
        "rclpy": {"init": lambda: None, "spin": lambda _: None, "try_shutdown": lambda: None},
        "rclpy.node": {"Node": Node},
        "rclpy.qos": {"qos_profile_sensor_data": object()},
        "tf2_ros": {"TransformBroadcaster": TransformBroadcaster},
    }
    made = {}
    for name, values in content.items():
        made.setdefault(name.partition(".")[0], ModuleType(name.partition(".")[0]))
        module = made.setdefault(name, ModuleType(name))
        vars(module).update(values)
    return made


def install(patch: Any) -> None:
    """Into `sys.modules`, as long as the patch lasts."""
    for name, module in modules().items():
        patch.setitem(sys.modules, name, module)


def image(pixels: np.ndarray, encoding: str, header: Header | None = None, padding: int = 0) -> Any:
    """A sensor_msgs/Image of these pixels; `padding` bytes follow each row."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    big = int(pixels.dtype.byteorder == ">")
    return Image(header or Header(), height, width, encoding, big, rows.shape[1], rows.tobytes())
