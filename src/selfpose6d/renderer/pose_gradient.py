"""How a loss on rendered images changes with the pose, for any device.

A moving surface carries its colour, its mask and its depth across the image. A motion along the line of two
neighbouring pixels moves the edge between their values: half the sum of their gradients, times the difference of their
values, is the loss that flows across it (the edge flux), a force F at the surface point between them (loss per metre of
its motion, camera frame). Where one surface hides the other, the hiding one's occluding contour is that point. Depth
also grows by the motion itself. Summed over all forces: `dL/dR = sum F x^T`, `dL/dt = sum F`, x in the object frame.

No list of edges is needed, faces may be smaller than a pixel, and any way of shading will do.

Reference: Pidhorskyi et al., Rasterized Edge Gradients, 2024 (edges); Horn and Schunck, 1981 (what moves within).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.checks import require_equal_lengths
from selfpose6d.renderer.pose_gradient_numba import EDGE_ON, GAP_PX, MAX_CONTOUR_PX, add_row_gradients
from selfpose6d.renderer.posed import PosedMeshes


@dataclass(frozen=True)
class RenderedPixels:
    """A rendering and what it was made from; `samples` x `samples` of its pixels make one of the image."""

    posed: PosedMeshes
    face_id: Int[Tensor, "images height width"]
    rgb: Float[Tensor, "images height width 3"]
    depth_m: Float[Tensor, "images height width"]
    samples: int = 1


@dataclass(frozen=True)
class ImageGradient:
    """Gradient of the loss for every value of the image, each the mean of its samples."""

    rgb: Float[Tensor, "images height width 3"]
    mask: Float[Tensor, "images height width"]
    depth_m: Float[Tensor, "images height width"]


def pose_gradient(
    pixels: RenderedPixels, gradient: ImageGradient, backend: Backend = "auto"
) -> Float[Tensor, "images 4 4"]:
    """Gradient of the loss for `T_cam_obj` (its last row 0).

    Raises:
        UsageError: lengths differ.
    """
    require_equal_lengths(pixels=pixels.face_id, posed=pixels.posed, gradient=gradient.rgb)
    run = _gradient_numba if runs_numba(backend, pixels.posed.meshes.vertices_m.device) else _gradient_torch
    return run(pixels, gradient)


def _gradient_numba(pixels: RenderedPixels, gradient: ImageGradient) -> Float[Tensor, "images 4 4"]:
    posed, (images, height) = pixels.posed, gradient.mask.shape[:2]
    rows = np.zeros((images, height, 3, 4))
    add_row_gradients(
        posed.meshes.vertices_m.numpy(),
        posed.meshes.faces.numpy(),
        posed.T_cam_obj.double().numpy(),
        posed.K.double().numpy(),
        pixels.face_id.numpy(),
        pixels.rgb.numpy(),
        pixels.depth_m.numpy(),
        gradient.rgb.contiguous().numpy(),
        gradient.mask.contiguous().numpy(),
        gradient.depth_m.contiguous().numpy(),
        pixels.samples,
        rows,
    )
    total = torch.zeros_like(posed.T_cam_obj)
    total[:, :3] = torch.from_numpy(rows.sum(1)).to(total)
    return total


def _gradient_torch(pixels: RenderedPixels, gradient: ImageGradient) -> Float[Tensor, "images 4 4"]:
    """Every sample's forces at its own points."""
    s = pixels.samples
    if s > 1:
        spread = (
            (image / s**2).repeat_interleave(s, 1).repeat_interleave(s, 2)
            for image in (gradient.rgb, gradient.mask, gradient.depth_m)
        )
        gradient = ImageGradient(*spread)
    surface = _surface(pixels)
    along_z = torch.zeros_like(surface.rays)
    along_z[..., 2] = gradient.depth_m * (pixels.face_id >= 0)
    total = _sum_of_forces(along_z, surface.points_cam_m, pixels)
    for axis in (0, 1):
        total = total + _sum_of_forces(*_edge_flux(pixels, gradient, surface, axis), pixels)
    return total


@dataclass(frozen=True)
class _Surface:
    """The visible surface at every pixel, camera frame; zeros in the background."""

    rays: Float[Tensor, "images height width 3"]
    """Line of sight, z = 1."""
    points_cam_m: Float[Tensor, "images height width 3"]
    normals: Float[Tensor, "images height width 3"]
    """Unit normals that face the camera."""


def _surface(pixels: RenderedPixels) -> _Surface:
    height, width = pixels.face_id.shape[1:]
    K = pixels.posed.K[:, None, None]
    v, u = torch.meshgrid(
        torch.arange(height, device=K.device), torch.arange(width, device=K.device), indexing="ij"
    )
    y = (v - K[..., 1, 2]) / K[..., 1, 1]
    rays = torch.stack([(u - K[..., 0, 2] - K[..., 0, 1] * y) / K[..., 0, 0], y, torch.ones_like(y)], -1)
    n = pixels.posed.meshes.face_normals()[pixels.face_id.clamp_min(0).long()]
    n = torch.einsum("bij,bhwj->bhwi", pixels.posed.T_cam_obj[:, :3, :3], n)
    n = torch.where((n * rays).sum(-1, keepdim=True) > 0, -n, n) * (pixels.face_id >= 0)[..., None]
    return _Surface(rays, rays * pixels.depth_m[..., None], n)


def _sum_of_forces(
    force: Float[Tensor, "images rows columns 3"],
    point_cam_m: Float[Tensor, "images rows columns 3"],
    pixels: RenderedPixels,
) -> Float[Tensor, "images 4 4"]:
    R, t = pixels.posed.T_cam_obj[:, :3, :3], pixels.posed.T_cam_obj[:, :3, 3]
    force, x = force.flatten(1, 2), (point_cam_m.flatten(1, 2) - t[:, None]) @ R
    total = torch.zeros_like(pixels.posed.T_cam_obj)
    total[:, :3, :3] = force.mT @ x
    total[:, :3, 3] = force.sum(1)
    return total


def _edge_flux(
    pixels: RenderedPixels, gradient: ImageGradient, surface: _Surface, axis: int
) -> tuple[Float[Tensor, "images rows columns 3"], Float[Tensor, "images rows columns 3"]]:
    """Force and point between neighbours along the image's u (`axis` 0) or v (1)."""
    dim, size = 2 - axis, pixels.face_id.shape[2 - axis]
    first = lambda image: image.narrow(dim, 0, size - 1)  # noqa: E731
    second = lambda image: image.narrow(dim, 1, size - 1)  # noqa: E731
    values = torch.cat(
        [pixels.rgb, (pixels.face_id >= 0).to(pixels.rgb)[..., None], pixels.depth_m[..., None]], -1
    )
    g = torch.cat([gradient.rgb, gradient.mask[..., None], gradient.depth_m[..., None]], -1)
    flux = 0.5 * ((first(g) + second(g)) * (first(values) - second(values))).sum(-1)
    X = 0.5 * (first(surface.points_cam_m) + second(surface.points_cam_m))
    edge = _hides(pixels, surface, first, second)
    X = torch.where(edge[..., None], _contour_points(pixels, surface, first, second, axis), X)
    x, y, z = X.unbind(-1)
    z = z.clamp_min(1e-6)  # the background; no flux
    K, zero = pixels.posed.K[:, None, None], torch.zeros_like(z)
    if axis == 0:
        per_metre = (K[..., 0, 0] / z, K[..., 0, 1] / z, -(K[..., 0, 0] * x + K[..., 0, 1] * y) / z**2)
    else:
        per_metre = (zero, K[..., 1, 1] / z, -K[..., 1, 1] * y / z**2)
    return flux[..., None] * torch.stack(per_metre, -1), X


Side = Callable[[Tensor], Tensor]
"""The image at the first, or at the second, of each two neighbouring pixels."""


def _hides(
    pixels: RenderedPixels, surface: _Surface, first: Side, second: Side
) -> Bool[Tensor, "images rows columns"]:
    """Where one of two neighbouring pixels' surfaces hides the other: the background, or one that lies behind.

    Surfaces that continue or touch each other do not.
    """
    a, b = first(pixels.face_id), second(pixels.face_id)
    gap = torch.minimum(
        _plane_gap(surface, pixels.depth_m, first, second), _plane_gap(surface, pixels.depth_m, second, first)
    )
    gap = torch.minimum(gap, (first(pixels.depth_m) - second(pixels.depth_m)).abs())
    width_m = first(pixels.depth_m) / pixels.posed.K[:, None, None, 0, 0]
    apart = (a >= 0) & (b >= 0) & (a != b) & (gap > GAP_PX * width_m)
    where = apart.nonzero(as_tuple=True)
    corners_a = pixels.posed.meshes.vertices_m[pixels.posed.meshes.faces[a[where].long()]]
    corners_b = pixels.posed.meshes.vertices_m[pixels.posed.meshes.faces[b[where].long()]]
    touch = (corners_a[:, :, None] == corners_b[:, None]).all(-1).flatten(1).any(-1)
    apart[where] = ~touch
    return ((a >= 0) != (b >= 0)) | apart


def _plane_gap(
    surface: _Surface, depth_m: Tensor, here: Side, there: Side
) -> Float[Tensor, "images rows columns"]:
    """Depth between the other pixel's point and this one's plane, continued to the other pixel."""
    N = here(surface.normals)
    facing = (N * there(surface.rays)).sum(-1)
    continued = (N * here(surface.points_cam_m)).sum(-1)
    continued = continued / torch.where(facing.abs() > EDGE_ON, facing, torch.inf)
    return (there(depth_m) - continued).abs()


def _contour_points(
    pixels: RenderedPixels, surface: _Surface, first: Side, second: Side, axis: int
) -> Float[Tensor, "images rows columns 3"]:
    """Where the nearer of two surfaces ends: half a pixel on, and as much deeper as its curvature makes likely.

    A surface that curves away from the camera has its contour farther back than the last pixel's point. With the
    normal at an angle a to the line of sight, and the pixel's half width h, a round one's lies
    `h cos a / (1 - sin a)` deeper.
    """
    z_or_far = torch.where(pixels.face_id >= 0, pixels.depth_m, torch.inf)
    first_is_front = (first(z_or_far) <= second(z_or_far))[..., None]
    N, ray, X = (
        torch.where(first_is_front, first(image), second(image))
        for image in (surface.normals, surface.rays, surface.points_cam_m)
    )
    step = torch.where(first_is_front[..., 0], 1.0, -1.0)
    focal = pixels.posed.K[:, None, None, axis, axis]
    half = 0.5 * X[..., 2] / focal
    away, towards = N[..., axis] * step, -(N * ray).sum(-1) / ray.norm(dim=-1)
    length = (away.square() + towards.square()).sqrt().clamp_min(1e-6)
    deeper = half * (towards / length) / (1 - away / length).clamp_min(1e-3)
    z = X[..., 2] + torch.minimum(deeper, MAX_CONTOUR_PX * 2 * half)
    across = torch.zeros_like(X)
    across[..., axis] = 0.5 * step / focal
    return (ray + across) * z[..., None]
