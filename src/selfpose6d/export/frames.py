"""What a frame shows at its exported poses: images, silhouettes, visible parts, as BOP defines them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from selfpose6d.datasets.bop.entries import Silhouette, info_entry, placed_in_image, pose_entry, visible_part
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError
from selfpose6d.export.labels import FrameLabels, LeftOut
from selfpose6d.files import read_whole
from selfpose6d.geometry.camera import projected_box
from selfpose6d.image_files import to_png
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.units import METRES_PER_MM
from selfpose6d.recent import Recent
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.selection import FrameId
from selfpose6d.types import LabeledPose

KEPT_MESHES = 64
"""More than a data set's objects, mostly; a textured mesh takes some 10 MB."""
RGB_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Colour images that every tool reads; others are written as PNG."""
FINE_DEPTH_MM = 0.1
"""Depth unit of a depth image that is written anew: a tenth of a millimetre, as YCB-Video has it."""
COARSE_DEPTH_MM = 1.0
"""The same where a tenth of a millimetre does not reach as far as the image does: 6.5 m in 16 bits."""
MAX_UNITS = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class ImageFile:
    """An image to write: a file to copy or link, or its content."""

    suffix: str
    source: Path | None = None
    content: bytes = b""

    def read(self) -> bytes:
        """Its bytes."""
        return self.content if self.source is None else read_whole(self.source)


@dataclass(frozen=True)
class ExportedInstance:
    """A label with what its pose shows: `pose` and `info` as BOP's entries, the silhouette in the image and its visible
    part.
    """

    label: LabeledPose
    pose: dict[str, Any]
    info: dict[str, Any]
    mask: Bool[np.ndarray, "height width"]
    visible: Bool[np.ndarray, "height width"]


@dataclass(frozen=True)
class IgnoredInstance:
    """An instance without a label: its own mask where it has one."""

    left_out: LeftOut
    mask: Bool[np.ndarray, "height width"] | None


@dataclass(frozen=True)
class ExportedFrame:
    """Everything of a frame that an export writes; `depth_scale` in millimetres per unit of the depth image."""

    frame_id: FrameId
    rgb: ImageFile
    depth: ImageFile
    shape: tuple[int, int]
    K: Float[np.ndarray, "3 3"]
    depth_scale: float
    instances: tuple[ExportedInstance, ...]
    ignored: tuple[IgnoredInstance, ...]

    @property
    def camera(self) -> dict[str, Any]:
        """BOP's entry of `scene_camera.json`."""
        return {"cam_K": self.K.ravel().tolist(), "depth_scale": self.depth_scale}


@dataclass
class ExportedObjects:
    """The meshes, packed for the rasteriser when first asked for."""

    dataset: Dataset
    _packed: Recent[tuple[Mesh, PackedMeshes]] = field(default_factory=lambda: Recent(KEPT_MESHES))

    def get(self, obj_id: int) -> tuple[Mesh, PackedMeshes]:
        """One object. Raises what `Dataset.load_mesh` does."""

        def packed() -> tuple[Mesh, PackedMeshes]:
            mesh = self.dataset.load_mesh(obj_id)
            return mesh, pack_meshes([mesh])

        return self._packed.get(obj_id, packed)


def exported_frame(dataset: Dataset, objects: ExportedObjects, labels: FrameLabels) -> ExportedFrame:
    """Read a frame and render its exported poses.

    Instances that the data set lists and the run does not know are left out, too: the run was made of a selection.

    Raises:
        DataError: an image or the camera is missing or unreadable.
        MeshError: a mesh is unreadable.
    """
    frame = dataset.load_frame(labels.frame_id)
    shape = frame.rgb.shape[0], frame.rgb.shape[1]
    depth, depth_scale = _depth_file(dataset, labels.frame_id, frame.depth_m)
    instances = []
    for label in labels.accepted:
        whole, rendered_m = _rendered(*objects.get(label.key.obj_id), label.T_cam_obj, frame.K, shape)
        visible = visible_part(rendered_m, frame.depth_m, frame.K)
        info = info_entry(whole, visible, frame.depth_m)
        pose = pose_entry(label.T_cam_obj, label.key.obj_id)
        instances.append(ExportedInstance(label, pose, info, rendered_m > 0, visible))
    masks = {instance.key: instance.mask for instance in frame.instances}
    known = {label.key for label in labels.accepted} | {row.key for row in labels.left_out}
    unknown = (key for key in (*masks, *(pose.key for pose in frame.skipped)) if key not in known)
    left_out = (*labels.left_out, *(LeftOut(key, "not annotated by the run") for key in unknown))
    ignored = tuple(IgnoredInstance(row, masks.get(row.key)) for row in left_out)
    rgb = _rgb_file(dataset, labels.frame_id, frame.rgb)
    return ExportedFrame(labels.frame_id, rgb, depth, shape, frame.K, depth_scale, tuple(instances), ignored)


def object_categories(dataset: Dataset) -> Mapping[int, str]:
    """Name of every object by id; the id where nothing names it."""
    names = dataset.object_names()
    return {obj_id: names.get(obj_id, str(obj_id)) for obj_id in dataset.models.object_ids}


def _rendered(
    mesh: Mesh,
    packed: PackedMeshes,
    T_cam_obj: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    shape: tuple[int, int],
) -> tuple[Silhouette, Float[np.ndarray, "height width"]]:
    """The whole silhouette and the depth in the image, 0 off the object; BOP's canvas is the image with one as large on
    each of its sides.
    """
    height, width = shape
    left, top, columns, rows = projected_box(mesh.vertices_m, T_cam_obj, K)
    first = np.clip((left - 1, top - 1), (-width, -height), (2 * width - 1, 2 * height - 1))
    last = np.clip((left + columns, top + rows), (-width, -height), (2 * width - 1, 2 * height - 1))
    (left, top), (columns, rows) = first.tolist(), (last - first + 1).tolist()
    K_window = torch.from_numpy(K - np.array([[0, 0, left], [0, 0, top], [0, 0, 0]]))
    T = torch.from_numpy(np.asarray(T_cam_obj, np.float64))[None]
    depth_m = rasterize(PosedMeshes.of_one(packed, 0, T, K_window, (rows, columns))).depth_m[0].numpy()
    return Silhouette(left, top, depth_m > 0), placed_in_image(depth_m, left, top, shape)


def _rgb_file(dataset: Dataset, frame_id: FrameId, rgb: np.ndarray) -> ImageFile:
    path = dataset.rgb_path(frame_id)
    if (suffix := path.suffix.lower()) in RGB_SUFFIXES:
        return ImageFile(".jpg" if suffix == ".jpeg" else suffix, path)
    return ImageFile(".png", content=to_png(rgb))


def _depth_file(dataset: Dataset, frame_id: FrameId, depth_m: np.ndarray) -> tuple[ImageFile, float]:
    """The depth image as it is, where it is a PNG of 16 bits; else such a one of what was read."""
    source = dataset.depth_source(frame_id)
    if source is not None:
        path, metres_per_unit = source
        if _is_grey_png_of_16_bits(path):
            return ImageFile(".png", path), metres_per_unit / METRES_PER_MM
    farthest_mm = float(depth_m.max(initial=0.0)) / METRES_PER_MM
    scale = FINE_DEPTH_MM if farthest_mm <= FINE_DEPTH_MM * MAX_UNITS else COARSE_DEPTH_MM
    if farthest_mm > scale * MAX_UNITS:
        raise DataError(
            f"{dataset.rgb_path(frame_id)}: depth of {farthest_mm / 1e3:.0f} m does not fit 16 bits of millimetres. "
            "Set what is beyond the sensor's range to 0."
        )
    units = np.round(depth_m / METRES_PER_MM / scale).astype(np.uint16)
    return ImageFile(".png", content=to_png(units)), scale


def _is_grey_png_of_16_bits(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(26)
    return header[:8] == b"\x89PNG\r\n\x1a\n" and header[24:26] == bytes((16, 0))
