"""Frames with the masks of what was found in them, as files."""

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.object_label import object_label
from selfpose6d.errors import DataError
from selfpose6d.image_files import write_png
from selfpose6d.reporting.console import warn
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.selection import FrameId, spread_evenly
from selfpose6d.types import InstanceKey, Status
from selfpose6d.viz.masks import DrawnBox, DrawnMask, draw_masks


def draw_found(run: RunFiles, dataset: Dataset, count: int) -> None:
    """Draw `count` frames, spread evenly, into `RUN/masks/`: found masks, and boxes of what was turned away."""
    wanted = spread_evenly(dataset.frame_ids(), count)
    if not wanted:
        return
    names, masks = dataset.object_names(), DetectionMasks(run.detections)
    wanted_set = set(wanted)
    status: dict[InstanceKey, Status] = {}
    for label in read_certificates(run.certificates):
        if FrameId(label.key.scene_id, label.key.im_id) in wanted_set:
            status[label.key] = label.certificate.status
    boxes: dict[FrameId, list[DrawnBox]] = {}
    for _, row in read_lines(run.turned_away):
        frame_id = FrameId(row["scene_id"], row["im_id"])
        if frame_id in wanted_set:
            boxes.setdefault(frame_id, []).append(
                DrawnBox(tuple(row["bbox"]), object_label(row["obj_id"], names))
            )
    for frame_id in wanted:
        try:
            rgb = dataset.read_rgb(frame_id)
        except DataError as error:
            warn(f"no picture of masks: {error}")
            continue
        drawn = []
        for entry in masks.entries(frame_id):
            key = InstanceKey(dataset.split, *frame_id, *entry)
            label, mask = object_label(entry.obj_id, names), masks.load(frame_id, entry, rgb.shape[:2])
            drawn.append(DrawnMask(mask, label, status[key]))
        path = run.masks / f"{frame_id.scene_id:06d}_{frame_id.im_id:06d}.png"
        write_png(path, draw_masks(rgb, drawn, boxes.get(frame_id, [])))
