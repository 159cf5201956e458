"""A run on the real sample whose poses are the true ones, moved by a known amount."""

from pathlib import Path

import numpy as np

from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.runs.config import RunContext, new_config
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import finished_record
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import Certificate, LabeledPose, MaskQuality, PoseEstimate

SHIFT_M = {8: 0.005, 14: 0.03}
"""Translation error by object; others have none."""
STATUS = {8: "certified", 14: "rejected"}
MASK_QUALITY: dict[int, MaskQuality] = {8: "exact", 14: "box"}
SKIPPED_ID = 21


def make_run(root: Path, run: Path, scenes: tuple[int, ...] = (0,), limit: int | None = 2) -> Path:
    """Write the run as `annotate` would; object 21 is skipped everywhere."""
    selection = Selection(scenes=scenes, limit=limit)
    data = DataOptions(root, selection=selection)
    config = new_config("annotate", data.config(data.open()), {"method": "verified"}, RunContext(root, "cpu"))
    folder = RunFolder.open(run, config)
    frames: dict[FrameId, list] = {}
    for true in load_ground_truth(root, "test", selection):
        frames.setdefault(FrameId(true.key.scene_id, true.key.im_id), []).append(true)
    for frame_id, truths in frames.items():
        labels = [_label(true) for true in truths if true.key.obj_id != SKIPPED_ID]
        skipped = [
            PoseEstimate.none(t.key, "12 pixels with depth") for t in truths if t.key.obj_id == SKIPPED_ID
        ]
        folder.journal.append(finished_record(frame_id, labels, skipped, 0.5))
    folder.finalise(names={8: "009_gelatin_box"})
    return run


def _label(true) -> LabeledPose:
    obj_id = true.key.obj_id
    T_cam_obj = true.T_cam_obj.copy()
    T_cam_obj[0, 3] += SHIFT_M.get(obj_id, 0.0)
    status = STATUS.get(obj_id, "certified")
    confidence = 0.9 if status == "certified" else 0.2
    reason = "" if status == "certified" else "runner-up too close (margin 0.01)"
    certificate = Certificate(
        status,
        reason,
        confidence,
        0.1,
        0.001,
        0.9,
        0.0,
        np.nan,
        mask_quality=MASK_QUALITY.get(obj_id),
        risk=0.01,
        bound=0.009,
        calibration="c0ffee",
    )
    return LabeledPose(true.key, T_cam_obj, confidence, certificate=certificate, time_s=0.2)
