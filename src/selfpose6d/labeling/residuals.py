"""Residuals of a pose, linearised for a small motion (v, w): translation in metres, rotation about the object's centre.

- depth: measured point to the plane of the face rendered at its pixel (metres);
- geometry: observed point to the plane of its nearest model sample (metres);
- colour: high-pass LAB of the crop against the rendering's, with the RGB-to-depth shift of the score;
- free space: rendered pixels that hide measured background, by their distance from the mask (pixels).
"""

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.geometry.camera import back_project
from selfpose6d.geometry.nearest import nearest_index
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.labeling.detail import erode
from selfpose6d.labeling.residuals_numba import ResidualScales, rendered_system_numba
from selfpose6d.labeling.score import FREE_SPACE_M, ObservedCrop, View
from selfpose6d.objects.object_model import ObjectModel

GEOMETRY_SCALE_M = 0.003
ROBUST_M = 0.01
COLOUR_SCALE_LAB = 16.0
SILHOUETTE_SCALE_PX = 0.5
MAX_DISTANCE_PX = 10.0
SCALES = ResidualScales(GEOMETRY_SCALE_M, ROBUST_M, COLOUR_SCALE_LAB, SILHOUETTE_SCALE_PX, FREE_SPACE_M)


def geometry_system(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    T: Float[Tensor, "poses 4 4"],
    centre: Float[Tensor, "poses 3"],
) -> tuple[Float[Tensor, "poses 6 6"], Float[Tensor, "poses 6"]]:
    """Normal equations of observed points against the planes of their nearest samples, Geman-McClure weights."""
    poses, points = len(T), len(cloud_cam_m)
    zero = torch.zeros(poses, dtype=torch.long)
    index = nearest_index(model.grid, zero, transform_points(inverse(T), cloud_cam_m.expand(poses, -1, -1)))
    nearest = transform_points(T, model.grid.points_m[0][index])
    normal = model.grid.normals[0][index] @ T[:, :3, :3].mT
    offset = cloud_cam_m - nearest
    J = torch.cat([normal, torch.linalg.cross(nearest - centre[:, None], normal)], -1)
    robust = (ROBUST_M**2 / (ROBUST_M**2 + offset.square().sum(-1))).square()
    weighted = (J * (robust / (points * GEOMETRY_SCALE_M**2))[..., None]).mT
    return weighted @ J, (weighted @ (normal * offset).sum(-1)[..., None]).squeeze(-1)


def rendered_system(
    model: ObjectModel,
    observed: ObservedCrop,
    view: View,
    T: Float[Tensor, "poses 4 4"],
    centre: Float[Tensor, "poses 3"],
    distance_px: Float[Tensor, "3 size size"],
    shift: Int[Tensor, "poses"] | None,
    backend: Backend = "auto",
) -> tuple[Float[Tensor, "poses 6 6"], Float[Tensor, "poses 6"]]:
    """Normal equations of all that is read off a rendering: depth, free space and, with the score's `shift`, colour."""
    if runs_numba(backend, T.device):
        return rendered_system_numba(model, observed, view, T, centre, distance_px, shift, SCALES)
    H_depth, g_depth = depth_system(model, observed, view, T, centre)
    pull = free_space_pull(observed, view, distance_px)
    if shift is not None:
        pull = pull + colour_pull(observed, view, shift)
    H_image, g_image = image_system(view, observed.crop.K, centre, pull)
    return H_depth + H_image, g_depth + g_image


def depth_system(
    model: ObjectModel,
    observed: ObservedCrop,
    view: View,
    T: Float[Tensor, "poses 4 4"],
    centre: Float[Tensor, "poses 3"],
) -> tuple[Float[Tensor, "poses 6 6"], Float[Tensor, "poses 6"]]:
    """Normal equations of measured depth against the plane of the face rendered at the same pixel.

    Unlike `geometry_system` it pairs with visible faces only, so that thin walls keep their sides.
    """
    crop = observed.crop
    measured = view.covered & (crop.mask & (crop.depth_m > 0))
    gap_m = crop.depth_m - view.depth_m
    X = back_project(view.depth_m, crop.K.expand(len(T), 3, 3)).flatten(1, 2)
    normal = model.face_normals[view.face_id.clamp_min(0).long()].flatten(1, 2) @ T[:, :3, :3].mT
    ray = X / X[..., 2:].clamp_min(1e-3)
    r = (normal * ray).sum(-1) * gap_m.flatten(1)
    w = measured / (1 + (gap_m / ROBUST_M).square()).square() / (_area(observed) * GEOMETRY_SCALE_M**2)
    J = torch.cat([normal, torch.linalg.cross(X - centre[:, None], normal)], -1)
    weighted = (J * w.flatten(1)[..., None]).mT
    return weighted @ J, (weighted @ r[..., None]).squeeze(-1)


def colour_pull(
    observed: ObservedCrop, view: View, shift: Int[Tensor, "poses"]
) -> Float[Tensor, "poses 5 size size"]:
    """Where each rendered pixel's pattern wants to move, as a quadratic in its image motion (see `image_system`)."""
    region = (observed.inner & erode(view.covered, 2)).to(view.detail)
    size, shifts = observed.inner.shape[0], 2 * observed.max_shift_px + 1
    windows = observed.padded_detail.unfold(1, size, 1).unfold(2, size, 1)
    target = windows[:, shift // shifts, shift % shifts].transpose(0, 1)
    r = view.detail - target
    du, dv = _image_gradient(0.5 * (view.detail + target))
    w = region / (1 + r.square().sum(1) / (3 * COLOUR_SCALE_LAB) ** 2)
    w = w / (_area(observed) * COLOUR_SCALE_LAB**2)
    terms = [(du * du).sum(1), (du * dv).sum(1), (dv * dv).sum(1), (du * r).sum(1), (dv * r).sum(1)]
    return torch.stack(terms, 1) * w[:, None]


def free_space_pull(
    observed: ObservedCrop, view: View, distance_px: Float[Tensor, "3 size size"]
) -> Float[Tensor, "poses 5 size size"]:
    """Rendered pixels that hide measured background want to move down the mask's distance field."""
    crop, (distance, du, dv) = observed.crop, distance_px
    wrong = view.covered & (~crop.mask & (crop.depth_m > 0) & crop.in_image)
    wrong = wrong & (crop.depth_m - view.depth_m > FREE_SPACE_M)
    pull = torch.stack([du * du, du * dv, dv * dv, -du * distance, -dv * distance])
    return pull * (wrong / (_area(observed) * SILHOUETTE_SCALE_PX**2))[:, None]


def image_system(
    view: View,
    K: Float[Tensor, "3 3"],
    centre: Float[Tensor, "poses 3"],
    pull: Float[Tensor, "poses 5 size size"],
) -> tuple[Float[Tensor, "poses 6 6"], Float[Tensor, "poses 6"]]:
    """Normal equations of per-pixel wishes: `pull` holds, for the image motion (u, v) of the surface point under
    each pixel, the entries uu, uv, vv of the quadratic and u, v of its right-hand side.
    """
    flow_u, flow_v = _pixel_flow(view, K, centre)
    uu, uv, vv, bu, bv = pull.flatten(2).unbind(1)
    H = (flow_u * uu[:, None] + flow_v * uv[:, None]) @ flow_u.mT
    H = H + (flow_u * uv[:, None] + flow_v * vv[:, None]) @ flow_v.mT
    return H, (flow_u @ bu[..., None] + flow_v @ bv[..., None]).squeeze(-1)


def outside_distance(mask: Bool[Tensor, "size size"]) -> Float[Tensor, "3 size size"]:
    """Distance of each pixel from the mask (0 inside), capped, and its gradients along u and v."""
    distance = cv2.distanceTransform((~mask.cpu().numpy()).astype(np.uint8), cv2.DIST_L2, 3)
    distance = torch.from_numpy(np.minimum(distance, MAX_DISTANCE_PX).astype(np.float32)).to(mask.device)
    return torch.stack([distance, *_image_gradient(distance)])


def _area(observed: ObservedCrop) -> Tensor:
    """Pixels of the mask; 1 where the crop shows none."""
    return observed.crop.mask.sum().clamp_min(1)


def _image_gradient(
    images: Float[Tensor, "*batch h w"],
) -> tuple[Float[Tensor, "*batch h w"], Float[Tensor, "*batch h w"]]:
    """Central differences along u and v, 0 at the image border."""
    du, dv = torch.zeros_like(images), torch.zeros_like(images)
    du[..., 1:-1] = 0.5 * (images[..., 2:] - images[..., :-2])
    dv[..., 1:-1, :] = 0.5 * (images[..., 2:, :] - images[..., :-2, :])
    return du, dv


def _pixel_flow(
    view: View, K: Float[Tensor, "3 3"], centre: Float[Tensor, "poses 3"]
) -> tuple[Float[Tensor, "poses 6 pixels"], Float[Tensor, "poses 6 pixels"]]:
    """How the surface point under each pixel moves in the image (u and v) per unit of (v, w) about the centre."""
    x, y, z = back_project(view.depth_m, K.expand(len(centre), 3, 3)).flatten(1, 2).unbind(-1)
    inverse_z = 1 / z.clamp_min(1e-3)
    px, py, pz = (p - c for p, c in zip((x, y, z), centre[..., None].unbind(1), strict=True))
    a, c = K[0, 0] * inverse_z, -K[0, 0] * x * inverse_z**2
    b, d = K[1, 1] * inverse_z, -K[1, 1] * y * inverse_z**2
    zero = torch.zeros_like(a)
    flow_u = torch.stack([a, zero, c, py * c, pz * a - px * c, -py * a], 1)
    flow_v = torch.stack([zero, b, d, py * d - pz * b, -px * d, px * b], 1)
    return flow_u, flow_v
