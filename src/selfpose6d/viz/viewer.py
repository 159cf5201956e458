"""A frame in 3-D in the browser: measured points, the photo before its camera, textured meshes at their poses.

Needs the `viewer` extra (viser). What is shown is set from here; a page of ours frames the view and has the controls.
"""

import contextlib
import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from selfpose6d.extras import missing_extra
from selfpose6d.geometry.camera import back_project
from selfpose6d.meshes.decimate import decimate
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.viz.palette import AXIS_LENGTH_RATIO, OTHER_RUN_RGB, STATUS_RGB, TRUTH_RGB

# about the spacing of a sensor's points at 1 m
POINT_SIZE_M = 0.0015
FRUSTUM_M = 0.05
"""Size of the camera with its photo: small beside the scene, large enough to make out the objects."""
MOST_TEXELS = 1024
"""Longer side of a texture that is sent to the browser: it fills a screen."""
WIRE_FACES = 300
"""Of a mesh that is drawn as wires."""
SIDE_RAD, UP_RAD = 0.5, 0.35
"""From where the view starts, seen from what it looks at: beside the sensor and above it, so that depth shows."""
Layer = Literal["points", "photo", "meshes", "statuses", "axes", "labels", "truth", "other run"]
"""What can be shown or hidden. `statuses`: the meshes in the colours of their certificates."""
LAYERS: tuple[Layer, ...] = ("points", "photo", "meshes", "statuses", "axes", "labels", "truth", "other run")
HIDDEN_FIRST: tuple[Layer, ...] = ("statuses",)
Kind = Literal["estimate", "truth", "other run"]


@dataclass(frozen=True)
class ViewedPose:
    """One pose: its mesh, label and certificate status ("" none). True poses and another run's are drawn as wires.

    `details` are for beside the view.
    """

    mesh: Mesh
    T_cam_obj: Float[np.ndarray, "4 4"]
    label: str
    status: str = ""
    kind: Kind = "estimate"
    details: str = ""


@dataclass(frozen=True)
class ViewedFrame:
    """One frame: measured points in the camera's frame, their colours, the photo with its camera, and the poses."""

    points_cam_m: Float[np.ndarray, "points 3"]
    points_rgb: UInt8[np.ndarray, "points 3"]
    poses: Sequence[ViewedPose]
    photo: UInt8[np.ndarray, "height width 3"] | None = None
    K: Float[np.ndarray, "3 3"] | None = None


def measured_points(
    rgb: UInt8[np.ndarray, "height width 3"],
    depth_m: Float[np.ndarray, "height width"],
    K: Float[np.ndarray, "3 3"],
) -> tuple[Float[np.ndarray, "points 3"], UInt8[np.ndarray, "points 3"]]:
    """The pixels with known depth as coloured points, camera frame."""
    known = depth_m > 0
    depth, K_double = (torch.from_numpy(np.asarray(a, np.float64)) for a in (depth_m, K))
    return back_project(depth, K_double).numpy()[known].astype(np.float32), rgb[known]


class Viewer:
    """A running viser server that shows one frame at a time. Several threads may call it."""

    def __init__(self, host: str, port: int) -> None:
        """Raises UsageError when viser is not installed."""
        try:
            import viser  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise missing_extra("viewer", "viser", needed_by="the 3-D view") from None
        with contextlib.redirect_stdout(io.StringIO()):  # it would print an address that is not the page's
            self._server: Any = viser.ViserServer(host=host, port=port, verbose=False)
        self._client_files = Path(str(viser.__file__)).parent / "client" / "build"
        self._scene = self._server.scene
        self._scene.set_up_direction("-y")
        # viser 0.2.23's page fails without its logo or share button: they are hidden by the page around it
        self._server.gui.configure_theme(dark_mode=True)
        self._lock = threading.RLock()
        self._handles: dict[Layer, list[Any]] = {}
        self._posed: list[list[Any]] = []
        self._gizmo: Any = None
        self._glb: dict[int, tuple[Mesh, bytes]] = {}
        self._wires: dict[int, tuple[Mesh, Mesh]] = {}
        self._hidden: set[Layer] = set(HIDDEN_FIRST)
        self._view = np.array([0.0, 0.0, 1.0]), 1.0
        self._server.on_client_connect(lambda client: _look(client, *self._view))

    @property
    def port(self) -> int:
        """Where viser listens; the page's view fetches its data there."""
        return self._server.get_port()

    @property
    def client_files(self) -> Path:
        """The folder of viser's own page."""
        return self._client_files

    @property
    def filled_layers(self) -> set[Layer]:
        """Those that have something in the frame that is shown."""
        return {layer for layer, handles in self._handles.items() if handles}

    def stop(self) -> None:
        """End the server."""
        self._server.stop()

    def show(
        self,
        frame: ViewedFrame,
        look_at_m: Float[np.ndarray, "3"] | None = None,
        distance_m: float | None = None,
    ) -> None:
        """Show another frame; with `look_at_m` (camera frame) all views start anew, looking there.

        `distance_m` is how far from there they start (default: as far as the sensor).
        """
        with self._lock, self._server.atomic():
            self.remove_gizmo()
            for handle in (handle for shown in self._handles.values() for handle in shown):
                handle.remove()
            self._handles = {layer: [] for layer in LAYERS}
            self._posed = []
            points = self._scene.add_point_cloud(
                "/points", frame.points_cam_m, frame.points_rgb, point_size=POINT_SIZE_M
            )
            self._handles["points"].append(points)
            if frame.photo is not None and frame.K is not None:
                self._handles["photo"].append(self._add_photo(frame.photo, frame.K))
            for index, pose in enumerate(frame.poses):
                self._posed.append(self._add_pose(f"/poses/{index}", pose))
            self._show_layers()
        if look_at_m is not None:
            far_m = float(np.linalg.norm(look_at_m)) if distance_m is None else distance_m
            self._view = np.asarray(look_at_m, np.float64), far_m
            for client in self._server.get_clients().values():
                _look(client, *self._view)

    def move(self, index: int, T_cam_obj: Float[np.ndarray, "4 4"]) -> None:
        """Move one pose of the frame that is shown."""
        with self._lock, self._server.atomic():
            for handle in self._posed[index]:
                _place(handle, T_cam_obj)

    def hide(self, layers: set[Layer]) -> None:
        """Show all layers but these."""
        with self._lock:
            self._hidden = layers
            self._show_layers()

    def add_gizmo(
        self,
        T_cam_handle: Float[np.ndarray, "4 4"],
        size_m: float,
        on_move: Callable[[Float[np.ndarray, "4 4"]], object],
    ) -> None:
        """Arrows and rings to drag; `on_move` gets the new `T_cam_handle`."""
        with self._lock:
            self.remove_gizmo()
            gizmo = self._scene.add_transform_controls(
                "/gizmo", scale=size_m, depth_test=False, disable_sliders=True
            )
            _place(gizmo, T_cam_handle)
            gizmo.on_update(lambda event: on_move(_transform_of(event.target)))
            self._gizmo = gizmo

    def move_gizmo(self, T_cam_handle: Float[np.ndarray, "4 4"]) -> None:
        """Follow a pose that was moved otherwise."""
        with self._lock:
            if self._gizmo is not None:
                _place(self._gizmo, T_cam_handle)

    def remove_gizmo(self) -> None:
        """Take it away, if it is there."""
        with self._lock:
            if self._gizmo is not None:
                self._gizmo.remove()
                self._gizmo = None

    def _add_photo(self, photo: UInt8[np.ndarray, "height width 3"], K: Float[np.ndarray, "3 3"]) -> Any:
        height, width = photo.shape[:2]
        fov_rad = 2 * float(np.arctan(0.5 * height / K[1, 1]))
        return self._scene.add_camera_frustum(
            "/photo", fov_rad, width / height, scale=FRUSTUM_M, image=photo, color=(180, 180, 180)
        )

    def _add_pose(self, name: str, pose: ViewedPose) -> list[Any]:
        """Scene handles of a pose, which move together."""
        T, mesh = pose.T_cam_obj, pose.mesh
        if pose.kind != "estimate":
            rgb = TRUTH_RGB if pose.kind == "truth" else OTHER_RUN_RGB
            added: dict[Layer, Any] = {
                pose.kind: self._add_plain(f"{name}/wires", self._coarse(mesh), rgb, wireframe=True)
            }
        else:
            length_m = mesh.radius_m * AXIS_LENGTH_RATIO
            added = {
                "meshes": self._scene.add_glb(f"{name}/mesh", self._textured(mesh)),
                "statuses": self._add_plain(f"{name}/status", mesh, STATUS_RGB[pose.status], opacity=0.6),
                "axes": self._scene.add_frame(
                    f"{name}/axes", axes_length=length_m, axes_radius=0.03 * length_m
                ),
            }
            if pose.label:
                added["labels"] = self._scene.add_label(f"{name}/label", pose.label)
        for layer, handle in added.items():
            self._handles[layer].append(handle)
            _place(handle, T)
        return list(added.values())

    def _add_plain(self, name: str, mesh: Mesh, rgb: tuple[int, int, int], **style: Any) -> Any:
        return self._scene.add_mesh_simple(name, mesh.vertices_m, mesh.faces, color=rgb, **style)

    def _textured(self, mesh: Mesh) -> bytes:
        """The mesh as GLB, made once."""
        if id(mesh) not in self._glb:
            self._glb[id(mesh)] = mesh, to_glb(mesh)
        return self._glb[id(mesh)][1]

    def _coarse(self, mesh: Mesh) -> Mesh:
        """The mesh with few faces, made once: the wires of many would look solid."""
        if id(mesh) not in self._wires:
            self._wires[id(mesh)] = mesh, decimate(mesh, WIRE_FACES)
        return self._wires[id(mesh)][1]

    def _show_layers(self) -> None:
        for layer, handles in self._handles.items():
            for handle in handles:
                handle.visible = layer not in self._hidden


def to_glb(mesh: Mesh) -> bytes:
    """The mesh with its colours as a binary glTF file; textures are made smaller where a screen shows no more."""
    import trimesh
    from PIL import Image
    from trimesh.visual import ColorVisuals, TextureVisuals
    from trimesh.visual.material import PBRMaterial

    if mesh.texture is not None and mesh.corner_uv is not None:
        image = Image.fromarray(_at_most(mesh.texture, MOST_TEXELS))
        # JPEG: a tenth of a PNG to send
        image.format = "JPEG"
        material = PBRMaterial(baseColorTexture=image, metallicFactor=0.0, roughnessFactor=1.0)
        corners = np.arange(3 * len(mesh.faces)).reshape(-1, 3)
        shown = trimesh.Trimesh(mesh.triangles_m.reshape(-1, 3), corners, process=False)
        shown.visual = TextureVisuals(uv=mesh.corner_uv.reshape(-1, 2), material=material)
    else:
        shown = trimesh.Trimesh(mesh.vertices_m, mesh.faces, process=False)
        grey = np.full((len(mesh.vertices_m), 3), 150, np.uint8)
        shown.visual = ColorVisuals(shown, vertex_colors=grey if mesh.vertex_rgb is None else mesh.vertex_rgb)
    content = io.BytesIO()
    shown.export(content, file_type="glb")
    return content.getvalue()


def _at_most(texture: UInt8[np.ndarray, "rows columns 3"], side: int) -> UInt8[np.ndarray, "r c 3"]:
    rows, columns = texture.shape[:2]
    if (scale := side / max(rows, columns)) >= 1:
        return texture
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _place(handle: Any, T_cam_obj: Float[np.ndarray, "4 4"]) -> None:
    from scipy.spatial.transform import Rotation

    handle.wxyz = Rotation.from_matrix(T_cam_obj[:3, :3]).as_quat(scalar_first=True)
    handle.position = T_cam_obj[:3, 3]


def _transform_of(handle: Any) -> Float[np.ndarray, "4 4"]:
    from scipy.spatial.transform import Rotation

    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(np.asarray(handle.wxyz), scalar_first=True).as_matrix()
    T[:3, 3] = handle.position
    return T


def _look(client: Any, at_m: Float[np.ndarray, "3"], distance_m: float) -> None:
    """Start beside the line from the sensor and above it, looking at a point."""
    from scipy.spatial.transform import Rotation

    to_sensor = -at_m / max(float(np.linalg.norm(at_m)), 1e-6)
    aside = Rotation.from_euler("yx", [SIDE_RAD, -UP_RAD]).apply(to_sensor)
    client.camera.position, client.camera.look_at = at_m + distance_m * aside, at_m
