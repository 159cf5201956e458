"""An `annotate` run without annotating."""

from pathlib import Path

import numpy as np

from runs.written import write_certificates
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.runs.config import RunContext, new_config
from selfpose6d.runs.folder import RunFolder
from selfpose6d.types import Certificate, LabeledPose


def write_label_run(dataset, out: Path, rejected_frames: tuple[int, ...] = (8,)) -> Path:
    """True poses with confidence 0.5; those of `rejected_frames` are rejected, with a pose far off."""
    data = DataOptions(dataset.root, dataset.split).config(dataset)
    RunFolder.open(out, new_config("annotate", data, {}, RunContext(dataset.root, "cpu")))
    labels = []
    for pose in load_ground_truth(dataset.root, dataset.split):
        rejected = pose.key.im_id in rejected_frames
        T = np.eye(4) if rejected else pose.T_cam_obj
        status = "rejected" if rejected else "certified"
        certificate = Certificate(status, "", 0.5, 0.1, 0.001, 1.0, 0.0, 0.5)
        labels.append(LabeledPose(pose.key, T, 0.5, certificate=certificate))
    write_certificates(out / "certificates.jsonl", labels)
    return out
