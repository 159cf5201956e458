"""What the review page asks for: instances in their order, pictures, the 3-D view, corrected poses, verdicts."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError, UsageError
from selfpose6d.image_files import to_jpeg
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.recent import Recent
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.reporting.local_server import MEDIA_TYPES, Answer
from selfpose6d.reporting.pose_corrections import PoseCorrections, moved_by
from selfpose6d.reporting.review_queue import Order, ReviewFilter, ReviewQueue, kind_of, verdict_json
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.runs.review import Verdict
from selfpose6d.selection import FrameId
from selfpose6d.types import Frame, Instance, InstanceKey, LabeledPose, Status
from selfpose6d.viz.overlay import DrawnPose, draw_outline
from selfpose6d.viz.palette import MASK_RGB
from selfpose6d.viz.pose_crop import (
    PoseCrop,
    crop_about,
    draw_depth_difference,
    draw_outlines,
    draw_rendering,
)
from selfpose6d.viz.viewer import ViewedFrame, ViewedPose, Viewer, measured_points

PICTURE_PX = 720
TILE_PX = 300
FRAMES_KEPT, CROPS_KEPT, PICTURES_KEPT = 8, 32, 256
"""In memory: frames take some 5 MB, crops 3 MB, pictures 100 kB."""
CORRECTED = "corrected"
"""Names the corrected pose among an instance's poses; the others have their numbers, 0 the winner's."""
PictureKind = Literal["photo", "rendering", "outlines", "depth"]
VIEW_DISTANCE_RADII = 3.0
"""From where the 3-D view starts to look at an object: it fills about half of it."""
SURROUNDINGS_RADII = 4.0
"""How far around an object measured points are shown: what is farther away says nothing of its pose, and costs time."""


@dataclass(frozen=True)
class ReviewedInstance:
    """All that is known of one instance: the frame, its mask, its mesh and the poses it may have."""

    label: LabeledPose
    frame: Frame
    instance: Instance
    mesh: Mesh

    @property
    def poses(self) -> list[np.ndarray]:
        """The alternatives, the winner first; of an instance without any its pose."""
        return [other.T_cam_obj for other in self.label.certificate.alternatives] or [self.label.T_cam_obj]


class ReviewSession:
    """Answers the page. Several threads may call it."""

    viewer: Viewer
    """The 3-D view, set before the page asks for it."""

    def __init__(self, sources: RunSources, first: ReviewFilter) -> None:
        """`first`: the filter that the page starts with.

        Raises:
            UsageError: the run cannot be reviewed, or its data set cannot be opened.
            DataError: a file of the run is broken.
        """
        self.dataset: Dataset = sources.open_dataset()
        self.queue = ReviewQueue(sources.files, self.dataset.object_names())
        self.queue.select(first)
        self._first, self._run, self._files = first, sources.run, self.dataset.frame_names()
        self._corrections = PoseCorrections(self.dataset, sources.config)
        self._showing = threading.RLock()
        self._meshes: Recent[Mesh] = Recent(64)
        self._packed: Recent[PackedMeshes] = Recent(64)
        self._frames: Recent[Frame] = Recent(FRAMES_KEPT)
        self._crops: Recent[PoseCrop] = Recent(CROPS_KEPT)
        self._pictures: Recent[bytes] = Recent(PICTURES_KEPT)
        self._shown: tuple[int, bool] | None = None

    def start(self, _: Mapping[str, str]) -> Answer:
        """What the page needs once: the run's name, what can be filtered, and the filter to start with."""
        first, labels = self._first, self.queue.labels
        return Answer.of_json(
            {
                "run": self._run.name,
                "view_port": self.viewer.port,
                "statuses": list(get_args(Status)),
                "orders": list(get_args(Order)),
                "objects": sorted({self.queue.name(index) for index in range(len(labels))}),
                "filter": {
                    "status": list(first.statuses),
                    "object": list(first.objects),
                    "reason": first.reason,
                    "low": first.confidence[0],
                    "high": first.confidence[1],
                    "order": first.order,
                },
            }
        )

    def items(self, query: Mapping[str, str]) -> Answer:
        """Index and verdict of every instance that the filter keeps, in their order; lists are split by newlines."""
        wanted = filter_of(query)
        rows = [[index, verdict_json(self.queue.verdict(index))] for index in self.queue.select(wanted)]
        return Answer.of_json({"items": rows} | self._progress())

    def item(self, query: Mapping[str, str]) -> Answer:
        """What there is to say of one instance; reads no image."""
        index = self._index(query.get("index"))
        details: dict[str, Any] = self.queue.details(index) | {"correction": None}
        details["file"] = self._files.get(details["im_id"], "")
        if (correction := self._corrections.get(index)) is not None:
            details["correction"] = correction.to_json()
        return Answer.of_json(details)

    def trouble(self, query: Mapping[str, str]) -> Answer:
        """Why there is no picture of an instance; "" where there could be one."""
        try:
            self.instance(self._index(query.get("index")))
        except DataError as error:
            return Answer.of_json(str(error))
        return Answer.of_json("")

    def picture(self, query: Mapping[str, str]) -> Answer:
        """One picture of one pose of one instance."""
        index, pose, kind = self._index(query.get("index")), query.get("pose", "0"), query.get("kind")
        size_px = TILE_PX if query.get("size") == "tile" else PICTURE_PX
        correction = self._corrections.get(index) if pose == CORRECTED else None
        verdict = self.queue.verdict(index) if pose == CORRECTED else None
        key = (index, pose, kind, size_px, correction and correction.version, verdict and verdict.time)
        content = self._pictures.get(key, lambda: self._draw(index, pose, kind, size_px))
        return Answer(content, MEDIA_TYPES[".jpg"])

    def show(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Show an instance at one of its poses in 3-D; with `correcting` there is a gizmo to drag."""
        index, pose = self._index(request.get("index")), str(request.get("pose", "0"))
        correcting = bool(request.get("correcting"))
        one = self.instance(index)
        with self._showing:
            T_cam_obj = self._pose(index, pose)
            centre_m = T_cam_obj[:3, :3] @ one.mesh.centre_m + T_cam_obj[:3, 3]
            before, self._shown = self._shown, (index, correcting)
            if before is None or before[0] != index:
                distance_m = VIEW_DISTANCE_RADII * one.mesh.radius_m
                self.viewer.show(self._viewed(index, one, T_cam_obj), centre_m, distance_m)
            else:
                self.viewer.move(0, T_cam_obj)
            if not correcting:
                self.viewer.remove_gizmo()
            elif before != self._shown:
                size_m = 1.5 * one.mesh.radius_m
                self.viewer.add_gizmo(
                    moved_by(T_cam_obj, one.mesh.centre_m), size_m, lambda T: self._drag(index, T)
                )
            else:
                self.viewer.move_gizmo(moved_by(T_cam_obj, one.mesh.centre_m))
        return {}

    def decide(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a verdict."""
        index, kind = self._index(request.get("index")), kind_of(request.get("kind"))
        if kind == "alternative":
            number = _whole(request.get("alternative"), "alternative")
            verdict = Verdict("accept") if number == 0 else Verdict(kind, alternative=number)
            if number >= len(self.queue.labels[index].certificate.alternatives):
                raise UsageError(f"there is no alternative {number + 1}.")
        elif kind == "pose":
            verdict = Verdict(kind, T_cam_obj=self._pose(index, CORRECTED))
        else:
            verdict = Verdict(kind)
        written = self.queue.decide(index, verdict)
        return {"index": index, "verdict": verdict_json(written)} | self._progress()

    def undo(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Take the last verdict back; `index` is null where there is none."""
        index = self.queue.undo()
        verdict = None if index is None else verdict_json(self.queue.verdict(index))
        return {"index": index, "verdict": verdict} | self._progress()

    def correct(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Move or turn the corrected pose along and about the camera's axes; the first time it starts from `pose`."""
        index = self._index(request.get("index"))
        one, start = self.instance(index), self._pose(index, str(request.get("pose", "0")))
        move_m = _three(request.get("move_mm"), "move_mm") / 1e3
        rotate_rad = np.radians(_three(request.get("rotate_deg"), "rotate_deg"))
        return self._corrections.nudge(index, start, one.mesh.centre_m, move_m, rotate_rad).to_json()

    def corrected(self, query: Mapping[str, str]) -> Answer:
        """The correction as it is now: dragging in 3-D changes it too."""
        correction = self._corrections.get(self._index(query.get("index")))
        return Answer.of_json(None if correction is None else correction.to_json())

    def back(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take the last change of the corrected pose back."""
        correction = self._corrections.back(self._index(request.get("index")))
        return None if correction is None else correction.to_json()

    def forget(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Drop the correction."""
        self._corrections.forget(self._index(request.get("index")))
        return {}

    def refine(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Refine from the corrected pose (or `pose`, where there is none) and say what the evidence is worth."""
        index = self._index(request.get("index"))
        one = self.instance(index)
        correction = self._corrections.get(index)
        start = (
            self._pose(index, str(request.get("pose", "0"))) if correction is None else correction.T_cam_obj
        )
        found = self._corrections.refine(index, one.frame, one.instance, start)
        return found.to_json()

    def instance(self, index: int) -> ReviewedInstance:
        """An instance with its frame, mask and mesh.

        Raises:
            DataError: its frame cannot be read, or does not have it.
        """
        label = self.queue.labels[index]
        key = label.key
        frame_id = FrameId(key.scene_id, key.im_id)
        frame = self._frames.get(frame_id, lambda: self.dataset.load_frame(frame_id))
        found = next((one for one in frame.instances if one.key == key), None)
        if found is None:
            raise DataError(_why_missing(frame, key))
        return ReviewedInstance(label, frame, found, self._mesh(key.obj_id))

    def _mesh(self, obj_id: int) -> Mesh:
        return self._meshes.get(obj_id, lambda: self.dataset.load_mesh(obj_id))

    def _draw(self, index: int, pose: str, kind: str | None, size_px: int) -> bytes:
        one = self.instance(index)
        obj_id = one.label.key.obj_id
        meshes = self._packed.get(obj_id, lambda: pack_meshes([one.mesh]))
        shown = [DrawnPose(0, T_cam_obj) for T_cam_obj in one.poses]
        crop = self._crops.get(
            (index, size_px), lambda: crop_about(one.frame, one.instance.mask, meshes, shown, size_px)
        )
        drawn = DrawnPose(0, self._pose(index, pose), status=one.label.certificate.status)
        if kind == "photo":
            return to_jpeg(crop.rgb)
        draw = {"rendering": draw_rendering, "outlines": draw_outlines, "depth": draw_depth_difference}
        if kind not in draw:
            raise UsageError(f"no picture {kind!r}: expected {', '.join(get_args(PictureKind))}.")
        return to_jpeg(draw[kind](crop, meshes, drawn))

    def _viewed(self, index: int, one: ReviewedInstance, T_cam_obj: np.ndarray) -> ViewedFrame:
        frame = one.frame
        points_m, rgb = measured_points(frame.rgb, frame.depth_m, frame.K)
        centre_m = T_cam_obj[:3, :3] @ one.mesh.centre_m + T_cam_obj[:3, 3]
        near = np.linalg.norm(points_m - centre_m, axis=1) < SURROUNDINGS_RADII * one.mesh.radius_m
        photo = np.ascontiguousarray(frame.rgb).copy()
        draw_outline(photo, one.instance.mask, MASK_RGB, 1)
        pose = ViewedPose(one.mesh, T_cam_obj, "", one.label.certificate.status)
        return ViewedFrame(points_m[near], rgb[near], [pose], photo, frame.K)

    def _drag(self, index: int, T_cam_centre: Float[np.ndarray, "4 4"]) -> None:
        one = self.instance(index)
        T_cam_obj = moved_by(T_cam_centre, -one.mesh.centre_m)
        self._corrections.set(index, self._pose(index, "0"), T_cam_obj, dragged=True)
        with self._showing:
            if self._shown == (index, True):
                self.viewer.move(0, T_cam_obj)

    def _pose(self, index: int, pose: str) -> Float[np.ndarray, "4 4"]:
        """The pose that the page names: an alternative's number, or the corrected one."""
        if pose == CORRECTED:
            correction, verdict = self._corrections.get(index), self.queue.verdict(index)
            if correction is not None:
                return correction.T_cam_obj
            if verdict is None or verdict.T_cam_obj is None:
                raise UsageError("no pose was corrected. Move it first.")
            return verdict.T_cam_obj
        label = self.queue.labels[index]
        poses = [other.T_cam_obj for other in label.certificate.alternatives]
        number = _whole(pose, "pose")
        if number == 0:
            return label.T_cam_obj
        if number >= len(poses):
            raise UsageError(f"there is no alternative {number + 1}.")
        return poses[number]

    def _index(self, value: Any) -> int:
        index = _whole(value, "index")
        if index >= len(self.queue.labels):
            raise UsageError(f"no instance {index}: there are {len(self.queue.labels)}.")
        return index

    def _progress(self) -> dict[str, int]:
        return {"decided": self.queue.num_decided, "total": len(self.queue.labels)}


def filter_of(query: Mapping[str, str]) -> ReviewFilter:
    """The filter that a page's query says; several statuses or objects are split by newlines.

    Raises:
        UsageError: a value is none of its kind.
    """
    statuses = tuple(filter(None, query.get("status", "").split("\n")))
    order = query.get("order", "doubt")
    if unknown := [status for status in statuses if status not in get_args(Status)]:
        raise UsageError(f"no status {unknown[0]!r}: expected one of {', '.join(get_args(Status))}.")
    if order not in get_args(Order):
        raise UsageError(f"no order {order!r}: expected one of {', '.join(get_args(Order))}.")
    try:
        confidence = float(query.get("low") or 0.0), float(query.get("high") or 1.0)
    except ValueError:
        raise UsageError("the confidence range must be two numbers.") from None
    wanted = ReviewFilter(reason=query.get("reason", ""), confidence=confidence)
    objects = tuple(filter(None, query.get("object", "").split("\n")))
    return replace(wanted, statuses=statuses, objects=objects, order=order)  # pyright: ignore[reportArgumentType]


def _why_missing(frame: Frame, key: InstanceKey) -> str:
    reasons = [skipped.reason for skipped in frame.skipped if skipped.key == key]
    return reasons[0] if reasons else f"the data set has no instance {key.inst_id} in this image any more."


def _whole(value: Any, name: str) -> int:
    """A number from 0 that a page sent, as text or number."""
    text = str(value)
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{name} must be a whole number from 0, got {value!r}.")
    return int(text)


def _three(value: Any, name: str) -> Float[np.ndarray, "3"]:
    try:
        numbers = np.asarray([0, 0, 0] if value is None else value, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.zeros(0)
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise UsageError(f"{name} must be three numbers, got {value!r}.")
    return numbers
