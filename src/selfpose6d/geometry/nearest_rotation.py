"""Rotations that others wrote down: what rounding left of them, and what is none."""

import numpy as np
from jaxtyping import Float

MAX_ROTATION_DEFECT = 0.02
"""Of `rotation_defect`. Entries rounded to two decimals are off by 0.017 at most; a matrix of zeros or a reflection is
off by 1 or more, a scale of 1.01 by 0.02."""
EXACT_DEFECT = 1e-6
"""Below, a matrix is a rotation as it is: single precision leaves no more. A micrometre at a metre."""


def rotation_defect(R: Float[np.ndarray, "3 3"]) -> float:
    """Largest entry of R R^T - I; a reflection counts as 2, numbers that are not finite as infinite."""
    if not np.isfinite(R).all():
        return float("inf")
    return 2.0 if np.linalg.det(R) < 0 else float(np.abs(R @ R.T - np.eye(3)).max())


def nearest_rotation(R: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation nearest to a matrix (Frobenius norm); the matrix itself where it is a rotation.

    Distances such as ADD-S take rotations for orthonormal: of others ADD-S may come out above ADD.

    Raises:
        ValueError: it is no rotation, by more than rounding to two decimals.

    Reference: Schönemann 1966, orthogonal Procrustes problem.
    """
    defect = rotation_defect(R)
    if not defect <= MAX_ROTATION_DEFECT:
        raise ValueError(f"R is no rotation (off by {defect:.2g})")
    if defect <= EXACT_DEFECT:
        return R
    U, _, Vt = np.linalg.svd(R)
    return U @ Vt
