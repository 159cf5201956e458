"""How a loss on rendered images changes with the pose, for any device.

Every pixel pulls at one point of the surface with a force F (loss per metre of that point's motion, camera frame);
the gradient is the sum of the forces' work: `dL/dR = sum F x^T`, `dL/dt = sum F`, x the point in the object frame.

- Inside a surface: the ray of a pixel stays, the face's plane moves under it, so that depth and texture slide.
- Across an edge between two neighbouring pixels, where one surface hides the other: a motion of the hiding surface
  trades area between the two pixels' values. No edge list is needed, and faces may be smaller than a pixel.

Reference: Pidhorskyi et al., Rasterized Edge Gradients, 2024 (edges).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.renderer.packed import PackedMeshes

EDGE_ON = 1e-4
"""Faces whose plane is closer than this (cosine) to the line of sight pull no texture and no depth."""
GAP_PX = 2.0
"""Neighbouring pixels show different surfaces if neither face's plane comes within this of the other's pixel."""
MAX_RIM_PX = 8.0
"""Most that a silhouette is taken to lie behind the pixel beside it, in pixels' widths."""


@dataclass(frozen=True)
class RenderedPixels:
    """A rendering and what it was made from."""

    mesh_index: Int[Tensor, "images"]
    T_cam_obj: Float[Tensor, "images 4 4"]
    K: Float[Tensor, "images 3 3"]
    level: Int[Tensor, "images"]
    face_id: Int[Tensor, "images height width"]
    rgb: Float[Tensor, "images height width 3"]
    depth_m: Float[Tensor, "images height width"]


@dataclass(frozen=True)
class ImageGradient:
    """Gradient of the loss for every rendered value."""

    rgb: Float[Tensor, "images height width 3"]
    mask: Float[Tensor, "images height width"]
    depth_m: Float[Tensor, "images height width"]
    depth_step_m: Float[Tensor, "images height width"]
    """For depth that is gained or lost where a surface's edge moves: as if the image held the mean over each pixel."""


def pose_gradient_torch(
    meshes: PackedMeshes, pixels: RenderedPixels, gradient: ImageGradient
) -> Float[Tensor, "images 4 4"]:
    """Gradient of the loss for `T_cam_obj` (its last row 0)."""
    surface = _surface(meshes, pixels)
    total = _sum_forces(_surface_forces(meshes, pixels, gradient, surface), surface.points_cam_m, pixels)
    for axis in (0, 1):
        total = total + _edge_gradient(meshes, pixels, gradient, surface, axis)
    return total


@dataclass(frozen=True)
class _Surface:
    """The visible surface at every pixel, camera frame; zeros in the background."""

    rays: Float[Tensor, "images height width 3"]
    """Line of sight, z = 1."""
    points_cam_m: Float[Tensor, "images height width 3"]
    normals: Float[Tensor, "images height width 3"]
    """Unit normals that face the camera."""


def _surface(meshes: PackedMeshes, pixels: RenderedPixels) -> _Surface:
    height, width = pixels.face_id.shape[1:]
    v, u = torch.meshgrid(
        torch.arange(height, device=pixels.K.device),
        torch.arange(width, device=pixels.K.device),
        indexing="ij",
    )
    rays = _rays(pixels.K[:, None, None], u.to(pixels.K), v.to(pixels.K))
    n = meshes.face_normals()[pixels.face_id.clamp_min(0).long()]
    n = torch.einsum("bij,bhwj->bhwi", pixels.T_cam_obj[:, :3, :3], n)
    n = torch.where((n * rays).sum(-1, keepdim=True) > 0, -n, n) * (pixels.face_id >= 0)[..., None]
    return _Surface(rays, rays * pixels.depth_m[..., None], n)


def _rays(K: Float[Tensor, "*#batch 3 3"], u: Tensor, v: Tensor) -> Float[Tensor, "*batch 3"]:
    y = (v - K[..., 1, 2]) / K[..., 1, 1]
    x = (u - K[..., 0, 2] - K[..., 0, 1] * y) / K[..., 0, 0]
    return torch.stack([x, y.expand_as(x), torch.ones_like(x)], -1)


def _sum_forces(
    force: Float[Tensor, "images rows columns 3"],
    point_cam_m: Float[Tensor, "images rows columns 3"],
    pixels: RenderedPixels,
) -> Float[Tensor, "images 4 4"]:
    R, t = pixels.T_cam_obj[:, :3, :3], pixels.T_cam_obj[:, :3, 3]
    force, x = force.flatten(1, 2), (point_cam_m.flatten(1, 2) - t[:, None]) @ R
    total = torch.zeros_like(pixels.T_cam_obj)
    total[:, :3, :3] = force.mT @ x
    total[:, :3, 3] = force.sum(1)
    return total


def _surface_forces(
    meshes: PackedMeshes, pixels: RenderedPixels, gradient: ImageGradient, surface: _Surface
) -> Float[Tensor, "images height width 3"]:
    """A surface point that moves by V shows up `N.V / N.r` deeper along the ray r, and its texture slides."""
    covered = pixels.face_id >= 0
    image = covered.nonzero()[:, 0]
    N, ray = surface.normals[covered], surface.rays[covered]
    slide = _texture_gradient(meshes, pixels, image, surface.points_cam_m[covered], gradient.rgb[covered])
    facing = (N * ray).sum(-1)
    pull = gradient.depth_m[covered] + (slide * ray).sum(-1)
    seen = facing.abs() > EDGE_ON * ray.norm(dim=-1)
    force = (pull / torch.where(seen, facing, 1.0))[:, None] * N - slide
    forces = torch.zeros_like(surface.rays)
    forces[covered] = torch.where(seen[:, None], force, 0.0)
    return forces


def _texture_gradient(
    meshes: PackedMeshes,
    pixels: RenderedPixels,
    image: Int[Tensor, "n"],
    point_cam_m: Float[Tensor, "n 3"],
    g_rgb: Float[Tensor, "n 3"],
) -> Float[Tensor, "n 3"]:
    """Loss per metre that the point under the pixel slides over the surface, camera frame."""
    face = pixels.face_id[pixels.face_id >= 0].long()
    corners = meshes.vertices_m[meshes.faces[face]]
    a, b, c = corners.unbind(1)
    n = torch.linalg.cross(b - a, c - a)
    n = n / n.square().sum(-1, keepdim=True).clamp_min(1e-30)
    weight_gradient = torch.stack([torch.linalg.cross(n, edge) for edge in (c - b, a - c, b - a)], 1)
    T, mesh = pixels.T_cam_obj[image], pixels.mesh_index[image]
    size = meshes.texture_size[mesh, pixels.level[image]]
    textured = (size[:, 0] > 0)[:, None, None]
    x = torch.einsum("nij,ni->nj", T[:, :3, :3], point_cam_m - T[:, :3, 3])
    weights = torch.einsum("nki,nki->nk", weight_gradient, x[:, None] - torch.stack([b, c, a], 1))
    uv = (meshes.corner_uv[face] * weights[..., None]).sum(1)
    start = meshes.texture_start[mesh, pixels.level[image]]
    per_uv = (
        _texel_slopes(meshes.texels, start, size, uv, g_rgb) if len(meshes.texels) else torch.zeros_like(uv)
    )
    of_corner = torch.where(
        textured[..., 0],
        (meshes.corner_uv[face] * per_uv[:, None]).sum(-1),
        (meshes.vertex_rgb[meshes.faces[face]] * g_rgb[:, None]).sum(-1),
    )
    slide = (of_corner[..., None] * weight_gradient).sum(1)
    return torch.einsum("nij,nj->ni", T[:, :3, :3], slide)


def _texel_slopes(
    texels: Float[Tensor, "texels 3"],
    start: Int[Tensor, "n"],
    rows_columns: Int[Tensor, "n 2"],
    uv: Float[Tensor, "n 2"],
    g_rgb: Float[Tensor, "n 3"],
) -> Float[Tensor, "n 2"]:
    """Loss per unit of u and v, of the bilinear lookup of `sample_bilinear`."""
    rows, columns = rows_columns.clamp_min(1).unbind(-1)
    x, y = uv[:, 0] * columns - 0.5, (1.0 - uv[:, 1]) * rows - 0.5
    x0, y0 = x.floor(), y.floor()
    fx, fy = x - x0, y - y0
    left, right = x0.long() % columns, (x0.long() + 1) % columns
    top, bottom = y0.long() % rows, (y0.long() + 1) % rows
    last = len(texels) - 1
    corner = [
        (texels[(start + row * columns + column).clamp_max(last)] * g_rgb).sum(-1)
        for row in (top, bottom)
        for column in (left, right)
    ]
    per_u = columns * ((1 - fy) * (corner[1] - corner[0]) + fy * (corner[3] - corner[2]))
    per_v = -rows * ((1 - fx) * (corner[2] - corner[0]) + fx * (corner[3] - corner[1]))
    return torch.stack([per_u, per_v], -1)


def _edge_gradient(
    meshes: PackedMeshes, pixels: RenderedPixels, gradient: ImageGradient, surface: _Surface, axis: int
) -> Float[Tensor, "images 4 4"]:
    """Edges between neighbours along the image's u (`axis` 0) or v (1)."""
    dim = 2 - axis
    size = pixels.face_id.shape[dim]
    first = lambda image: image.narrow(dim, 0, size - 1)  # noqa: E731
    second = lambda image: image.narrow(dim, 1, size - 1)  # noqa: E731
    face, depth_m = pixels.face_id, pixels.depth_m
    behind = torch.where(face >= 0, depth_m, torch.inf)
    first_is_front = first(behind) <= second(behind)
    front = lambda image: torch.where(  # noqa: E731
        first_is_front.reshape(*first_is_front.shape, *[1] * (image.ndim - 3)), first(image), second(image)
    )
    edge = _hides(meshes, pixels, surface, first, second)
    step = torch.where(first_is_front, 1.0, -1.0)
    trade = torch.zeros_like(step)
    mask = (face >= 0).to(depth_m)
    for value, g in (
        (pixels.rgb, gradient.rgb),
        (mask[..., None], gradient.mask[..., None]),
        (depth_m[..., None], gradient.depth_step_m[..., None]),
    ):
        trade = trade + 0.5 * ((first(g) + second(g)) * (first(value) - second(value))).sum(-1)
    X = _rim_points(
        front(surface.points_cam_m), front(surface.normals), front(surface.rays), pixels.K, axis, step
    )
    x, y, z = X.unbind(-1)
    K = pixels.K[:, None, None]
    zero = torch.zeros_like(z)
    if axis == 0:
        u_per_point = (K[..., 0, 0] / z, K[..., 0, 1] / z, -(K[..., 0, 0] * x + K[..., 0, 1] * y) / z**2)
    else:
        u_per_point = (zero, K[..., 1, 1] / z, -K[..., 1, 1] * y / z**2)
    force = torch.where(edge[..., None], trade[..., None] * torch.stack(u_per_point, -1), 0.0)
    return _sum_forces(force, torch.where(edge[..., None], X, 0.0), pixels)


def _hides(
    meshes: PackedMeshes, pixels: RenderedPixels, surface: _Surface, first, second
) -> Bool[Tensor, "images rows columns"]:
    """Where one of two neighbouring pixels' surfaces hides the other: the background, or one that lies behind."""
    a, b = first(pixels.face_id), second(pixels.face_id)
    outline = (a >= 0) != (b >= 0)
    both = (a >= 0) & (b >= 0) & (a != b)
    gap = torch.minimum(
        _plane_gap(surface, pixels.depth_m, first, second), _plane_gap(surface, pixels.depth_m, second, first)
    )
    width_m = first(pixels.depth_m) / pixels.K[:, None, None, 0, 0]
    apart = both & (gap > GAP_PX * width_m)
    where = apart.nonzero(as_tuple=True)
    corners_a = meshes.vertices_m[meshes.faces[a[where].long()]]
    corners_b = meshes.vertices_m[meshes.faces[b[where].long()]]
    touching = (corners_a[:, :, None] == corners_b[:, None]).all(-1).flatten(1).any(-1)
    apart[where] = ~touching
    return outline | apart


def _plane_gap(surface: _Surface, depth_m: Tensor, here, there) -> Float[Tensor, "images rows columns"]:
    """Depth between the other pixel's surface and this one's plane, continued to the other pixel."""
    N = here(surface.normals)
    facing = (N * there(surface.rays)).sum(-1)
    continued = (N * here(surface.points_cam_m)).sum(-1) / torch.where(
        facing.abs() > EDGE_ON, facing, torch.inf
    )
    return (there(depth_m) - continued).abs()


def _rim_points(
    X: Float[Tensor, "images rows columns 3"],
    N: Float[Tensor, "images rows columns 3"],
    ray: Float[Tensor, "images rows columns 3"],
    K: Float[Tensor, "images 3 3"],
    axis: int,
    step: Float[Tensor, "images rows columns"],
) -> Float[Tensor, "images rows columns 3"]:
    """Where the surface beside an edge ends: half a pixel on, and as much deeper as its curvature makes likely.

    A surface that turns away from the camera has its silhouette farther back than the last pixel's point. With the
    normal at an angle a to the line of sight, and the pixel's half width h, a round rim lies `h cos a / (1 - sin a)`
    deeper.
    """
    focal = K[:, None, None, axis, axis]
    half = 0.5 * X[..., 2] / focal
    away, towards = N[..., axis] * step, -(N * ray).sum(-1) / ray.norm(dim=-1)
    length = (away.square() + towards.square()).sqrt().clamp_min(1e-6)
    deeper = half * (towards / length) / (1 - away / length).clamp_min(1e-3)
    z = X[..., 2] + deeper.clamp(max=MAX_RIM_PX * 2 * half)
    across = torch.zeros_like(X)
    across[..., axis] = 0.5 * step / focal
    return (ray + across) * z[..., None]
