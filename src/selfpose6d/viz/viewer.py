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
from selfpose6d.viz.palette import STATUS_RGB

POINT_SIZE_M = 0.0015
AXIS_SHARE = 0.6


@dataclass(frozen=True)
class ViewedPose:
    """One estimate: its mesh, pose, label and certificate status ("" none)."""

    mesh: Mesh
    T_cam_obj: Float[np.ndarray, "4 4"]
    label: str
    status: str = ""


@dataclass(frozen=True)
class View:
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
    points_m = back_project(
        torch.from_numpy(depth_m.astype(np.float64)), torch.from_numpy(np.asarray(K, np.float64))
    )
    return points_m.numpy()[known].astype(np.float32), rgb[known]


def start_viewer(titles: Sequence[str], load: Callable[[int], View], host: str, port: int) -> Any:
    """Serve the frames and return the running viser server; `load(index)` is called when a frame is chosen.

    Raises:
        UsageError: viser is not installed.
    """
    try:
        import viser  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError(
            "view needs viser, which is not installed. Run: pip install 'selfpose6d[viewer]'"
        ) from None
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
        handles.update(_add_view(server.scene, load(titles.index(chosen.value))))
        show_parts()

    chosen.on_update(show_frame)
    for checkbox in parts.values():
        checkbox.on_update(show_parts)
    server.on_client_connect(_look_forward)
    show_frame()
    return server


def _add_view(scene: Any, view: View) -> dict[str, list[Any]]:
    """Scene handles by kind."""
    cloud = scene.add_point_cloud("/points", view.points_cam_m, view.points_rgb, point_size=POINT_SIZE_M)
    handles: dict[str, list[Any]] = {"points": [cloud], "meshes": [], "axes": [], "labels": []}
    for index, pose in enumerate(view.poses):
        at = {"wxyz": _quat_wxyz(pose.T_cam_obj[:3, :3]), "position": pose.T_cam_obj[:3, 3]}
        mesh, rgb = pose.mesh, STATUS_RGB[pose.status]
        name = f"/poses/{index}"
        handles["meshes"].append(
            scene.add_mesh_simple(f"{name}/mesh", mesh.vertices_m, mesh.faces, color=rgb, opacity=0.6, **at)
        )
        length_m = mesh.radius_m * AXIS_SHARE
        handles["axes"].append(
            scene.add_frame(f"{name}/axes", axes_length=length_m, axes_radius=0.03 * length_m, **at)
        )
        handles["labels"].append(scene.add_label(f"{name}/label", pose.label, **at))
    return handles


def _look_forward(client: Any) -> None:
    """Start where the sensor stood."""
    client.camera.position, client.camera.look_at = (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def _quat_wxyz(R: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4"]:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(R).as_quat(scalar_first=True)
