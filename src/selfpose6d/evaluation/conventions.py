"""Estimates in another convention than the true poses: what only a comparison with the truth can show."""

import warnings
from pathlib import Path

import numpy as np
import roma
import torch

from selfpose6d.evaluation.instances import Estimates, Truths
from selfpose6d.evaluation.score import ScoredTargets
from selfpose6d.selection import spread_evenly

LOOKED_AT = 1_000
"""Estimates, spread evenly: a convention is that of a whole file."""
MIN_LOOKED_AT = 5
WRONG_DEG, RIGHT_DEG = 40.0, 10.0
"""Medians of the angle to the truth, as written and transposed: chance is about 126 degrees, poses of use below 10."""


def warn_of_transposed_rotations(
    source: Path, estimates: Estimates, scores: ScoredTargets, truths: Truths
) -> None:
    """Warn where rotations agree with the truth only when they are transposed: written column by column, or as the
    camera's rotation in the model frame. The scores are those of what is written.
    """
    found = np.flatnonzero(~scores.missed & ~scores.symmetric)
    rows = np.array(spread_evenly(found.tolist(), LOOKED_AT), np.int64)
    if len(rows) < MIN_LOOKED_AT:
        return
    R = torch.from_numpy(estimates.T_cam_obj[scores.estimate[rows], :3, :3])
    R_true = torch.from_numpy(truths.T_cam_obj[scores.truth[rows], :3, :3])
    written_deg = np.median(torch.rad2deg(roma.rotmat_geodesic_distance(R, R_true)).numpy())
    transposed_deg = np.median(torch.rad2deg(roma.rotmat_geodesic_distance(R.mT, R_true)).numpy())
    if written_deg > WRONG_DEG and transposed_deg < RIGHT_DEG:
        warnings.warn(
            f"{source}: its rotations are {written_deg:.0f} degrees off the true ones, and {transposed_deg:.1f} when "
            "transposed (medians). Expected R row by row, model to camera. Write them so; they are scored as they are.",
            stacklevel=2,
        )
