"""A finished `annotate` run whose poses are the true ones, with statuses as the test wants them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.runs.config import RunContext, new_config
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import finished_record
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import Alternative, Certificate, InstanceKey, LabeledPose, PoseEstimate


def make_labelled_run(
    root: Path,
    run: Path,
    status_of: Callable[[InstanceKey], str] = lambda key: "certified",
    split: str = "test",
    selection: Selection = Selection(),  # noqa: B008 - frozen
) -> Path:
    """`status_of` gives a certificate's status, or `skipped`."""
    data = DataOptions(root, split=split, selection=selection)
    config = new_config("annotate", data.config(data.open()), {"method": "verified"}, RunContext(root, "cpu"))
    folder = RunFolder.open(run, config)
    frames: dict[FrameId, list] = {}
    for true in load_ground_truth(root, split, selection):
        frames.setdefault(FrameId(true.key.scene_id, true.key.im_id), []).append(true)
    for frame_id, truths in frames.items():
        labels, skipped = [], []
        for true in truths:
            status = status_of(true.key)
            if status == "skipped":
                skipped.append(PoseEstimate.none(true.key, "12 pixels with depth"))
            else:
                labels.append(_label(true, status))
        folder.journal.append(finished_record(frame_id, labels, skipped, 0.5))
    folder.finalise()
    return run


def turned(T_cam_obj: np.ndarray) -> np.ndarray:
    """Half a turn about the object's z axis."""
    return T_cam_obj @ np.diag([-1.0, -1.0, 1.0, 1.0])


def _label(true, status) -> LabeledPose:
    alternatives = ()
    if status == "ambiguous":
        alternatives = (Alternative(true.T_cam_obj, 0.6), Alternative(turned(true.T_cam_obj), 0.4))
    reason = "" if status == "certified" else "another pose fits about as well"
    certificate = Certificate(status, reason, 0.9, 0.1, 0.001, 0.9, 0.0, np.nan, alternatives=alternatives)
    return LabeledPose(true.key, true.T_cam_obj, 0.9, certificate=certificate)
