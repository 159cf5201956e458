"""What an object may look like from anywhere: how large, and in which colours. Made once per mesh."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.geometry.viewpoints import fibonacci_sphere, look_from
from selfpose6d.objects.object_model import COARSE_MESH, ObjectModel
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.shade import shade

VIEWS, VIEW_PX = 42, 48
"""Directions, 34 degrees apart, and the side of each rendering: enough for areas and colours."""
BINS = (4, 24, 24)
"""Of lightness, a and b: lightness changes with the light, hue hardly."""
BIN_BLUR = (0.8, 1.5, 1.5)
"""Standard deviation of a colour, in bins: light and white balance move it by as much (20 in L, 16 in a and b)."""


@dataclass(frozen=True)
class Looks:
    """Of one object, a row a view."""

    area_m2: Float[np.ndarray, " views"]
    """Of the silhouette, as from far away."""
    colours: Float[np.ndarray, "views bins"] | None
    """Blurred histograms that sum to 1; None: the mesh has no colour."""
    diameter_m: float

    @classmethod
    def of(cls, model: ObjectModel) -> "Looks":
        """Render the object from all around."""
        direction = fibonacci_sphere(VIEWS).to(model.device)
        radius_m = model.mesh.radius_m
        distance_m = 20 * radius_m
        focal = 0.48 * VIEW_PX * distance_m / radius_m
        middle = (VIEW_PX - 1) / 2
        K = direction.new_tensor([[focal, 0, middle], [0, focal, middle], [0, 0, 1.0]])
        T = look_from(direction, model.centre_m, distance_m)
        posed = PosedMeshes.of_one(model.packed, COARSE_MESH, T, K, (VIEW_PX, VIEW_PX))
        raster = rasterize(posed)
        covered = raster.face_id >= 0
        area = covered.sum((1, 2)).double().cpu().numpy() * (distance_m / focal) ** 2
        colours = None
        if model.has_colour:
            lab = shade(posed, raster)  # packed meshes have LAB colours
            only = np.eye(len(covered), dtype=bool)[:, :, None, None] & covered.cpu().numpy()
            colours = colour_histograms(lab.cpu().numpy(), list(only))
        return cls(area, colours, model.diameter_m)


def colour_histograms(
    lab: Float[np.ndarray, "*shape 3"], masks: Sequence[Bool[np.ndarray, "*shape"]]
) -> Float[np.ndarray, "masks bins"]:
    """Blurred histogram of the LAB colours of each mask; zeros where it has no pixel."""
    low, high = np.array([0.0, -96.0, -96.0]), np.array([100.0, 96.0, 96.0])
    index = np.clip(((lab - low) / (high - low) * BINS).astype(int), 0, np.array(BINS) - 1)
    bin_of, count = (
        np.ravel_multi_index(tuple(index[..., k] for k in range(len(BINS))), BINS),
        int(np.prod(BINS)),
    )
    counts = np.stack([np.bincount(bin_of[mask], minlength=count) for mask in masks]).astype(np.float32)
    grid = counts.reshape(-1, *BINS)
    for axis, (sigma, bins) in enumerate(zip(BIN_BLUR, BINS, strict=True), start=1):
        grid = np.moveaxis(np.tensordot(_blur(sigma, bins), grid, (1, axis)), 0, axis)
    flat = grid.reshape(len(counts), -1)
    return flat / np.maximum(flat.sum(1, keepdims=True), 1e-9)


def image_lab(rgb: UInt8[np.ndarray, "height width 3"], step_px: int) -> Float[np.ndarray, "rows columns 3"]:
    """LAB of an image at every `step_px`-th pixel, averaged over as many."""
    smooth = cv2.blur(rgb, (step_px, step_px)) if step_px > 1 else rgb
    thin = np.ascontiguousarray(smooth[step_px // 2 :: step_px, step_px // 2 :: step_px])
    return rgb_to_lab(torch.from_numpy(thin.astype(np.float32) / 255.0)).numpy()


def alike(
    seen: Float[np.ndarray, "pieces bins"], looks: Float[np.ndarray, "views bins"]
) -> Float[np.ndarray, " pieces"]:
    """Intersection of each histogram with the view that it is most like, 0-1."""
    return np.minimum(seen[:, None], looks[None]).sum(-1).max(1)


def _blur(sigma: float, bins: int) -> Float[np.ndarray, "bins bins"]:
    at = np.arange(bins)
    kernel = np.exp(-0.5 * ((at[:, None] - at) / sigma) ** 2)
    return (kernel / kernel.sum(0)).astype(np.float32)
