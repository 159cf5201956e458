"""Poses from fragments: rigid fits to three places drawn by their probability, rated by all pixels, the best refitted.

Pixels may be of something else, and each may lie on any of several fragments: a pose is what many of them agree on.

Reference: Fischler & Bolles, Random sample consensus, 1981; Brachmann et al., 2014 (drawn from a forest's classes);
Hodan et al., EPOS, 2020 (many fragments for a pixel).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, kernel_array, runs_numba
from selfpose6d.geometry.rigid_fit import Rotation, best_rotation, rigid_fit
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.network.fragment_poses_numba import LEAST_PROBABILITY, SUPPRESSED, TOLD, find_poses
from selfpose6d.network.interface import Fragments

HYPOTHESES = 96
"""Drawn at work."""
HYPOTHESES_IN_TRAINING = 24
"""There the poses only choose among targets that look alike, and begin two of the refinements."""
FIT_ERROR = 0.05
"""Diameters at which a place supports a pose e times less."""
FITTED = 16
"""Hypotheses that are fitted anew, the best that differ."""
FIT_ROUNDS = 3
"""Each time to the places that fit best."""
APART_COS = math.cos(math.radians(20))
"""Of the angle by which poses differ at least, where there are such: the refinement brings nearer ones together."""


def drawn_numbers(hypotheses: int = HYPOTHESES) -> Float[Tensor, "hypotheses 3 2"]:
    """For every hypothesis three times a number for the pixel and one for its fragment, 0-1: always the same ones, so
    that the same crop has the same poses.
    """
    return torch.rand(hypotheses, 3, 2, generator=torch.Generator().manual_seed(0))


def fragment_poses(
    found: Fragments,
    points: Float[Tensor, "batch points 3"],
    drawn: Float[Tensor, "hypotheses 3 2"],
    poses: int,
    rotation: Rotation = best_rotation,
    backend: Backend = "auto",
) -> Float[Tensor, "batch poses 4 4"]:
    """Rigid motions from the object (about its centre) to the points, both in diameters; the best supported first.

    `drawn` chooses pixels and fragments. The compiled back end is without gradient and knows `best_rotation` alone.
    """
    # a network that is not finite is reported by the check of the loss, which comes later
    probability = found.logit.nan_to_num(0.0).softmax(-1)[..., :-1]
    has_kernel = rotation is best_rotation and not probability.requires_grad and points.dtype == torch.float32
    if runs_numba(backend, points.device, has_kernel):
        T = torch.empty(len(points), poses, 4, 4)
        arrays = map(kernel_array, (probability, found.offset, found.centre, points, drawn))
        find_poses(*[*arrays, FIT_ERROR, FITTED, FIT_ROUNDS, APART_COS, T.numpy()])
        return torch.where(T.isfinite().flatten(2).all(-1)[..., None, None], T, torch.eye(4))
    coordinates = found.coordinates.nan_to_num(0.0)
    T = _drawn_poses(probability, coordinates, points, drawn, rotation)
    likely, which = probability.topk(min(TOLD, probability.shape[-1]), -1)
    places = coordinates.gather(2, which[..., None].expand(-1, -1, -1, 3))
    T = _best_apart(T, _support(T, points, likely, places).sum((-2, -1)), FITTED)
    for _ in range(FIT_ROUNDS):
        weight, best = _support(T, points, likely, places).max(-1)
        own = places[:, None].expand(-1, FITTED, -1, -1, -1)
        own = own.gather(3, best[..., None, None].expand(-1, -1, -1, 1, 3)).squeeze(3)
        T = rigid_fit(own, points[:, None].expand_as(own), weight + LEAST_PROBABILITY, rotation)
    return _best_apart(T, _support(T, points, likely, places).sum((-2, -1)), poses)


def _drawn_poses(
    probability: Float[Tensor, "batch points fragments"],
    coordinates: Float[Tensor, "batch points fragments 3"],
    points: Float[Tensor, "batch points 3"],
    drawn: Float[Tensor, "hypotheses 3 2"],
    rotation: Rotation,
) -> Float[Tensor, "batch hypotheses 4 4"]:
    """Fits to three pixels each, drawn by how likely they are on the object, on fragments drawn by their own."""
    hypotheses, batch = drawn.shape[0], points.shape[0]
    row = torch.arange(batch, device=points.device)[:, None]
    by_pixel, by_fragment = drawn.flatten(0, 1).expand(batch, -1, -1).unbind(-1)
    pixel = _drawn_index(probability.sum(-1) + LEAST_PROBABILITY, by_pixel)
    of_pixel = probability[row, pixel] + LEAST_PROBABILITY
    fragment = _drawn_index(of_pixel, by_fragment[..., None]).squeeze(-1)
    source, target = coordinates[row, pixel, fragment], points[row, pixel]
    return rigid_fit(
        source.unflatten(1, (hypotheses, 3)), target.unflatten(1, (hypotheses, 3)), rotation=rotation
    )


def _drawn_index(
    weight: Float[Tensor, "*batch choices"], number: Float[Tensor, "*batch draws"]
) -> Int[Tensor, "*batch draws"]:
    """The first choice up to which the weights sum to more than that share of all of them."""
    upto = weight.cumsum(-1)
    passed = upto[..., None, :] <= number[..., None] * upto[..., -1:, None]
    return passed.sum(-1).clamp_max(weight.shape[-1] - 1)


def _support(
    T: Float[Tensor, "batch poses 4 4"],
    points: Float[Tensor, "batch points 3"],
    likely: Float[Tensor, "batch points told"],
    places: Float[Tensor, "batch points told 3"],
) -> Float[Tensor, "batch poses points told"]:
    """How much each pixel's likeliest places agree with where each pose puts it."""
    at = transform_points(inverse(T), points[:, None].expand(-1, T.shape[1], -1, -1))
    squared = (at[..., None, :] - places[:, None]).square().sum(-1)
    return likely[:, None] * (-squared / FIT_ERROR**2).exp()


def _best_apart(
    T: Float[Tensor, "batch hypotheses 4 4"], score: Float[Tensor, "batch hypotheses"], poses: int
) -> Float[Tensor, "batch poses 4 4"]:
    """The poses of highest score that differ, then, where there are no more such, those nearer to them."""
    row, R = torch.arange(T.shape[0], device=T.device), T[..., :3, :3]
    chosen = []
    for _ in range(poses):
        best = score.argmax(1)
        chosen.append(T[row, best])
        cosine = ((R * R[row, best][:, None]).sum((-2, -1)) - 1) / 2
        score = torch.where(cosine > APART_COS, score - SUPPRESSED, score)
    return torch.stack(chosen, 1)
