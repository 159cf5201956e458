"""Frames with the poses of a run drawn in, as files."""

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.object_label import object_label
from selfpose6d.errors import DataError
from selfpose6d.image_files import write_png
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.reporting.console import warn
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.selection import FrameId, spread_evenly
from selfpose6d.types import LabeledPose
from selfpose6d.viz.overlay import DrawnPose, draw_overlay, pose_label


def draw_overlays(run: RunFiles, dataset: Dataset, count: int) -> None:
    """Draw `count` labelled frames, spread evenly, into `RUN/overlays/`."""
    wanted = set(spread_evenly(dataset.frame_ids(), count))
    labels: dict[FrameId, list[LabeledPose]] = {}
    for label in read_certificates(run.certificates):
        frame_id = FrameId(label.key.scene_id, label.key.im_id)
        if frame_id in wanted:
            labels.setdefault(frame_id, []).append(label)
    obj_ids = sorted({label.key.obj_id for group in labels.values() for label in group})
    if not obj_ids:
        return
    meshes, names = pack_meshes([dataset.load_mesh(obj_id) for obj_id in obj_ids]), dataset.object_names()
    for frame_id, group in labels.items():
        try:
            frame = dataset.load_frame(frame_id)
        except DataError as error:
            warn(f"no overlay: {error}")
            continue
        poses = [
            DrawnPose(
                obj_ids.index(label.key.obj_id),
                label.T_cam_obj,
                pose_label(object_label(label.key.obj_id, names), label.certificate.status, label.confidence),
                label.certificate.status,
            )
            for label in group
        ]
        path = run.overlays / f"{frame_id.scene_id:06d}_{frame_id.im_id:06d}.png"
        write_png(path, draw_overlay(frame.rgb, frame.K, meshes, poses))
