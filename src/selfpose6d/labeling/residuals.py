"""Residuals of a pose, linearised for a small motion (v, w): translation in metres, rotation about the object's centre.

- depth: measured point to the plane of the face rendered at its pixel (metres);
- geometry: observed point to the plane of its nearest model sample (metres);
- colour: high-pass LAB of the crop against the rendering's, with the RGB-to-depth shift of the score;
- free space: rendered pixels that hide measured background, by their distance from the mask (pixels).

Colour and free space are residuals of the image motion (u, v) under a pixel: five terms a pixel, the entries uu, uv, vv
of its 2x2 normal equations and u, v of their right-hand side.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.geometry.camera import back_project
from selfpose6d.geometry.nearest import nearest_index
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.labeling.candidates import RenderedCandidates
from selfpose6d.labeling.detail import erode, image_gradient
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.residuals_numba import accumulate_systems
from selfpose6d.objects.object_model import ObjectModel

COLOUR_SCALE_LAB = 16.0
"""Of matching detail under another light; half and twice of it score the same (docs/results.md)."""
SILHOUETTE_SCALE_PX = 0.5
"""A rasterised outline is right to half a pixel."""


class ResidualScales(NamedTuple):
    """What makes residuals of different kinds comparable."""

    geometry_m: float
    robust_m: float
    colour_lab: float
    silhouette_px: float
    free_space_m: float

    @classmethod
    def of(cls, lengths: Lengths) -> "ResidualScales":
        """For one object at one distance."""
        lengths_m = lengths.geometry_scale_m, lengths.robust_m, lengths.free_space_m
        return cls(lengths_m[0], lengths_m[1], COLOUR_SCALE_LAB, SILHOUETTE_SCALE_PX, lengths_m[2])


System = tuple[Float[Tensor, "poses 6 6"], Float[Tensor, "poses 6"]]
"""Normal equations H, g of every pose."""


def geometry_system(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    T: Float[Tensor, "poses 4 4"],
    lengths: Lengths,
) -> System:
    """Observed points against the planes of their nearest samples, Geman-McClure weights."""
    num_poses, num_points, centre = len(T), len(cloud_cam_m), model.centre_at(T)
    zero = torch.zeros(num_poses, dtype=torch.long, device=T.device)
    points_obj_m = transform_points(inverse(T), cloud_cam_m.expand(num_poses, -1, -1))
    index = nearest_index(model.grid, zero, points_obj_m)
    nearest = transform_points(T, model.grid.points_m[0][index])
    normal = model.grid.normals[0][index] @ T[:, :3, :3].mT
    offset = cloud_cam_m - nearest
    J = torch.cat([normal, torch.linalg.cross(nearest - centre[:, None], normal)], -1)
    robust_m2 = lengths.robust_m**2
    robust = (robust_m2 / (robust_m2 + offset.square().sum(-1))).square()
    weighted = (J * (robust / (num_points * lengths.geometry_scale_m**2))[..., None]).mT
    return weighted @ J, (weighted @ (normal * offset).sum(-1)[..., None]).squeeze(-1)


def rendered_system(
    rendered: RenderedCandidates, shift: Int[Tensor, " poses"] | None, backend: Backend = "auto"
) -> System:
    """All that is read off a rendering: depth, free space and, with the score's `shift`, colour."""
    shift = shift if rendered.detail is not None else None
    run = _rendered_system_numba if runs_numba(backend, rendered.depth_m.device) else _rendered_system_torch
    return run(rendered, shift)


def _rendered_system_numba(rendered: RenderedCandidates, shift: Int[Tensor, " poses"] | None) -> System:
    candidates, crop = rendered.candidates, rendered.crop
    T = candidates.T_cam_obj
    H, g = np.zeros((len(T), 6, 6), np.float32), np.zeros((len(T), 6), np.float32)
    shifts = 2 * crop.max_shift_px + 1
    corner, detail = np.full((len(T), 2), -1), np.zeros((len(T), 3, 0, 0), np.float32)
    if shift is not None and rendered.detail is not None:
        corner = np.stack([shift.numpy() // shifts, shift.numpy() % shifts], 1)
        detail = rendered.detail.numpy()
    accumulate_systems(
        crop.mask.numpy(),
        crop.depth_m.numpy(),
        crop.in_image.numpy(),
        crop.K.double().numpy(),
        crop.inner.numpy(),
        crop.padded_detail.numpy(),
        crop.outside_px.numpy(),
        candidates.model.face_normals.numpy(),
        rendered.face_id.numpy(),
        rendered.covered.numpy(),
        rendered.depth_m.numpy(),
        detail,
        T.double().numpy(),
        candidates.centre_cam_m.double().numpy(),
        corner,
        ResidualScales.of(crop.lengths),
        H,
        g,
    )
    return torch.from_numpy(H), torch.from_numpy(g)


def _rendered_system_torch(rendered: RenderedCandidates, shift: Int[Tensor, " poses"] | None) -> System:
    """Reference for any device."""
    H_depth, g_depth = depth_system(rendered)
    terms = free_space_terms(rendered)
    if shift is not None:
        terms = terms + colour_terms(rendered, shift)
    H_image, g_image = image_system(rendered, terms)
    return H_depth + H_image, g_depth + g_image


def depth_system(rendered: RenderedCandidates) -> System:
    """Measured depth against the plane of the face rendered at the same pixel.

    Unlike `geometry_system` it pairs with visible faces only, so that thin walls keep their sides.
    """
    crop, candidates = rendered.crop, rendered.candidates
    T = candidates.T_cam_obj
    measured = rendered.covered & (crop.mask & (crop.depth_m > 0))
    gap_m = crop.depth_m - rendered.depth_m
    X = back_project(rendered.depth_m, crop.K.expand(len(T), 3, 3)).flatten(1, 2)
    normal = candidates.model.face_normals[rendered.face_id.clamp_min(0).long()].flatten(1, 2)
    normal = normal @ T[:, :3, :3].mT
    ray = X / X[..., 2:].clamp_min(1e-3)
    r = (normal * ray).sum(-1) * gap_m.flatten(1)
    w = measured / (1 + (gap_m / crop.lengths.robust_m).square()).square()
    w = w / (crop.area_px * crop.lengths.geometry_scale_m**2)
    J = torch.cat([normal, torch.linalg.cross(X - candidates.centre_cam_m[:, None], normal)], -1)
    weighted = (J * w.flatten(1)[..., None]).mT
    return weighted @ J, (weighted @ r[..., None]).squeeze(-1)


def colour_terms(
    rendered: RenderedCandidates, shift: Int[Tensor, " poses"]
) -> Float[Tensor, "poses 5 size size"]:
    """Rendered detail against the crop's, at the shift of RGB to depth."""
    assert rendered.detail is not None
    crop, detail = rendered.crop, rendered.detail
    region = (crop.inner & erode(rendered.covered, 2)).to(detail)
    size, shifts = crop.shape[0], 2 * crop.max_shift_px + 1
    windows = crop.padded_detail.unfold(1, size, 1).unfold(2, size, 1)
    target = windows[:, shift // shifts, shift % shifts].transpose(0, 1)
    r = detail - target
    du, dv = image_gradient(0.5 * (detail + target))
    w = region / (1 + r.square().sum(1) / (3 * COLOUR_SCALE_LAB) ** 2)
    w = w / (crop.area_px * COLOUR_SCALE_LAB**2)
    terms = [(du * du).sum(1), (du * dv).sum(1), (dv * dv).sum(1), (du * r).sum(1), (dv * r).sum(1)]
    return torch.stack(terms, 1) * w[:, None]


def free_space_terms(rendered: RenderedCandidates) -> Float[Tensor, "poses 5 size size"]:
    """Rendered pixels that hide measured background, down the mask's distance field."""
    crop, (distance, du, dv) = rendered.crop, rendered.crop.outside_px
    wrong = rendered.covered & (~crop.mask & (crop.depth_m > 0) & crop.in_image)
    wrong = wrong & (crop.depth_m - rendered.depth_m > crop.lengths.free_space_m)
    terms = torch.stack([du * du, du * dv, dv * dv, -du * distance, -dv * distance])
    return terms * (wrong / (crop.area_px * SILHOUETTE_SCALE_PX**2))[:, None]


def image_system(rendered: RenderedCandidates, terms: Float[Tensor, "poses 5 size size"]) -> System:
    """From terms of the image motion under each pixel to those of the pose's."""
    flow_u, flow_v = _pixel_flow(rendered)
    uu, uv, vv, bu, bv = terms.flatten(2).unbind(1)
    H = (flow_u * uu[:, None] + flow_v * uv[:, None]) @ flow_u.mT
    H = H + (flow_u * uv[:, None] + flow_v * vv[:, None]) @ flow_v.mT
    return H, (flow_u @ bu[..., None] + flow_v @ bv[..., None]).squeeze(-1)


def _pixel_flow(
    rendered: RenderedCandidates,
) -> tuple[Float[Tensor, "poses 6 pixels"], Float[Tensor, "poses 6 pixels"]]:
    """How the surface point under each pixel moves in the image (u and v) per unit of (v, w) about the centre."""
    K, centre = rendered.crop.K, rendered.candidates.centre_cam_m
    x, y, z = back_project(rendered.depth_m, K.expand(len(centre), 3, 3)).flatten(1, 2).unbind(-1)
    inverse_z = 1 / z.clamp_min(1e-3)
    px, py, pz = (p - c for p, c in zip((x, y, z), centre[..., None].unbind(1), strict=True))
    a, c = K[0, 0] * inverse_z, -K[0, 0] * x * inverse_z**2
    b, d = K[1, 1] * inverse_z, -K[1, 1] * y * inverse_z**2
    zero = torch.zeros_like(a)
    flow_u = torch.stack([a, zero, c, py * c, pz * a - px * c, -py * a], 1)
    flow_v = torch.stack([zero, b, d, py * d - pz * b, -px * d, px * b], 1)
    return flow_u, flow_v
