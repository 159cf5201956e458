"""Estimates in another convention than the true poses: what only a comparison with the truth can show."""

import warnings
from array import array
from pathlib import Path

import numpy as np
import roma
import torch

from selfpose6d.evaluation.instances import Estimates, Truths
from selfpose6d.evaluation.score import ScoredTargets
from selfpose6d.selection import spread_evenly

LOOKED_AT = 1_000
"""Estimates of those that are looked at together: a convention is that of a whole file."""
MIN_LOOKED_AT = 5
WRONG_DEG, RIGHT_DEG = 40.0, 10.0
"""Medians of the angle to the truth, as written and transposed: chance is about 126 degrees, poses of use below 10."""


class RotationCheck:
    """Angles between estimated and true rotations, as written and transposed, of poses that are looked at in turn."""

    def __init__(self) -> None:
        self._written_deg, self._transposed_deg = array("d"), array("d")

    def look_at(self, estimates: Estimates, scores: ScoredTargets, truths: Truths) -> None:
        """Look at some of these, evenly spread."""
        found = np.flatnonzero(~scores.missed & ~scores.symmetric)
        rows = np.array(spread_evenly(found.tolist(), LOOKED_AT), np.int64)
        R = torch.from_numpy(estimates.T_cam_obj[scores.estimate[rows], :3, :3])
        R_true = torch.from_numpy(truths.T_cam_obj[scores.truth[rows], :3, :3])
        for angles_deg, R_read in ((self._written_deg, R), (self._transposed_deg, R.mT)):
            angles_deg.extend(torch.rad2deg(roma.rotmat_geodesic_distance(R_read, R_true)).tolist())

    def warn(self, source: Path) -> None:
        """Warn where rotations agree with the truth only when they are transposed: written column by column, or as the
        camera's rotation in the model frame. The scores are those of what is written.
        """
        if len(self._written_deg) < MIN_LOOKED_AT:
            return
        written_deg, transposed_deg = np.median(self._written_deg), np.median(self._transposed_deg)
        if written_deg > WRONG_DEG and transposed_deg < RIGHT_DEG:
            warnings.warn(
                f"{source}: its rotations are {written_deg:.0f} degrees off the true ones, and {transposed_deg:.1f} "
                "when transposed (medians). Expected R row by row, model to camera. Write them so; they are scored as "
                "they are.",
                stacklevel=2,
            )
