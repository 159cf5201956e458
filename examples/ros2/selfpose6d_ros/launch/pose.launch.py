"""Starts the node; topics are those of a RealSense camera unless told otherwise.

ros2 launch selfpose6d_ros pose.launch.py meshes:="['1=/data/mug.ply']" masks_topic:=/segmentation
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

TOPICS = {
    "rgb": "/camera/color/image_raw",
    "depth": "/camera/aligned_depth_to_color/image_raw",
    "camera_info": "/camera/color/camera_info",
    "masks": "/masks",
    "detections": "/selfpose6d/detections",
}
PARAMETERS = {
    "meshes": (list[str], "['']"),
    "mesh_unit": (str, "mm"),
    "network": (str, ""),
    "verify": (bool, "true"),
    "masks": (str, "labels"),
    "rectified": (bool, "false"),
    "slop_s": (float, "0.03"),
}
"""Type and default."""


def generate_launch_description() -> LaunchDescription:
    """An argument for each parameter, and `<name>_topic` for each topic."""
    arguments = [DeclareLaunchArgument(name, default_value=value) for name, (_, value) in PARAMETERS.items()]
    arguments += [
        DeclareLaunchArgument(f"{name}_topic", default_value=topic) for name, topic in TOPICS.items()
    ]
    node = Node(
        package="selfpose6d_ros",
        executable="pose_node",
        name="selfpose6d",
        parameters=[
            {
                name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                for name, (kind, _) in PARAMETERS.items()
            }
        ],
        remappings=[(name, LaunchConfiguration(f"{name}_topic")) for name in TOPICS],
    )
    return LaunchDescription([*arguments, node])
