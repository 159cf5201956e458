"""Poses from fragments: rigid fits to three places drawn by their probability, rated by all pixels, the best refitted.

Pixels may be of something else, and each may lie on any of several fragments: a pose is what many of them agree on.

Reference: Fischler & Bolles, Random sample consensus, 1981; Brachmann et al., 2014 (drawn from a forest's classes);
Hodan et al., EPOS, 2020 (many fragments for a pixel).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, kernel_array, runs_numba
from selfpose6d.geometry.rigid_fit import Rotation, best_rotation, rigid_fit
from selfpose6d.geometry.se3 import inverse, make_transform, transform_point, transform_points
from selfpose6d.network.fragment_poses_numba import (
    FAR,
    LEAST_AREA,
    LEAST_PROBABILITY,
    LEAST_SHARE,
    TOLD,
    find_poses,
    score_poses,
)
from selfpose6d.network.interface import Fragments

FIT_ERROR = 0.05
"""Diameters at which a place supports a pose e times less."""


class Effort(NamedTuple):
    """How many hypotheses are drawn, of how many the best are fitted again, how often; which share of the best one's
    support is least; and how often those that are kept are fitted: after three times a pose is still on its way.
    """

    hypotheses: int
    fitted: int
    rounds: int
    least_share: float
    last_rounds: int


AT_WORK = Effort(hypotheses=96, fitted=16, rounds=3, least_share=0.2, last_rounds=9)
"""Chosen on a development set (docs/results.md): what has less than a fifth of the best one's support changed no
score, with a third it cost 0.1 ADD(-S)."""
IN_TRAINING = Effort(hypotheses=24, fitted=8, rounds=2, least_share=0.0, last_rounds=0)
"""There the poses only choose among targets that look alike, and begin two of the refinements."""
APART_COS, MET_COS = math.cos(math.radians(20)), math.cos(math.radians(5))
"""Of the angles by which poses differ at least: the comparison network would bring nearer ones together; and those that
met in the last fits are one."""


class Witnesses(NamedTuple):
    """Measured points (diameters), and of each pixel the likeliest fragments and its places on them: what says how
    much a pose agrees with the estimator's reading of the crop.
    """

    points: Float[Tensor, "batch points 3"]
    likely: Float[Tensor, "batch points told"]
    places: Float[Tensor, "batch points told 3"]

    @classmethod
    def of(cls, found: Fragments, points: Float[Tensor, "batch points 3"]) -> "Witnesses":
        """Of fragments and the points that they were told for."""
        probability = found.logit.softmax(-1)[..., :-1]
        likely, which = probability.topk(min(TOLD, probability.shape[-1]), -1)
        row = torch.arange(points.shape[0], device=points.device)[:, None, None]
        offset = found.offset.gather(2, which[..., None].expand(-1, -1, -1, 3))
        return cls(points, likely, found.centre[row, which] + offset)

    def rows(self, index: Int[Tensor, " some"]) -> "Witnesses":
        """Of some of the instances, in this order."""
        return Witnesses(*(value[index] for value in self))

    def share(
        self, T: Float[Tensor, "batch poses 4 4"], backend: Backend = "auto"
    ) -> Float[Tensor, "batch poses"]:
        """Of all pixels that of those, in sum, that support each of these poses (as those of `fragment_poses`)."""
        count = self.points.shape[1]
        if runs_numba(backend, T.device, T.dtype == torch.float32 and not T.requires_grad):
            support = torch.empty(T.shape[:2])
            arrays = map(kernel_array, (T, *self))
            score_poses(*[*arrays, FIT_ERROR, support.numpy()])
            return support / count
        return self.support(T) / count

    def support(self, T: Float[Tensor, "batch poses 4 4"]) -> Float[Tensor, "batch poses"]:
        """The sum over all pixels and places."""
        return self.each(T).sum((-2, -1))

    def each(self, T: Float[Tensor, "batch poses 4 4"]) -> Float[Tensor, "batch poses points told"]:
        """How much each pixel's likeliest places agree with where each pose puts it."""
        at = transform_points(inverse(T), self.points[:, None].expand(-1, T.shape[1], -1, -1))
        squared = (at[..., None, :] - self.places[:, None]).square().sum(-1) / FIT_ERROR**2
        return torch.where(squared < FAR, self.likely[:, None] * (-squared).exp(), 0.0)


def about_centre(
    T_crop_obj: Float[Tensor, "batch poses 4 4"],
    centre_m: Float[Tensor, "batch 3"],
    diameter_m: Float[Tensor, " batch"],
) -> Float[Tensor, "batch poses 4 4"]:
    """Poses in metres as those of `fragment_poses`: from the object about its centre, in diameters."""
    centre = transform_point(T_crop_obj, centre_m[:, None]) / diameter_m[:, None, None]
    return make_transform(T_crop_obj[..., :3, :3], centre)


def drawn_numbers(hypotheses: int = AT_WORK.hypotheses) -> Float[Tensor, "hypotheses 3 2"]:
    """For every hypothesis three times a number for the pixel and one for its fragment, 0-1: always the same ones, so
    that the same crop has the same poses.
    """
    return torch.rand(hypotheses, 3, 2, generator=torch.Generator().manual_seed(0))


def fragment_poses(
    found: Fragments,
    points: Float[Tensor, "batch points 3"],
    drawn: Float[Tensor, "numbers 3 2"],
    poses: int,
    effort: Effort = AT_WORK,
    rotation: Rotation = best_rotation,
    backend: Backend = "auto",
) -> Float[Tensor, "batch poses 4 4"]:
    """Rigid motions from the object (about its centre) to the points, both in diameters; the best supported first.

    `drawn` chooses pixels and fragments. The compiled back end is without gradient and knows `best_rotation` alone.
    """
    drawn = drawn[: effort.hypotheses]
    # a network that is not finite is reported by the check of the loss, which comes later
    found = found._replace(logit=found.logit.nan_to_num(0.0, 0.0, 0.0))
    has_kernel = rotation is best_rotation and not found.logit.requires_grad and points.dtype == torch.float32
    if runs_numba(backend, points.device, has_kernel):
        T = torch.empty(len(points), poses, 4, 4)
        given = (found.logit.softmax(-1)[..., :-1], found.offset, found.centre, points, drawn)
        find_poses(*[*map(kernel_array, given), FIT_ERROR, effort, APART_COS, MET_COS, T.numpy()])
        return torch.where(T.isfinite().flatten(2).all(-1)[..., None, None], T, torch.eye(4))
    found = Fragments(found.logit, *(values.nan_to_num(0.0, 0.0, 0.0) for values in found[1:]))
    T, fixed = _drawn_poses(found, points, drawn, rotation)
    witnesses = Witnesses.of(found, points)
    T = _best_apart(T, witnesses.support(T).masked_fill(~fixed, -torch.inf), APART_COS, effort.fitted)
    T = _fit_again(T, witnesses, effort.rounds, rotation)
    score = witnesses.support(T)
    enough = score >= effort.least_share * score.amax(1, keepdim=True)
    T = _best_apart(T, score.masked_fill(~enough, -torch.inf), APART_COS, poses)
    T = _fit_again(T, witnesses, effort.last_rounds, rotation)
    return _best_apart(T, witnesses.support(T), MET_COS, poses)


def without_repeats(T: Float[Tensor, "batch poses 4 4"]) -> Float[Tensor, "batch some 4 4"]:
    """As many of `fragment_poses` as any instance has different ones: an instance with fewer repeats its first."""
    return T[:, : int((~is_repeat(T)).sum(1).amax())]


def is_repeat(T: Float[Tensor, "batch poses 4 4"]) -> Bool[Tensor, "batch poses"]:
    """Which of `fragment_poses` are the first one again."""
    again = (T[:, :1] == T).flatten(2).all(-1)
    again[:, 0] = False
    return again


def _drawn_poses(
    found: Fragments,
    points: Float[Tensor, "batch points 3"],
    drawn: Float[Tensor, "hypotheses 3 2"],
    rotation: Rotation,
) -> tuple[Float[Tensor, "batch hypotheses 4 4"], Bool[Tensor, "batch hypotheses"]]:
    """Fits to three pixels each, drawn by how likely they are on the object, on fragments drawn by their own; and
    whether the three fix a pose.
    """
    hypotheses, batch = drawn.shape[0], points.shape[0]
    row = torch.arange(batch, device=points.device)[:, None]
    by_pixel, by_fragment = drawn.flatten(0, 1).expand(batch, -1, -1).unbind(-1)
    probability = found.logit.softmax(-1)[..., :-1]
    pixel = _drawn_index(probability.sum(-1) + LEAST_PROBABILITY, by_pixel)
    of_pixel = probability[row, pixel] + LEAST_PROBABILITY
    fragment = _drawn_index(of_pixel, by_fragment[..., None]).squeeze(-1)
    places = found.centre[row, fragment] + found.offset[row, pixel, fragment]
    source, target = (values.unflatten(1, (hypotheses, 3)) for values in (places, points[row, pixel]))
    first, second = (target[:, :, k] - target[:, :, 0] for k in (1, 2))
    area = torch.linalg.cross(first, second).norm(dim=-1)
    fixed = area >= (LEAST_SHARE * area.amax(1, keepdim=True)).clamp_max(LEAST_AREA)
    return rigid_fit(source, target, rotation=rotation), fixed


def _drawn_index(
    weight: Float[Tensor, "*batch choices"], number: Float[Tensor, "*batch draws"]
) -> Int[Tensor, "*batch draws"]:
    """The first choice up to which the weights sum to more than that share of all of them."""
    upto = weight.cumsum(-1)
    passed = upto[..., None, :] <= number[..., None] * upto[..., -1:, None]
    return passed.sum(-1).clamp_max(weight.shape[-1] - 1)


def _fit_again(
    T: Float[Tensor, "batch poses 4 4"], witnesses: Witnesses, rounds: int, rotation: Rotation
) -> Float[Tensor, "batch poses 4 4"]:
    """Each pose, several times over, fitted to the places that agree best with it, by how much they do."""
    goal = witnesses.points[:, None].expand(-1, T.shape[1], -1, -1)
    places = witnesses.places[:, None].expand(-1, T.shape[1], -1, -1, -1)
    for _ in range(rounds):
        weight, best = witnesses.each(T).max(-1)
        own = places.gather(3, best[..., None, None].expand(-1, -1, -1, 1, 3)).squeeze(3)
        T = rigid_fit(own, goal, weight + LEAST_PROBABILITY, rotation)
    return T


def _best_apart(
    T: Float[Tensor, "batch hypotheses 4 4"],
    score: Float[Tensor, "batch hypotheses"],
    apart_cos: float,
    poses: int,
) -> Float[Tensor, "batch poses 4 4"]:
    """The poses of highest score that differ; where there are no more of them, the best again."""
    R = T[..., :3, :3].flatten(2)
    near, chosen = (R @ R.mT - 1) / 2 > apart_cos, []
    for _ in range(poses):
        best = score.argmax(1, keepdim=True)
        is_left = score.gather(1, best) > -torch.inf
        chosen.append(torch.where(is_left, best, chosen[0]) if chosen else best)
        beside = near.gather(1, best[..., None].expand(-1, -1, near.shape[2])).squeeze(1)
        score = score.masked_fill(beside, -torch.inf)
    return T.gather(1, torch.cat(chosen, 1)[..., None, None].expand(-1, -1, 4, 4))
