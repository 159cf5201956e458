"""Area under the accuracy-threshold curve, the exact value and the YCB_Video_toolbox's.

A distance of inf is a missing estimate: it fails at every threshold and counts in the number of instances.
"""

import numpy as np
from jaxtyping import Float

MAX_DISTANCE_M = 0.1
CORRECT_BELOW_M = 0.02
"""YCB-Video's: the curve ends at 10 cm, and a gripper tolerates 2 cm (PoseCNN, Xiang et al. 2018; DenseFusion 2019)."""
CORRECT_BELOW_DIAMETERS = 0.1
"""LINEMOD's: a tenth of the diameter is close enough, whatever the object's size (Hinterstoisser et al. 2012)."""


def auc_exact(distances_m: Float[np.ndarray, " instances"], max_distance_m: float = MAX_DISTANCE_M) -> float:
    """Area under the fraction of instances below a threshold, over thresholds from 0 to `max_distance_m`.

    0-100; NaN without instances. The mean capped distance says the same: 100 (1 - mean(min(d, max)) / max).
    """
    if not len(distances_m):
        return float("nan")
    return 100.0 * float(np.maximum(1.0 - distances_m / max_distance_m, 0.0).mean())


def auc_toolbox(
    distances_m: Float[np.ndarray, " instances"], max_distance_m: float = MAX_DISTANCE_M
) -> float:
    """The area as YCB_Video_toolbox (VOCap) sums it, 0-100; NaN without instances.

    Its steps take the fraction at their right end, so few instances get too high a value (+3.9 at 10, +0.1 at
    1000).
    """
    count = len(distances_m)
    if not count:
        return float("nan")
    hits_m = np.sort(distances_m[distances_m <= max_distance_m])
    if not len(hits_m):
        return 0.0
    found = np.arange(1, len(hits_m) + 1) / count
    widths_m = np.diff(np.concatenate([[0.0], hits_m, [max_distance_m]]))
    return 100.0 * float(widths_m @ np.append(found, found[-1])) / max_distance_m


def fraction_below(
    distances_m: Float[np.ndarray, " instances"],
    threshold_m: float | Float[np.ndarray, " instances"] = CORRECT_BELOW_M,
) -> float:
    """Fraction of instances closer than `threshold_m` (one for all, or each its own), 0-1; NaN without instances."""
    return float(np.mean(distances_m < threshold_m)) if len(distances_m) else float("nan")


def accuracy_curve(
    distances_m: Float[np.ndarray, " instances"], thresholds_m: Float[np.ndarray, " thresholds"]
) -> Float[np.ndarray, " thresholds"]:
    """Fraction of instances at or below each threshold, 0-1; NaN without instances."""
    if not len(distances_m):
        return np.full(len(thresholds_m), np.nan)
    return np.searchsorted(np.sort(distances_m), thresholds_m, side="right") / len(distances_m)
