"""A true pose, as a type: no module that imports this one can read any."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from selfpose6d.types import InstanceKey

Targets = Literal["all", "bop19"]
"""Which instances count: all with a visible mask, or those of `test_targets_bop19.json`."""


@dataclass(frozen=True)
class GroundTruthPose:
    """The true pose of one annotated instance; `counts` marks those that enter the scores."""

    key: InstanceKey
    T_cam_obj: Float[np.ndarray, "4 4"]
    counts: bool = True
