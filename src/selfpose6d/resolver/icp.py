"""Iterative Annotation Resolver (IAR): batched ICP that turns rough poses into weak annotations.

Each iteration pairs every point with its nearest counterpart and fits a rigid pose in closed form. The direction of
the pairing matters more than anything else: `observed-to-model` matches what the camera saw to the model;
`model-to-observed` (Eq. (10) and the first author's code) also moves the hidden back of the object onto the visible
front.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.checks import require_equal_lengths, require_indices
from selfpose6d.errors import UsageError
from selfpose6d.geometry.nearest import NearestGrid, nearest_index
from selfpose6d.geometry.rigid_fit import rigid_fit
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.resolver.icp_numba import resolve_poses
from selfpose6d.types import Direction, ResolverResult

MAX_DISTANCES = 32_000_000
"""Of the torch back end's distance matrices at a time: 128 MB of float32."""


@dataclass(frozen=True)
class ResolverOptions:
    """How the Iterative Annotation Resolver iterates."""

    iterations: int = 20
    """Most ICP iterations per pose (the paper: 20; its PureICP baseline: 50)."""
    direction: Direction = "observed-to-model"
    """Which set looks for its nearest counterpart in the other."""
    robust_scale_m: float | None = None
    """Residual at which a point's weight falls to a quarter (Geman-McClure), metres; None: all points weigh 1."""
    tolerance_m: float = 1e-5
    """A pose has converged when no point of the model moves by more than about this much, metres."""
    inlier_m: float = 0.005
    """Residual under which a point counts as an inlier, metres."""

    def __post_init__(self) -> None:
        if self.iterations < 0:
            raise UsageError(f"iterations must be 0 or more, got {self.iterations}.")
        if self.robust_scale_m is not None and self.robust_scale_m <= 0:
            raise UsageError(f"robust_scale_m must be positive metres or None, got {self.robust_scale_m}.")


def resolve(
    T_cam_obj: Float[Tensor, "poses 4 4"],
    cloud_cam_m: Float[Tensor, "clouds points 3"],
    cloud: Int[Tensor, " poses"],
    grid: NearestGrid,
    model: Int[Tensor, " poses"],
    options: ResolverOptions,
    backend: Backend = "auto",
) -> ResolverResult:
    """Run ICP from every start pose; pose p fits model `model[p]` of `grid` to cloud `cloud[p]`. No gradient flows.

    Raises:
        UsageError: lengths differ, there is no such cloud or model, or `backend` numba where there is no kernel.

    Reference: paper III-B, Iterative Annotation Resolver (Weak6D).
    """
    require_equal_lengths(T_cam_obj=T_cam_obj, cloud=cloud, model=model)
    require_indices(cloud, len(cloud_cam_m), "cloud")
    require_indices(model, len(grid.points_m), "model")
    has_kernel = options.direction == "observed-to-model"
    run = _resolve_numba if runs_numba(backend, T_cam_obj.device, has_kernel) else _resolve_torch
    with torch.no_grad():
        return run(T_cam_obj.detach(), cloud_cam_m.detach(), cloud, grid, model, options)


def _resolve_numba(
    T_cam_obj: Float[Tensor, "poses 4 4"],
    cloud_cam_m: Float[Tensor, "clouds points 3"],
    cloud: Int[Tensor, " poses"],
    grid: NearestGrid,
    model: Int[Tensor, " poses"],
    options: ResolverOptions,
) -> ResolverResult:
    T = T_cam_obj.double().numpy().copy()
    rms_m, inlier_ratio = np.zeros(len(T), np.float64), np.zeros(len(T), np.float64)
    used, converged = np.zeros(len(T), np.int64), np.zeros(len(T), np.bool_)
    resolve_poses(
        T,
        cloud_cam_m.float().numpy(),
        cloud.numpy(),
        grid.nearest.numpy(),
        grid.origin_m.numpy(),
        grid.cell_m.numpy(),
        grid.points_m.numpy(),
        grid.points_m.norm(dim=-1).amax(-1).numpy(),
        model.numpy(),
        options.iterations,
        (options.robust_scale_m or 0.0) ** 2,
        options.tolerance_m,
        options.inlier_m,
        rms_m,
        inlier_ratio,
        used,
        converged,
    )
    return ResolverResult(
        torch.from_numpy(T).to(T_cam_obj),
        torch.from_numpy(rms_m).to(T_cam_obj),
        torch.from_numpy(inlier_ratio).to(T_cam_obj),
        torch.from_numpy(used),
        torch.from_numpy(converged),
    )


def _pair_observed_to_model(
    T: Float[Tensor, "poses 4 4"],
    observed: Float[Tensor, "poses points 3"],
    grid: NearestGrid,
    model: Int[Tensor, " poses"],
) -> tuple[Float[Tensor, "poses points 3"], Float[Tensor, "poses points 3"]]:
    """(object points, camera points) of every pair: each observed point with its nearest model sample."""
    index = nearest_index(grid, model, transform_points(inverse(T), observed))
    return grid.points_m[model[:, None], index].to(T), observed


def _pair_model_to_observed(
    T: Float[Tensor, "poses 4 4"],
    observed: Float[Tensor, "poses points 3"],
    grid: NearestGrid,
    model: Int[Tensor, " poses"],
) -> tuple[Float[Tensor, "poses samples 3"], Float[Tensor, "poses samples 3"]]:
    """(object points, camera points) of every pair: each model sample with its nearest observed point."""
    samples = grid.points_m[model].to(T)
    centre = observed.mean(1, keepdim=True)  # cdist squares coordinates: near 0 they keep their digits
    moved, fixed = transform_points(T, samples) - centre, observed - centre
    poses = max(1, MAX_DISTANCES // (samples.shape[1] * observed.shape[1]))
    parts = zip(moved.split(poses), fixed.split(poses), strict=True)
    index = torch.cat([torch.cdist(a, b).argmin(-1) for a, b in parts])
    return samples, torch.gather(observed, 1, index[..., None].expand(-1, -1, 3))


def _resolve_torch(
    T_cam_obj: Float[Tensor, "poses 4 4"],
    cloud_cam_m: Float[Tensor, "clouds points 3"],
    cloud: Int[Tensor, " poses"],
    grid: NearestGrid,
    model: Int[Tensor, " poses"],
    options: ResolverOptions,
) -> ResolverResult:
    """Reference implementation for any device: all poses step together, converged ones stay where they are."""
    pair = _PAIR[options.direction]
    T, observed = T_cam_obj.clone(), cloud_cam_m[cloud].to(T_cam_obj)
    radius_m = grid.points_m[model].norm(dim=-1).amax(-1)
    iterations = torch.zeros_like(model)
    converged = torch.zeros_like(model, dtype=torch.bool)
    for _ in range(options.iterations):
        if converged.all():
            break
        source, target = pair(T, observed, grid, model)
        step = rigid_fit(source, target, _robust_weights(T, source, target, options.robust_scale_m))
        moved_m = (step - T)[:, :3, 3].norm(dim=-1) + radius_m * (step - T)[:, :3, :3].norm(dim=(-2, -1))
        T = torch.where(converged[:, None, None], T, step)
        iterations = iterations + (~converged).to(iterations)
        converged = converged | (moved_m < options.tolerance_m)
    source, target = pair(T, observed, grid, model)
    residual_m = (transform_points(T, source) - target).norm(dim=-1)
    inlier_ratio = (residual_m < options.inlier_m).to(T).mean(-1)
    return ResolverResult(T, residual_m.square().mean(-1).sqrt(), inlier_ratio, iterations, converged)


_PAIR = {"observed-to-model": _pair_observed_to_model, "model-to-observed": _pair_model_to_observed}


def _robust_weights(
    T: Float[Tensor, "poses 4 4"],
    source: Float[Tensor, "poses points 3"],
    target: Float[Tensor, "poses points 3"],
    scale_m: float | None,
) -> Float[Tensor, "poses points"] | None:
    if scale_m is None:
        return None
    squared = (transform_points(T, source) - target).square().sum(-1)
    return (scale_m**2 / (scale_m**2 + squared)).square()
