"""Labels made by hand."""

import numpy as np

from selfpose6d.types import Alternative, Certificate, InstanceKey, LabeledPose, Status


def translated(x: float, y: float, z: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def label(
    scene_id: int,
    im_id: int,
    obj_id: int,
    inst_id: int = 0,
    status: Status = "certified",
    split: str = "test",
) -> LabeledPose:
    winner, other = translated(0.1, 0.2, 0.5), translated(0, 0, 0.6)
    alternatives = (Alternative(winner, 0.6), Alternative(other, 0.4)) if status == "ambiguous" else ()
    certificate = Certificate(
        status,
        "why",
        0.75,
        float("nan"),
        0.002,
        0.9,
        0.01,
        0.8,
        inlier_ratio=0.95,
        noise_m=0.0015,
        score=2.5,
        mask_quality="rough",
        risk=0.01,
        bound=0.008,
        calibration="a1b2",
        alternatives=alternatives,
    )
    return LabeledPose(
        InstanceKey(split, scene_id, im_id, obj_id, inst_id),
        winner,
        0.75,
        certificate=certificate,
        time_s=0.3,
    )
