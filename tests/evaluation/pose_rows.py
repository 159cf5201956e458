"""Small tables of estimates and true poses, one tuple a row."""

from collections.abc import Sequence

import numpy as np

from selfpose6d.evaluation.instances import UNKNOWN, Claim, Estimates, Truths


def pose(x_m: float = 0.0, z_m: float = 1.0) -> np.ndarray:
    T_cam_obj = np.eye(4)
    T_cam_obj[:3, 3] = (x_m, 0, z_m)
    return T_cam_obj


def make_estimates(
    rows: Sequence[tuple], qualities: Sequence[str] = (), claim: Claim | None = None
) -> Estimates:
    """Rows (scene, image, object, confidence, x in metres, status); the mask quality of each, one claim for all."""
    scene, image, obj, confidence, x_m, status = zip(*rows, strict=True) if rows else ([],) * 6
    return Estimates(
        np.arange(len(rows)),
        np.array(scene, int),
        np.array(image, int),
        np.array(obj, int),
        np.full(len(rows), UNKNOWN),
        np.array(confidence, float),
        np.array([pose(x) for x in x_m]).reshape(-1, 4, 4),
        np.array(status, dtype=object),
        np.full(len(rows), "", dtype=object),
        np.array(qualities or [""] * len(rows), dtype=object),
        claims_of(claim, len(rows)),
        np.full(len(rows), "", dtype=object),
    )


def claims_of(claim: Claim | None, count: int) -> np.ndarray:
    """The same for every row; an array of objects, not of numbers."""
    claims = np.full(count, None, dtype=object)
    for row in range(count):
        claims[row] = claim
    return claims


def make_truths(rows: Sequence[tuple], kinds: Sequence[str] = ()) -> Truths:
    """Rows (scene, image, object, x in metres, counts), and the mask kind of each."""
    scene, image, obj, x_m, counts = zip(*rows, strict=True) if rows else ([],) * 5
    return Truths(
        np.array(scene, int),
        np.array(image, int),
        np.array(obj, int),
        np.arange(len(rows)),
        np.array([pose(x) for x in x_m]).reshape(-1, 4, 4),
        np.array(counts, bool),
        np.full(len(rows), np.nan),
        np.array(kinds or [""] * len(rows), dtype=object),
    )
