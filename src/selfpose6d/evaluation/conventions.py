"""Estimates in another convention than the true poses: what only a comparison with the truth can show."""

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float

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
    R = estimates.T_cam_obj[scores.estimate[rows], :3, :3]
    R_true = truths.T_cam_obj[scores.truth[rows], :3, :3]
    written_deg = np.median(_angles_deg(R, R_true))
    transposed_deg = np.median(_angles_deg(R.transpose(0, 2, 1), R_true))
    if written_deg > WRONG_DEG and transposed_deg < RIGHT_DEG:
        warnings.warn(
            f"{source}: its rotations are {written_deg:.0f} degrees off the true ones, and {transposed_deg:.1f} when "
            "transposed (medians). Expected R row by row, model to camera. Write them so; they are scored as they are.",
            stacklevel=2,
        )


def _angles_deg(R1: Float[np.ndarray, "n 3 3"], R2: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, " n"]:
    cosine = (np.einsum("nij,nij->n", R1, R2) - 1) / 2
    return np.rad2deg(np.arccos(cosine.clip(-1, 1)))
