"""Which estimate is compared with which true pose, when an image shows several instances of one object.

By falling confidence, each estimate takes the free true pose of least ADD(-S). All annotated instances take
part, so that the estimate of one that is no target does not use up another's true pose.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.evaluation.instances import Estimates, Truths

UNMATCHED = -1


@dataclass(frozen=True)
class Pairs:
    """Row numbers of estimates and true poses that share image and object."""

    estimate: Int[np.ndarray, "pairs"]
    truth: Int[np.ndarray, "pairs"]

    def __len__(self) -> int:
        return len(self.estimate)


def candidate_pairs(estimates: Estimates, truths: Truths) -> Pairs:
    """Every estimate with every true pose of the same object in the same image."""
    truths_at = defaultdict(list)
    for row, key in enumerate(_keys(truths)):
        truths_at[key].append(row)
    pairs = [(row, truth) for row, key in enumerate(_keys(estimates)) for truth in truths_at.get(key, ())]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Pairs(table[:, 0], table[:, 1])


def assign(
    pairs: Pairs,
    distance_m: Float[np.ndarray, "pairs"],
    confidence: Float[np.ndarray, "estimates"],
    truth_count: int,
) -> Int[np.ndarray, "truths"]:
    """Row of the estimate that each true pose is compared with, `UNMATCHED` where it has none.

    `distance_m` is the ADD(-S) of each pair; equal confidences go by the order of the rows.
    """
    order = np.lexsort((distance_m, pairs.estimate, -confidence[pairs.estimate]))
    estimate_of = np.full(truth_count, UNMATCHED)
    served = set()
    for estimate, truth in zip(pairs.estimate[order].tolist(), pairs.truth[order].tolist(), strict=True):
        if estimate not in served and estimate_of[truth] == UNMATCHED:
            estimate_of[truth] = estimate
            served.add(estimate)
    return estimate_of


def _keys(rows: Estimates | Truths) -> list[tuple[int, int, int]]:
    return list(zip(rows.scene_id.tolist(), rows.im_id.tolist(), rows.obj_id.tolist(), strict=True))
