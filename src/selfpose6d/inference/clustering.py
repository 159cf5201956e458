"""From one pose a pixel to a few poses an instance: clusters of agreeing pixels, the most confident first.

Confidence saturates (its optimum is min(1, w / L)), so many pixels tie for the highest: the middle of the
cluster with the most confidence is taken, not one arg max.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.geometry.se3 import rotation_taking, transform_point
from selfpose6d.network.interface import RatedPoses

KEPT_FRACTION = 0.5
"""Of the pixels, the most confident ones: the others' poses are not clustered."""
RADIUS = 0.1
"""Of a cluster, diameters: the error below which a pose usually counts as right."""

Alike = Callable[
    [Float[Tensor, "batch poses 4 4"], Float[Tensor, "batch poses 4 4"]], Float[Tensor, "batch poses 4 4"]
]
"""Of the poses that look like each second one, the nearest to the first."""


@dataclass(frozen=True)
class PoseClusters:
    """The middle pose of each cluster, best first; one without pixels has fraction 0 and repeats the first.

    `confidence` is the mean confidence of a cluster's pixels, `fraction` its part of all pixels' confidence.
    """

    T: Float[Tensor, "batch clusters 4 4"]
    confidence: Float[Tensor, "batch clusters"]
    fraction: Float[Tensor, "batch clusters"]


def cluster_poses(
    T: Float[Tensor, "batch poses 4 4"],
    confidence: Float[Tensor, "batch poses"],
    centre_m: Float[Tensor, "batch 3"],
    diameter_m: Float[Tensor, " batch"],
    clusters: int,
) -> PoseClusters:
    """Group the more confident half of an instance's poses by how far they move the object, see `_places`."""
    least = confidence.topk(max(1, round(KEPT_FRACTION * confidence.shape[1])), dim=1).values[:, -1:]
    weight = confidence * (confidence >= least)  # ties at the border stay: many pixels are equally sure
    centre_cam_m = transform_point(T, centre_m[:, None])
    places = _places(T, centre_m, diameter_m)
    near = torch.cdist(places, places) < (RADIUS * diameter_m)[:, None, None]
    free, found = (weight > 0).to(weight), []
    for _ in range(clusters):
        found.append(_densest(T[..., :3, :3], centre_cam_m, weight, near, free))
        free = free * (1 - found[-1].members)
    fraction = torch.stack([cluster.fraction for cluster in found], 1)
    used = (fraction > 0)[..., None]
    R = torch.stack([cluster.R for cluster in found], 1)
    R = torch.where(used[..., None], R, R[:, :1])
    centre_cam_m = torch.stack([cluster.centre_cam_m for cluster in found], 1)
    centre_cam_m = torch.where(used, centre_cam_m, centre_cam_m[:, :1])
    confidence = torch.stack([cluster.confidence for cluster in found], 1)
    return PoseClusters(rotation_taking(R, centre_m[:, None], centre_cam_m), confidence, fraction)


def distinct_poses(
    rated: RatedPoses,
    centre_m: Float[Tensor, "batch 3"],
    diameter_m: Float[Tensor, " batch"],
    count: int,
    alike: Alike | None = None,
) -> RatedPoses:
    """The best `count` poses of each instance that are not near a better one.

    `alike` moves poses among those that look the same; poses that look the same are one. Where there are fewer, the
    rest repeats the best with a score of minus infinity.
    """
    near = _all_near(rated.T, centre_m, diameter_m, alike)
    chosen = [_chosen(*one, count) for one in zip(rated.score.tolist(), near.tolist(), strict=True)]
    index = torch.tensor(chosen, device=rated.T.device)
    found = rated.starts(index)
    repeated = torch.arange(count, device=index.device) > 0
    return found._replace(score=found.score.masked_fill(repeated & (index == index[:, :1]), -torch.inf))


def _chosen(score: Sequence[float], near: Sequence[Sequence[bool]], count: int) -> list[int]:
    """The best, then the next that is near none of them; where there is none, the first again."""
    chosen: list[int] = []
    for pose in sorted(range(len(score)), key=score.__getitem__, reverse=True):
        if score[pose] > -math.inf and not any(near[other][pose] for other in chosen):
            chosen.append(pose)
    return [*chosen, *(chosen[:1] or [0]) * count][:count]


def _all_near(
    T: Float[Tensor, "batch poses 4 4"],
    centre_m: Float[Tensor, "batch 3"],
    diameter_m: Float[Tensor, " batch"],
    alike: Alike | None,
) -> Bool[Tensor, "batch poses poses"]:
    """Which poses are near which others, or near one that looks like them."""
    places, poses = _places(T, centre_m, diameter_m), T.shape[1]
    if alike is None:
        distance = torch.cdist(places, places)
    else:
        others = alike(T.repeat_interleave(poses, 1), T.repeat(1, poses, 1, 1))
        others = _places(others, centre_m, diameter_m).unflatten(1, (poses, poses))
        distance = (others - places[:, :, None]).norm(dim=-1)
    return distance < (RADIUS * diameter_m)[:, None, None]


def _places(
    T: Float[Tensor, "batch poses 4 4"],
    centre_m: Float[Tensor, "batch 3"],
    diameter_m: Float[Tensor, " batch"],
) -> Float[Tensor, "batch poses 12"]:
    """Numbers whose distance is how far two poses place an object apart (root mean square over a ball of a quarter
    diameter's radius of gyration); a tenth of the diameter is near."""
    centre_cam_m = transform_point(T, centre_m[:, None])
    spread_m = T[..., :3, :3].flatten(2) * (diameter_m / 4)[:, None, None]
    return torch.cat([centre_cam_m, spread_m], -1)


@dataclass(frozen=True)
class _Cluster:
    R: Float[Tensor, "batch 3 3"]
    centre_cam_m: Float[Tensor, "batch 3"]
    """Of the object."""
    confidence: Float[Tensor, " batch"]
    fraction: Float[Tensor, " batch"]
    members: Float[Tensor, "batch poses"]


def _densest(
    R: Float[Tensor, "batch poses 3 3"],
    centre_cam_m: Float[Tensor, "batch poses 3"],
    weight: Float[Tensor, "batch poses"],
    near: Tensor,
    free: Float[Tensor, "batch poses"],
) -> _Cluster:
    """The pose with the most confidence around it, and the weighted mean of the poses there."""
    open_weight = weight * free
    density = (near * open_weight[:, None]).sum(-1) * free
    members = near[torch.arange(len(R), device=R.device), density.argmax(1)] * free
    member_weight = members * weight
    total = member_weight.sum(1)
    relative = member_weight / total.clamp_min(1e-12)[:, None]
    return _Cluster(
        mean_rotation(R, relative),
        (relative[..., None] * centre_cam_m).sum(1),
        total / members.sum(1).clamp_min(1),
        total / weight.sum(1).clamp_min(1e-12),
        members,
    )


def mean_rotation(
    R: Float[Tensor, "batch n 3 3"], weight: Float[Tensor, "batch n"]
) -> Float[Tensor, "batch 3 3"]:
    """The rotation nearest to the weighted mean of rotations. Ill-posed for opposite ones."""
    U, _, Vh = torch.linalg.svd((weight[..., None, None] * R).sum(1).double())
    sign = torch.ones_like(U[..., 0])
    sign[..., 2] = torch.det(U @ Vh).sign()
    return ((U * sign[..., None, :]) @ Vh).to(R)
