"""What RealSense's own recordings (realsense-viewer, rs-record, pyrealsense2) say beside their images.

They are bags, ROS 1 `.bag` of older versions, `.db3` of newer ones; topics are `/device_0/sensor_0/Depth_0/...`.
"""

import re

import numpy as np
from jaxtyping import Float

from selfpose6d.recordings.bag_messages import Bag
from selfpose6d.recordings.transforms import quaternion_transform

_TOPIC = re.compile(r"(?P<sensor>/device_\d+/sensor_\d+)/(?P<stream>\w+_\d+)/")


def is_realsense_topic(topic: str) -> bool:
    """Whether librealsense wrote this topic; its frame ids are all alike and say nothing."""
    return _TOPIC.match(topic) is not None


def realsense_unit_m(bag: Bag, depth_topic: str) -> float | None:
    """Metres per depth unit: 0.001 of most cameras, 0.00025 of the L515, 0.0001 of the D405; None if not said."""
    match = _TOPIC.match(depth_topic)
    if match is None:
        return None
    for name in ("Depth Units", "Depth_Units"):
        message = bag.first(f"{match['sensor']}/option/{name}/value")
        if message is not None and float(message.data) > 0:
            return float(message.data)
    return None


def realsense_model(bag: Bag, topic: str) -> str | None:
    """The name of a stream's lens model in newer recordings, whose camera info says plumb_bob whatever it is."""
    match = _TOPIC.match(topic)
    name = "" if match is None else f"{match['sensor']}/{match['stream']}/camera_info"
    message = bag.first(name) if bag.type_of(name) == "std_msgs/msg/String" else None
    found = None if message is None else re.search(r"model=([^;]*)", message.data)
    return None if found is None else found[1]


def realsense_extrinsics(
    bag: Bag, colour_topic: str, depth_topic: str
) -> tuple[Float[np.ndarray, "4 4"], str] | None:
    """`T_colour_depth` from both streams' transforms, which lead from a common reference to the stream's camera."""
    found = {}
    for name, topic in (("colour", colour_topic), ("depth", depth_topic)):
        match = _TOPIC.match(topic)
        prefix = "" if match is None else f"{match['sensor']}/{match['stream']}/tf/"
        for other in {c.topic for c in bag.reader.connections if prefix and c.topic.startswith(prefix)}:
            message = bag.first(other)
            if message is not None:
                q, t = message.rotation, message.translation
                reference = other.removeprefix(prefix)
                found[name, reference] = quaternion_transform((q.x, q.y, q.z, q.w), (t.x, t.y, t.z), other)
    for (name, reference), T_depth_reference in found.items():
        if name == "depth" and ("colour", reference) in found:
            return found["colour", reference] @ np.linalg.inv(
                T_depth_reference
            ), "the camera's own calibration"
    return None
