"""What `annotate` shows when it is done: overlays, and a summary of statuses and reasons."""

import re
from collections import Counter
from pathlib import Path

import numpy as np

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.reporting.console import warn
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.predictions import read_skipped
from selfpose6d.selection import FrameId
from selfpose6d.types import LabeledPose
from selfpose6d.viz.image_files import write_png
from selfpose6d.viz.overlay import DrawnPose, draw_overlay


def draw_overlays(run: Path, dataset: Dataset, count: int) -> None:
    """Draw `count` labelled frames, spread evenly, into `RUN/overlays/`."""
    frame_ids = dataset.frame_ids()
    chosen = np.unique(np.linspace(0, len(frame_ids) - 1, min(count, len(frame_ids))).astype(int)).tolist()
    wanted = {frame_ids[i] for i in chosen} if count > 0 else set()
    labels: dict[FrameId, list[LabeledPose]] = {}
    for label in read_certificates(run / "certificates.jsonl"):
        frame_id = FrameId(label.key.scene_id, label.key.im_id)
        if frame_id in wanted:
            labels.setdefault(frame_id, []).append(label)
    obj_ids = sorted({label.key.obj_id for group in labels.values() for label in group})
    if not obj_ids:
        return
    meshes = pack_meshes([dataset.load_mesh(obj_id) for obj_id in obj_ids])
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
                f"{label.key.obj_id} {label.certificate.status} {label.confidence:.2f}",
                label.certificate.status,
            )
            for label in group
        ]
        path = run / "overlays" / f"{frame_id.scene_id:06d}_{frame_id.im_id:06d}.png"
        write_png(path, draw_overlay(frame.rgb, frame.K, meshes, poses))


def print_summary(run: Path) -> None:
    """Statuses and the most frequent reasons, and where the files are."""
    statuses, reasons, times_s = Counter[str](), Counter[str](), []
    for label in read_certificates(run / "certificates.jsonl"):
        statuses[label.certificate.status] += 1
        times_s.append(label.time_s)
        if label.certificate.reason:
            reasons[_kind(label.certificate.reason)] += 1
    skipped = [instance.reason for instance in read_skipped(run / "skipped.jsonl")]
    reasons.update(_kind(reason) for reason in skipped)
    total = sum(statuses.values()) + len(skipped)
    parts = [f"{statuses[status]} {status}" for status in ("certified", "ambiguous", "rejected")]
    print(f"{total} instances: {', '.join(parts)}, {len(skipped)} skipped")
    for reason, number in reasons.most_common(6):
        print(f"  {number:5d}  {reason}")
    if times_s:
        print(f"median {1e3 * float(np.median(times_s)):.0f} ms an instance")
    print(f"written: {run}/predictions.csv certificates.jsonl skipped.jsonl annotations/ overlays/")


def _kind(reason: str) -> str:
    """A reason without its numbers, so that alike ones are counted together."""
    return re.sub(r"\d+(\.\d+)?", "#", reason.split(":")[0])
