"""The greedy loop of `hypotheses.distinct`, compiled."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def greedy_distinct(R, t, min_trace, max_squared_m2, most):  # pragma: no cover - compiled
    """Rows of flattened rotations `R` (n, 9) and positions `t` (n, 3) that differ from all kept before them."""
    kept = np.empty(min(most, len(R)), np.int64)
    count = 0
    for i in range(len(R)):
        if count == most:
            break
        different = True
        for k in range(count):
            j = kept[k]
            trace, squared = 0.0, 0.0
            for d in range(9):
                trace += R[i, d] * R[j, d]
            for d in range(3):
                squared += (t[i, d] - t[j, d]) ** 2
            if trace > min_trace and squared < max_squared_m2:
                different = False
                break
        if different:
            kept[count] = i
            count += 1
    return kept[:count]
