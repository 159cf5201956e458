"""The node: subscribes, pairs the images by time, estimates, publishes. All the rest is in the other modules."""

# pyright: reportMissingImports=false

from typing import Any

import rclpy
from message_filters import ApproximateTimeSynchronizer, Subscriber
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection2DArray, Detection3DArray

from selfpose6d.errors import SelfPose6DError
from selfpose6d_ros import conversions
from selfpose6d_ros.conversions import MessageError
from selfpose6d_ros.estimation import Estimates, Estimator, Objects

PARAMETERS = {
    "meshes": [""],
    "mesh_unit": "mm",
    "network": "",
    "verify": True,
    "masks": "labels",
    "rectified": False,
    "queue_size": 30,  # of each topic: masks of a detector come late
    "slop_s": 0.03,
}
"""With their defaults; the README says what they mean."""
MASK_TYPES = {"labels": Image, "boxes": Detection2DArray, "none": None}


class PoseNode(Node):
    """Certified poses of the objects in a depth camera's images."""

    def __init__(self) -> None:
        super().__init__("selfpose6d")
        for name, default in PARAMETERS.items():
            self.declare_parameter(name, default)
        if (kind := self._value("masks")) not in MASK_TYPES:
            raise SelfPose6DError(f"masks must be one of {' '.join(MASK_TYPES)}, got {kind!r}.")
        self._objects = Objects.load(
            [file for file in self._value("meshes") if file], self._value("mesh_unit")
        )
        if not self._objects.meshes:
            raise SelfPose6DError("no meshes: set the parameter meshes, a list of files or of id=file.")
        self._estimator = Estimator(self._objects, self._value("network"), self._value("verify"))
        self._publisher = self.create_publisher(Detection3DArray, "detections", 10)
        self._broadcaster = TransformBroadcaster(self)
        topics = [(Image, "rgb"), (Image, "depth"), (CameraInfo, "camera_info")]
        if MASK_TYPES[kind] is not None:
            topics.append((MASK_TYPES[kind], "masks"))
        subscribers = [Subscriber(self, *topic, qos_profile=qos_profile_sensor_data) for topic in topics]
        self._images = ApproximateTimeSynchronizer(
            subscribers, self._value("queue_size"), self._value("slop_s")
        )
        self._images.registerCallback(self.on_images)

    def on_images(self, rgb: Any, depth: Any, camera_info: Any, masks: Any = None) -> None:
        """Estimate and publish; what cannot be used is warned of, and the next images are waited for."""
        try:
            K = conversions.camera_matrix(camera_info, self._value("rectified"))
            colours, depth_m = conversions.rgb_image(rgb), conversions.depth_image_m(depth)
            if colours.shape[:2] != depth_m.shape:
                raise MessageError(
                    f"rgb is {colours.shape[1]} x {colours.shape[0]}, depth {depth_m.shape[1]} x {depth_m.shape[0]}: "
                    "take the depth that is aligned to the colours."
                )
            if self._value("masks") == "none":
                found = self._estimator.find(colours, depth_m, K)
            else:
                found = self._estimator(colours, depth_m, K, self._instances(masks, depth_m.shape))
        except (MessageError, SelfPose6DError) as error:
            self.get_logger().warning(str(error))
            return
        self._publish(rgb.header, found)

    def _instances(self, masks: Any, shape: tuple[int, int]) -> Any:
        if self._value("masks") == "labels":
            found = conversions.instances_from_labels(masks)
            if found and found[0].mask.shape != shape:
                raise MessageError(f"masks are {found[0].mask.shape}, images {shape} (height, width).")
            return tuple(one for one in found if one.key.obj_id in self._objects.meshes)
        return conversions.instances_from_boxes(masks, self._objects.ids_by_name, shape)

    def _publish(self, header: Any, found: Estimates) -> None:
        names = self._objects.names
        self._publisher.publish(
            conversions.detection_array(header, found.poses, self._objects.meshes, names, found.views)
        )
        certain = [
            pose for pose in conversions.accepted(found.poses) if pose.certificate.status == "certified"
        ]
        self._broadcaster.sendTransform(
            [conversions.transform_message(header, pose, names) for pose in certain]
        )

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(PoseNode())
    except KeyboardInterrupt:
        pass
    except SelfPose6DError as error:
        print(f"error: {error}")
        raise SystemExit(2) from None
    finally:
        rclpy.try_shutdown()
