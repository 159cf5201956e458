"""Corrections of an instance's modes by the comparison network: all at first, then those that could still win."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from selfpose6d.inference.options import NETWORK_STEPS
from selfpose6d.network.comparison import PoseComparison, corrected
from selfpose6d.network.evidence import Evidence
from selfpose6d.network.interface import RatedPoses

MAX_BEHIND = 0.5
"""Of the rating, the logarithm of one over the expected error: a pose expected to be off 1.6 times as much as its
instance's best is not corrected further. It cost 0.1 of 78.8 ADD(-S) (docs/results.md); a rule that also stopped poses
which a correction made worse by 0.15 cost 0.7."""
LEAST_ROTATION_RAD, LEAST_SHIFT = math.radians(0.3), 0.003
"""Nor one whose next correction rotates and shifts (diameters) by less: it moves the surface by a 300th of the
diameter, a thirtieth of the error below which a pose counts as right."""


class CorrectedModes(NamedTuple):
    """The different poses of each instance, the best first, and its best pose after each step."""

    poses: RatedPoses
    T_path: Float[Tensor, "instances steps 4 4"]


def corrected_modes(
    refiner: PoseComparison,
    evidence: Evidence,
    T_crop_obj: Float[Tensor, "instances modes 4 4"],
    steps: int,
    distinct: Callable[[RatedPoses], RatedPoses],
) -> CorrectedModes:
    """Each mode where it is rated best after 0 to `steps` corrections; a correction that is rated worse is not taken.

    `distinct` chooses the poses that are different, the best first. Beyond as many steps as the network was trained
    with only these go on, each while it could become the best.
    """
    looks = [refiner.compared(evidence, T_crop_obj)]
    for _ in range(min(steps, NETWORK_STEPS)):
        looks.append(refiner.compared(evidence, _corrected(evidence, looks[-1])))
    paths, poses = [_best_path(looks)], distinct(_best(looks))
    if steps > NETWORK_STEPS:
        looks = _looked_further(refiner, evidence, poses, steps - NETWORK_STEPS)
        paths.append(_best_path(looks)[:, 1:])
        poses = distinct(_best(looks))
    T_path = torch.cat(paths, 1)
    last = T_path[:, -1:].expand(-1, steps + 1 - T_path.shape[1], -1, -1)
    return CorrectedModes(poses, torch.cat([T_path, last], 1))


def _looked_further(
    refiner: PoseComparison, evidence: Evidence, poses: RatedPoses, steps: int
) -> list[RatedPoses]:
    """The poses and what became of them; what is not corrected further is ranked last from then on."""
    looks, best_score = [poses], poses.score.cpu().numpy().copy()
    rows, start = (
        np.arange(len(best_score)),
        np.broadcast_to(np.arange(best_score.shape[1]), best_score.shape),
    )
    part, latest = evidence, poses
    for _ in range(steps):
        is_open = _is_open(best_score[rows], start, latest)
        if not is_open.any():
            break
        if not is_open.all():
            keep, some = np.flatnonzero(is_open.any(1)), is_open.sum(1).max()
            first = np.argsort(~is_open[keep], axis=1, kind="stable")[:, :some]
            if len(keep) < len(rows):
                part = part.rows(_index(keep, poses))
            latest = latest.rows(_index(keep, poses)).starts(_index(first, poses))
            rows, start = rows[keep], np.take_along_axis(start[keep], first, 1)
            is_open = np.take_along_axis(is_open[keep], first, 1)
        latest = refiner.compared(part, _corrected(part, latest))
        # an instance with fewer open ones than others has closed ones beside them: not counted
        if not is_open.all():
            latest = latest._replace(score=latest.score.masked_fill(_index(~is_open, poses), -torch.inf))
        place = (rows[:, None], start)
        best_score[place] = np.maximum(best_score[place], latest.score.cpu().numpy())
        looks.append(_spread(latest, poses, rows, start))
    return looks


def _is_open(
    best_score: Float[np.ndarray, "rows starts"], start: Int[np.ndarray, "rows some"], latest: RatedPoses
) -> Bool[np.ndarray, "rows some"]:
    """Which poses could still become their instance's best."""
    assert latest.change is not None
    score, change = latest.score.cpu().numpy(), latest.change.cpu().numpy()
    own = np.take_along_axis(best_score, start, 1)
    near = own > best_score.max(1, keepdims=True) - MAX_BEHIND
    rotation_rad = 2 * np.arctan2(np.linalg.norm(change[..., 1:4], axis=-1), np.abs(1 + change[..., 0]))
    is_large = (rotation_rad > LEAST_ROTATION_RAD) | (np.linalg.norm(change[..., 4:], axis=-1) > LEAST_SHIFT)
    return near & np.isfinite(score) & is_large


def _index(values: Shaped[np.ndarray, "..."], like: RatedPoses) -> Shaped[Tensor, "..."]:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.T.device)


def _spread(
    latest: RatedPoses,
    like: RatedPoses,
    rows: Int[np.ndarray, " rows"],
    start: Int[np.ndarray, "rows some"],
) -> RatedPoses:
    """Of all starts of all instances, those that were not looked at ranked last."""
    if latest.score.shape == like.score.shape:
        return latest
    row, place = _index(rows[:, None], like), _index(start, like)
    score = torch.full_like(like.score, -torch.inf).index_put((row, place), latest.score)
    assert like.change is not None
    assert latest.change is not None
    T, change = like.T.index_put((row, place), latest.T), like.change.index_put((row, place), latest.change)
    return RatedPoses(T, score, like.right_logit.index_put((row, place), latest.right_logit), change)


def _best(looks: Sequence[RatedPoses]) -> RatedPoses:
    """Each start where it is ranked best; the earlier where two are ranked alike."""
    if len(looks) == 1:
        return looks[0]
    best = torch.stack([poses.score for poses in looks], 2).argmax(2)
    row, start = (
        torch.arange(len(best), device=best.device)[:, None],
        torch.arange(best.shape[1], device=best.device),
    )
    return RatedPoses(*(torch.stack(values, 2)[row, start, best] for values in zip(*looks, strict=True)))


def _best_path(looks: Sequence[RatedPoses]) -> Float[Tensor, "instances steps 4 4"]:
    """Each instance's best pose after each look."""
    row = torch.arange(len(looks[0].T), device=looks[0].T.device)[:, None]
    score, start = torch.stack([poses.score for poses in looks], 1).max(2)
    best = score.cummax(1).indices
    return torch.stack([poses.T for poses in looks], 1)[row, best, start.gather(1, best)]


def _corrected(evidence: Evidence, poses: RatedPoses) -> Float[Tensor, "instances starts 4 4"]:
    assert poses.change is not None
    return corrected(poses.T, poses.change, evidence.surfaces, evidence.inputs.object_index)
