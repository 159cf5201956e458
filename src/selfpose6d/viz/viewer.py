"""A run in 3-D in the browser: the measured points of a frame and the meshes at their estimated poses.

Needs the `viewer` extra (viser).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from selfpose6d.errors import UsageError
from selfpose6d.geometry.camera import back_project
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.viz.palette import AXIS_LENGTH_RATIO, STATUS_RGB

# about the spacing of a sensor's points at 1 m
POINT_SIZE_M = 0.0015


@dataclass(frozen=True)
class ViewedPose:
    """One estimate: its mesh, pose, label and certificate status ("" none)."""

    mesh: Mesh
    T_cam_obj: Float[np.ndarray, "4 4"]
    label: str
    status: str = ""


@dataclass(frozen=True)
class ViewedFrame:
    """One frame: measured points in the camera's frame, their colours, and the estimates."""

    points_cam_m: Float[np.ndarray, "points 3"]
    points_rgb: UInt8[np.ndarray, "points 3"]
    poses: Sequence[ViewedPose]


def measured_points(
    rgb: UInt8[np.ndarray, "height width 3"],
    depth_m: Float[np.ndarray, "height width"],
    K: Float[np.ndarray, "3 3"],
) -> tuple[Float[np.ndarray, "points 3"], UInt8[np.ndarray, "points 3"]]:
    """The pixels with known depth as coloured points, camera frame."""
    known = depth_m > 0
    depth, K_double = (torch.from_numpy(np.asarray(a, np.float64)) for a in (depth_m, K))
    return back_project(depth, K_double).numpy()[known].astype(np.float32), rgb[known]


def start_viewer(titles: Sequence[str], load: Callable[[int], ViewedFrame], host: str, port: int) -> Any:
    """Serve the frames and return the running viser server; `load(index)` is called when a frame is chosen.

    Raises:
        UsageError: viser is not installed.
    """
    try:
        import viser  # pyright: ignore[reportMissingImports]
    except ImportError:
        remedy = "Run: pip install 'selfpose6d[viewer]'"
        raise UsageError(f"view needs viser, which is not installed. {remedy}") from None
    server = viser.ViserServer(host=host, port=port, verbose=False)
    server.scene.set_up_direction("-y")
    chosen = server.gui.add_dropdown("frame", tuple(titles), initial_value=titles[0])
    parts = {name: server.gui.add_checkbox(name, True) for name in ("points", "meshes", "axes", "labels")}
    handles: dict[str, list[Any]] = {}

    def show_parts(_: Any = None) -> None:
        for name, shown in handles.items():
            for handle in shown:
                handle.visible = parts[name].value

    def show_frame(_: Any = None) -> None:
        for handle in (handle for shown in handles.values() for handle in shown):
            handle.remove()
        handles.update(_add_frame(server.scene, load(titles.index(chosen.value))))
        show_parts()

    chosen.on_update(show_frame)
    for checkbox in parts.values():
        checkbox.on_update(show_parts)
    server.on_client_connect(_look_forward)
    show_frame()
    return server


def _add_frame(scene: Any, frame: ViewedFrame) -> dict[str, list[Any]]:
    """Scene handles by kind."""
    from scipy.spatial.transform import Rotation

    cloud = scene.add_point_cloud("/points", frame.points_cam_m, frame.points_rgb, point_size=POINT_SIZE_M)
    handles: dict[str, list[Any]] = {"points": [cloud], "meshes": [], "axes": [], "labels": []}
    for index, pose in enumerate(frame.poses):
        quat_wxyz = Rotation.from_matrix(pose.T_cam_obj[:3, :3]).as_quat(scalar_first=True)
        at = {"wxyz": quat_wxyz, "position": pose.T_cam_obj[:3, 3]}
        name, mesh, length_m = f"/poses/{index}", pose.mesh, pose.mesh.radius_m * AXIS_LENGTH_RATIO
        style = {"color": STATUS_RGB[pose.status], "opacity": 0.6}
        solid = scene.add_mesh_simple(f"{name}/mesh", mesh.vertices_m, mesh.faces, **style, **at)
        axes = scene.add_frame(f"{name}/axes", axes_length=length_m, axes_radius=0.03 * length_m, **at)
        handles["meshes"].append(solid)
        handles["axes"].append(axes)
        handles["labels"].append(scene.add_label(f"{name}/label", pose.label, **at))
    return handles


def _look_forward(client: Any) -> None:
    """Start where the sensor stood."""
    client.camera.position, client.camera.look_at = (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)
