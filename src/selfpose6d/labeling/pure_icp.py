"""The paper's PureICP baseline: one random start, 50 iterations, nothing verified."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotation
from selfpose6d.labeling.certificate import CertifiedPose
from selfpose6d.labeling.hypotheses import align
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import Direction, ResolverOptions
from selfpose6d.types import Certificate

ITERATIONS = 50
"""The paper's PureICP baseline has as many."""


def pure_icp(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    direction: Direction,
    generator: np.random.Generator,
) -> CertifiedPose:
    """Pose from one random rotation on the cloud's centroid; confidence is the inlier ratio, never certified.

    Reference: paper IV-C, PureICP.
    """
    R = random_rotation(generator)[None].to(cloud_cam_m)
    start = make_transform(R, cloud_cam_m.mean(0) - R @ model.centre_m)
    result = align(model, cloud_cam_m, start, ResolverOptions(iterations=ITERATIONS, direction=direction))
    certificate = Certificate.not_verified(
        "not verified: --method icp", float(result.inlier_ratio[0]), float(result.rms_m[0])
    )
    return CertifiedPose(result.T_cam_obj[0], certificate)
