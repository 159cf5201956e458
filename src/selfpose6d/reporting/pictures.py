"""The pictures of `report`: frames with their poses, and tiles of instances, encoded for the page."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.images import read_rgb
from selfpose6d.datasets.true_poses import iterate_ground_truth
from selfpose6d.errors import SelfPose6DError
from selfpose6d.evaluation.errors_file import MISSED
from selfpose6d.image_files import WEBP_QUALITY, to_webp
from selfpose6d.recent import Recent
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.reporting.instances import SKIPPED, Place, RunInstance
from selfpose6d.reporting.page import Picture
from selfpose6d.selection import FrameId, Selection
from selfpose6d.viz.contact_sheet import SheetEntry
from selfpose6d.viz.overlay import DrawnPose, draw_overlay, pose_label
from selfpose6d.viz.palette import STATUS_RGB
from selfpose6d.viz.tiles import crop_tile, outline_tile, rendering_tile

FRAME_WIDTH_PX = (640, 960)
"""Least and greatest of a frame's picture: labels stay legible, the page small."""
TILE_PX = 240
THUMBNAIL_PX, THUMBNAIL_QUALITY = 112, 68
KEPT_IMAGES = 4
"""Instances are drawn frame by frame."""
MM_PER_M = 1e3


@dataclass(frozen=True)
class RunRenderer:
    """What is needed to draw a run's instances: images, meshes, true poses."""

    dataset: Dataset
    meshes: PackedMeshes
    mesh_index: Mapping[int, int]
    T_true: Mapping[Place, np.ndarray]
    """True poses by key, where they are known and asked for."""
    images: Recent[tuple[np.ndarray, np.ndarray]] = field(default_factory=lambda: Recent(KEPT_IMAGES))
    """Those read last, with their camera matrices."""

    def pose(self, one: RunInstance, T_cam_obj: np.ndarray | None = None) -> DrawnPose:
        """The instance's pose (or another one of it) as it is drawn.

        Raises:
            ValueError: it has none.
        """
        T = one.T_cam_obj if T_cam_obj is None else T_cam_obj
        if T is None:
            raise ValueError(f"{one.place} has no pose")
        status = one.status if one.status in STATUS_RGB else ""
        label = pose_label(one.name, status, one.confidence)
        return DrawnPose(self.mesh_index[one.place.obj_id], T, label, status)

    def true_pose(self, one: RunInstance) -> np.ndarray | None:
        """The true pose that the instance was scored by, where it is known."""
        return None if one.true_place is None else self.T_true.get(one.true_place)

    def image(self, frame_id: FrameId) -> tuple[np.ndarray, np.ndarray]:
        """The photo and its camera matrix; the last ones stay in memory.

        Raises:
            DataError: missing or unreadable.
        """
        return self.images.get(
            frame_id, lambda: (self.dataset.read_rgb(frame_id), self.dataset.read_intrinsics(frame_id))
        )


def open_renderer(
    dataset: Dataset, instances: Iterable[RunInstance], outlined: Sequence[RunInstance]
) -> RunRenderer:
    """Load the meshes of the instances with a pose, and the true poses in the images of the outlined ones, if any.

    Raises:
        SelfPose6DError: a mesh is missing or broken.
    """
    obj_ids = sorted({one.place.obj_id for one in instances if one.T_cam_obj is not None})
    meshes = pack_meshes([dataset.load_mesh(obj_id) for obj_id in obj_ids])
    mesh_index = {obj_id: index for index, obj_id in enumerate(obj_ids)}
    scenes = tuple(sorted({one.place.scene_id for one in outlined}))
    frames = tuple(sorted({one.place.im_id for one in outlined}))
    T_true = {}
    with suppress(SelfPose6DError):
        here = Selection(scenes, frames, sensor=dataset.selection.sensor)
        poses = iterate_ground_truth(dataset.root, dataset.split, here) if outlined else ()
        T_true = {Place(*pose.key[1:]): pose.T_cam_obj for pose in poses}
    return RunRenderer(dataset, meshes, mesh_index, T_true)


def frame_picture(renderer: RunRenderer, frame_id: FrameId, instances: Iterable[RunInstance]) -> Picture:
    """A frame with all its poses drawn in.

    Raises:
        DataError: its image is missing or unreadable.
    """
    rgb, K = _scaled(*renderer.image(frame_id))
    poses = [renderer.pose(one) for one in instances if one.T_cam_obj is not None]
    return encoded(draw_overlay(rgb, K, renderer.meshes, poses))


def mask_picture(path: Path) -> Picture:
    """A picture that `find` drew of its masks.

    Raises:
        DataError: it is unreadable.
    """
    return encoded(read_rgb(path))


def instance_tiles(renderer: RunRenderer, one: RunInstance) -> list[Picture]:
    """Observed crop, rendering and outline at the pose, side by side. Raises what `frame_picture` does."""
    pose, T_true = renderer.pose(one), renderer.true_pose(one)
    crop, K_crop = _crop(renderer, one, [pose], T_true)
    outline = outline_tile(renderer.meshes, crop, K_crop, pose, T_true)
    return [
        encoded(crop, "photo"),
        encoded(rendering_tile(renderer.meshes, pose, K_crop, TILE_PX), "rendering"),
        encoded(outline, "outline"),
    ]


def alternative_tiles(renderer: RunRenderer, one: RunInstance, most: int) -> list[Picture]:
    """The photo, then the outline at each pose that the evidence allows, with its confidence."""
    alternatives = one.alternatives[:most]
    poses = [renderer.pose(one, other.T_cam_obj) for other in alternatives]
    crop, K_crop = _crop(renderer, one, poses, renderer.true_pose(one))
    tiles = [encoded(crop, "photo")]
    for index, (pose, other) in enumerate(zip(poses, alternatives, strict=True), start=1):
        image = outline_tile(renderer.meshes, crop, K_crop, pose, renderer.true_pose(one))
        tiles.append(encoded(image, f"pose {index}: {other.confidence:.2f}"))
    return tiles


def compared_tiles(renderer: RunRenderer, found: Mapping[str, RunInstance]) -> list[Picture]:
    """The photo, then the outline at each run's pose around one place; runs without a pose show the photo alone."""
    with_pose = [one for one in found.values() if one.T_cam_obj is not None]
    T_true = next((T for T in map(renderer.true_pose, with_pose) if T is not None), None)
    poses = {title: renderer.pose(one) for title, one in found.items() if one.T_cam_obj is not None}
    crop, K_crop = _crop(renderer, with_pose[0], list(poses.values()), T_true)
    tiles = [encoded(crop, "photo")]
    for title, one in found.items():
        image = crop
        if title in poses:
            image = outline_tile(renderer.meshes, crop, K_crop, poses[title], T_true)
        tiles.append(encoded(image, f"{title}: {outcome(one)}"))
    return tiles


def thumbnail(renderer: RunRenderer, one: RunInstance) -> Picture:
    """A small crop with the outline; the photo alone is not shown."""
    pose = renderer.pose(one)
    crop, K_crop = crop_tile(renderer.meshes, *renderer.image(_frame_of(one)), [pose], THUMBNAIL_PX)
    image = outline_tile(renderer.meshes, crop, K_crop, pose, axes=False)
    return encoded(image, quality=THUMBNAIL_QUALITY)


def sheet_entry(renderer: RunRenderer, one: RunInstance, lines: Sequence[str]) -> SheetEntry:
    """The instance in a contact sheet."""
    rgb, K = renderer.image(_frame_of(one))
    pose = renderer.pose(one)
    return SheetEntry(rgb, K, pose, (f"{pose.label}: {one.where}", *lines), renderer.true_pose(one))


def outcome(one: RunInstance) -> str:
    """What became of the instance, in a few words: status, confidence, distance from the truth."""
    words = [one.status]
    if one.status not in (SKIPPED, MISSED):
        words[0] = f"{one.status} {one.confidence:.2f}".strip()
        words += [f"review: {one.verdict}"] if one.verdict else []
    if np.isfinite(one.add_or_adds_m):
        words.append(f"ADD(-S) {MM_PER_M * one.add_or_adds_m:.1f} mm")
    return ", ".join(words)


def encoded(
    rgb: UInt8[np.ndarray, "height width 3"], caption: str = "", quality: int = WEBP_QUALITY
) -> Picture:
    """The image as the page has it."""
    height, width = rgb.shape[:2]
    return Picture(to_webp(rgb, quality), "image/webp", width, height, caption)


def _crop(
    renderer: RunRenderer, one: RunInstance, poses: Sequence[DrawnPose], T_true: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    true = [] if T_true is None else [DrawnPose(poses[0].mesh_index, T_true)]
    return crop_tile(renderer.meshes, *renderer.image(_frame_of(one)), [*poses, *true], TILE_PX)


def _frame_of(one: RunInstance) -> FrameId:
    return FrameId(one.place.scene_id, one.place.im_id)


def _scaled(
    rgb: UInt8[np.ndarray, "height width 3"], K: Float[np.ndarray, "3 3"]
) -> tuple[UInt8[np.ndarray, "rows columns 3"], Float[np.ndarray, "3 3"]]:
    """The image in a width that fits the page, with its camera matrix."""
    height, width = rgb.shape[:2]
    scale = float(np.clip(width, *FRAME_WIDTH_PX)) / width
    if scale == 1:
        return rgb, K
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (round(width * scale), round(height * scale))
    K_scaled = np.array(K, np.float64)
    K_scaled[:2] *= scale
    K_scaled[:2, 2] += (scale - 1) / 2
    return np.asarray(cv2.resize(rgb, size, interpolation=interpolation), np.uint8), K_scaled
