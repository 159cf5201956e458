"""From one pose a pixel to a few poses an instance: clusters of agreeing pixels, the most confident first.

Confidence saturates (its optimum is min(1, w / L)), so many pixels tie for the highest: the middle of the
cluster with the most confidence is taken, not one arg max.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import make_transform

_KEPT_SHARE = 0.5
_RADIUS_SHARE = 0.1


@dataclass(frozen=True)
class PoseClusters:
    """The middle pose of each cluster, best first; one without pixels has share 0 and repeats the first.

    `confidence` is the mean confidence of a cluster's pixels, `share` its part of all pixels' confidence.
    """

    T: Float[Tensor, "batch clusters 4 4"]
    confidence: Float[Tensor, "batch clusters"]
    share: Float[Tensor, "batch clusters"]


def cluster_poses(
    T: Float[Tensor, "batch poses 4 4"],
    confidence: Float[Tensor, "batch poses"],
    centre_m: Float[Tensor, "batch 3"],
    diameter_m: Float[Tensor, "batch"],
    clusters: int,
) -> PoseClusters:
    """Group the more confident half of the pixels' poses by how far they move the object.

    Two poses belong together when they place the object within a tenth of its diameter of each other (root
    mean square over a ball of a quarter diameter's radius of gyration).
    """
    least = confidence.topk(max(1, round(_KEPT_SHARE * confidence.shape[1])), dim=1).values[:, -1:]
    weight = confidence * (confidence >= least)  # ties at the border stay: many pixels are equally sure
    place_m = (T[..., :3, :3] @ centre_m[:, None, :, None]).squeeze(-1) + T[..., :3, 3]
    spread_m = T[..., :3, :3].flatten(2) * (diameter_m / 4)[:, None, None]
    features = torch.cat([place_m, spread_m], -1)
    near = torch.cdist(features, features) < (_RADIUS_SHARE * diameter_m)[:, None, None]
    free, found = (weight > 0).to(weight), []
    for _ in range(clusters):
        found.append(_densest(T, place_m, weight, near, free))
        free = free * (1 - found[-1].members)
    first = found[0].T
    poses = [torch.where((cluster.share > 0)[:, None, None], cluster.T, first) for cluster in found]
    return PoseClusters(
        centred_to_origin(torch.stack(poses, 1), centre_m),
        torch.stack([cluster.confidence for cluster in found], 1),
        torch.stack([cluster.share for cluster in found], 1),
    )


@dataclass(frozen=True)
class _Cluster:
    T: Float[Tensor, "batch 4 4"]
    """Rotation, and the place of the object's centre."""
    confidence: Float[Tensor, "batch"]
    share: Float[Tensor, "batch"]
    members: Float[Tensor, "batch poses"]


def _densest(
    T: Float[Tensor, "batch poses 4 4"],
    place_m: Float[Tensor, "batch poses 3"],
    weight: Float[Tensor, "batch poses"],
    near: Tensor,
    free: Float[Tensor, "batch poses"],
) -> _Cluster:
    """The pose with the most confidence around it, and the weighted mean of the poses there."""
    open_weight = weight * free
    density = (near * open_weight[:, None]).sum(-1) * free
    members = near[torch.arange(len(T), device=T.device), density.argmax(1)] * free
    member_weight = members * weight
    total = member_weight.sum(1)
    share = (member_weight / total.clamp_min(1e-12)[:, None])[..., None]
    R = mean_rotation(T[..., :3, :3], share[..., 0])
    pose = make_transform(R, (share * place_m).sum(1))
    confidence = total / members.sum(1).clamp_min(1)
    return _Cluster(pose, confidence, total / weight.sum(1).clamp_min(1e-12), members)


def mean_rotation(
    R: Float[Tensor, "batch n 3 3"], weight: Float[Tensor, "batch n"]
) -> Float[Tensor, "batch 3 3"]:
    """The rotation nearest to the weighted mean of rotations. Ill-posed for opposite ones."""
    U, _, Vh = torch.linalg.svd((weight[..., None, None] * R).sum(1).double())
    sign = torch.ones_like(U[..., 0])
    sign[..., 2] = torch.det(U @ Vh).sign()
    return ((U * sign[..., None, :]) @ Vh).to(R)


def centred_to_origin(
    T: Float[Tensor, "batch clusters 4 4"], centre_m: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch clusters 4 4"]:
    """From the place of the object's centre to the place of its origin."""
    R = T[..., :3, :3]
    return make_transform(R, T[..., :3, 3] - (R @ centre_m[:, None, :, None]).squeeze(-1))
