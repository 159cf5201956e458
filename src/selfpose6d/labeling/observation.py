"""What was observed of one instance, prepared once: two crops, the visible surface, the camera. The frame ends here."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.crops.crop import square_box
from selfpose6d.errors import UsageError
from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.labeling.detail import erode, high_pass, image_gradient
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.noise import DepthNoise, known_noise, measure_noise
from selfpose6d.objects.object_model import COARSE_MESH, FINE_MESH, ObjectModel
from selfpose6d.types import MIN_POINTS, Frame, Instance, LabeledPose, MaskQuality

CROP_MARGIN = 0.15
"""Fraction of the mask's side added on each side of it: room for poses that stick out."""
ERODE_PX = 2
"""Mixed pixels of depth sensors at an edge are one or two wide."""
MAX_SPREAD = 1.25
"""Diameters from the median beyond which a point cannot be the object's: 1 at most if the median lies on it."""
MIN_ERODED_RATIO = 0.3
"""An eroded mask that keeps less than this is a thin object, which needs its border."""
BLUR_STEPS, BLUR_SIGMAS = 0.4, 4.0
"""Deviation of the blur before sampling, of the sampling's step; and how far the blur reaches, of its deviation."""
MAX_DISTANCE_PX = 10.0
"""Distances from the mask are cut here, so that far wrong pixels do not outweigh near ones."""

COARSE_SHIFT_RATIO, FINE_SHIFT_RATIO = 1 / 64, 1 / 32
"""How far RGB may be off depth, of a crop's side: some pixels of a YCB-Video image, hardly one of a coarse crop.
Without any, ADD(-S) falls by 1.4 on the real sample; twice as far changes nothing (docs/results.md)."""


@dataclass(frozen=True)
class ObservationOptions:
    """How finely an instance is sampled."""

    num_points: int = 200
    """Points of the visible surface that the resolver fits."""
    coarse_px: int = 64
    """Crop side of the search, pixels."""
    fine_px: int = 128
    """Crop side of the last refinement and of the final score, pixels."""

    def __post_init__(self) -> None:
        if self.num_points < 1:
            raise UsageError(f"num_points must be at least 1, got {self.num_points}.")
        for name in ("coarse_px", "fine_px"):
            if getattr(self, name) < 16 or getattr(self, name) % 2:
                raise UsageError(f"{name} must be even and at least 16, got {getattr(self, name)}.")


@dataclass(frozen=True)
class ObservedFrame:
    """A frame with what is constant about it: its depth without sentinels (0 is unknown), and that depth's noise."""

    frame: Frame
    depth_m: Float[np.ndarray, "height width"]
    noise: DepthNoise

    @classmethod
    def of(cls, frame: Frame, noise_m: float | None = None) -> "ObservedFrame":
        """`noise_m`: standard deviation of the depth where it is known; None: measured on the frame."""
        depth_m = np.nan_to_num(frame.depth_m.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return cls(frame, depth_m, measure_noise(depth_m) if noise_m is None else known_noise(noise_m))


@dataclass(frozen=True)
class Prompt:
    """A mask as it was given, and what is known of its quality; None: to be found out (an outline, exact or not)."""

    mask: Bool[np.ndarray, "height width"]
    quality: MaskQuality | None = None


@dataclass(frozen=True)
class ObservedCrop:
    """A square crop about the instance, resized, with all that is constant about it. Depth 0 is unknown.

    RGB may be registered to depth with an error of up to `max_shift_px` crop pixels either way: the colour term takes
    the best of `shifts` = (2 * max_shift_px + 1) squared. `padded_detail` is the high-pass LAB with as many pixels of
    zeros around it; `inner` the mask without its border, `inner_px` the flat indices of its pixels, `shifted` their
    high-pass LAB and its square at each shift. `outside_px` is the distance of each pixel from the mask (0 inside),
    capped, and its gradients along u and v. `mesh_index` names the level of detail of `ObjectModel.packed` that fits,
    `lengths` what is near and far for the object at its distance.
    """

    rgb: Float[Tensor, "size size 3"]
    depth_m: Float[Tensor, "size size"]
    mask: Bool[Tensor, "size size"]
    in_image: Bool[Tensor, "size size"]
    K: Float[Tensor, "3 3"]
    mesh_index: int
    lengths: Lengths
    max_shift_px: int
    padded_detail: Float[Tensor, "3 padded padded"]
    inner: Bool[Tensor, "size size"]
    inner_px: Int[Tensor, " pixels"]
    shifted: Float[Tensor, "4 shifts pixels"]
    outside_px: Float[Tensor, "3 size size"]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), equal."""
        return (self.mask.shape[0], self.mask.shape[1])

    @property
    def area_px(self) -> Tensor:
        """Pixels of the mask; 1 where the crop shows none."""
        return self.mask.sum().clamp_min(1)


@dataclass(frozen=True)
class Observation:
    """One instance as seen: crops at two resolutions, all points of its visible surface, and a sample of them."""

    model: ObjectModel
    """Of the object that the mask shows."""
    coarse: ObservedCrop
    fine_crop: Callable[[], ObservedCrop]
    """Makes `fine` at its first call and keeps it; a quick look never asks."""
    surface_cam_m: Float[np.ndarray, "surface 3"]
    cloud_cam_m: Float[Tensor, "points 3"]
    K: Float[Tensor, "3 3"]
    """Camera matrix of the whole image."""
    mask: Bool[np.ndarray, "height width"]
    """Of the instance, in the whole image."""
    prompt: Prompt
    """The mask that was given; `mask` may be a part of it, or grown from it."""
    depth_m: Float[np.ndarray, "height width"]
    """Of the whole image; 0 is unknown."""
    lengths: Lengths
    """What is near and far for the object at its distance."""
    again: Callable[[Bool[np.ndarray, "height width"]], "Observation | LabeledPose"]
    """The same instance by another mask."""

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width)."""
        return (self.mask.shape[0], self.mask.shape[1])

    @property
    def fine(self) -> ObservedCrop:
        """The crop of the last refinement and of the final score."""
        return self.fine_crop()

    @cached_property
    def mask_area_px(self) -> int:
        """Pixels of the mask."""
        return int(self.mask.sum())

    def resampled(self, generator: np.random.Generator) -> "Observation":
        """The same with other points of the surface."""
        cloud = sample_points(self.surface_cam_m, len(self.cloud_cam_m), generator)
        return replace(self, cloud_cam_m=cloud.to(self.cloud_cam_m.device))


def observe(
    seen: ObservedFrame,
    instance: Instance,
    model: ObjectModel,
    options: ObservationOptions,
    generator: np.random.Generator,
    prompt: Prompt | None = None,
) -> Observation | LabeledPose:
    """Everything that scoring and refining need of an instance, on the model's device; or no pose, because.

    `prompt`: what was given, where the instance's mask is another.
    """
    prompt = prompt or Prompt(instance.mask)
    surface = visible_surface(seen.frame, instance, model.diameter_m)
    if isinstance(surface, LabeledPose):
        return surface
    box, device = square_box(instance.mask, CROP_MARGIN), model.device
    lengths = Lengths(model.diameter_m, seen.noise.at(float(np.median(surface[:, 2]))))
    crop = partial(observe_crop, seen, instance.mask, box, device, lengths)
    fine = partial(crop, options.fine_px, FINE_MESH, max_shift_px=int(options.fine_px * FINE_SHIFT_RATIO))
    return Observation(
        model=model,
        coarse=crop(options.coarse_px, COARSE_MESH, max_shift_px=int(options.coarse_px * COARSE_SHIFT_RATIO)),
        fine_crop=cache(fine),
        surface_cam_m=surface,
        cloud_cam_m=sample_points(surface, options.num_points, generator).to(device),
        K=torch.from_numpy(seen.frame.K).to(device, torch.float32),
        mask=instance.mask,
        prompt=prompt,
        depth_m=seen.depth_m,
        lengths=lengths,
        again=lambda mask: observe(seen, replace(instance, mask=mask), model, options, generator, prompt),
    )


def visible_surface(
    frame: Frame, instance: Instance, diameter_m: float
) -> Float[np.ndarray, "surface 3"] | LabeledPose:
    """The instance's visible points, camera frame, metres; or no pose, because there are fewer than 50.

    The mask is eroded against mixed pixels at depth edges (not where little would be left), and points farther
    than the object's size from the median are dropped.
    """
    around = _around(instance.mask, ERODE_PX)
    mask, depth_m = instance.mask[around], frame.depth_m[around]
    usable = mask & (depth_m > 0) & np.isfinite(depth_m)
    if usable.sum() < MIN_POINTS:
        return LabeledPose.none(
            instance.key, f"too few points: {int(usable.sum())} mask pixels with depth, need {MIN_POINTS}"
        )
    kernel = np.ones((2 * ERODE_PX + 1, 2 * ERODE_PX + 1), np.uint8)
    eroded = usable & cv2.erode(mask.astype(np.uint8), kernel).astype(bool)
    if eroded.sum() >= max(4 * MIN_POINTS, MIN_ERODED_RATIO * usable.sum()):
        usable = eroded
    rows, columns = np.nonzero(usable)
    z = depth_m[rows, columns].astype(np.float64)
    x = (columns + around[1].start - frame.K[0, 2]) / frame.K[0, 0] * z
    y = (rows + around[0].start - frame.K[1, 2]) / frame.K[1, 1] * z
    points = np.stack([x, y, z], -1)
    near = np.linalg.norm(points - np.median(points, axis=0), axis=1) < MAX_SPREAD * diameter_m
    if near.sum() < MIN_POINTS:
        reason = f"{int(near.sum())} lie within the object's size of their median, need {MIN_POINTS}"
        return LabeledPose.none(instance.key, f"too few points: {reason}")
    return points[near]


def _around(mask: Bool[np.ndarray, "height width"], margin_px: int) -> tuple[slice, slice]:
    """Rows and columns of the image that hold the mask and a margin; all that is done there costs a tenth."""
    found = []
    for axis in (1, 0):
        filled = np.flatnonzero(mask.any(axis))
        first, last = (filled[0], filled[-1]) if len(filled) else (0, 0)
        found.append(slice(max(int(first) - margin_px, 0), int(last) + 1 + margin_px))
    return found[0], found[1]


def sample_points(
    surface_m: Float[np.ndarray, "surface 3"], count: int, generator: np.random.Generator
) -> Float[Tensor, "{count} 3"]:
    """`count` of the points, none twice where there are enough."""
    chosen = generator.choice(len(surface_m), count, replace=len(surface_m) < count)
    return torch.from_numpy(surface_m[chosen].astype(np.float32))


def observe_crop(
    seen: ObservedFrame,
    mask: Bool[np.ndarray, "height width"],
    box: CropBox,
    device: torch.device,
    lengths: Lengths,
    size_px: int,
    mesh_index: int,
    max_shift_px: int,
) -> ObservedCrop:
    """Resample the frame to the crop (colours by area, depth and mask by the nearest pixel) and prepare it."""
    rgb = torch.from_numpy(
        sample_box(seen.frame.rgb, box, size_px, smooth=True).astype(np.float32) / 255.0
    ).to(device)
    in_image = sample_box(np.ones(mask.shape, np.uint8), box, size_px, smooth=False).astype(bool)
    mask = sample_box(mask.astype(np.uint8), box, size_px, smooth=False).astype(bool)
    mask_px = torch.from_numpy(mask).to(device)
    inner = erode(mask_px[None], max(1, size_px // 64))[0]
    detail = F.pad(high_pass(rgb_to_lab(rgb)[None], mask_px[None])[0], [max_shift_px] * 4)
    row, column = inner.nonzero().unbind(1)
    return ObservedCrop(
        rgb=rgb,
        depth_m=torch.from_numpy(sample_box(seen.depth_m, box, size_px, smooth=False)).to(device),
        mask=mask_px,
        in_image=torch.from_numpy(in_image).to(device),
        K=crop_intrinsics(torch.from_numpy(seen.frame.K.astype(np.float32)), box, size_px).to(device),
        mesh_index=mesh_index,
        lengths=lengths,
        max_shift_px=max_shift_px,
        padded_detail=detail,
        inner=inner,
        inner_px=row * size_px + column,
        shifted=_at_shifts(detail, row, column, 2 * max_shift_px + 1),
        outside_px=outside_distance(mask).to(device),
    )


def _at_shifts(
    padded_detail: Float[Tensor, "3 padded padded"],
    row: Int[Tensor, " pixels"],
    column: Int[Tensor, " pixels"],
    shifts: int,
) -> Float[Tensor, "4 shifts2 pixels"]:
    """High-pass LAB of the pixels at each of `shifts` x `shifts` shifts, and the sum of its squares."""
    width, step = padded_detail.shape[2], torch.arange(shifts, device=padded_detail.device)
    corner = (step[:, None] * width + step).reshape(-1, 1)
    where = corner + (row * width + column)
    shifted = padded_detail.flatten(1).index_select(1, where.flatten()).reshape(3, *where.shape)
    return torch.cat([shifted, shifted.square().sum(0, keepdim=True)])


def outside_distance(mask: Bool[np.ndarray, "size size"]) -> Float[Tensor, "3 size size"]:
    """Distance of each pixel from the mask (0 inside), capped, and its gradients along u and v."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    distance_px = torch.from_numpy(np.minimum(distance, MAX_DISTANCE_PX).astype(np.float32))
    return torch.stack([distance_px, *image_gradient(distance_px)])


def sample_box(image: np.ndarray, box: CropBox, size_px: int, smooth: bool) -> np.ndarray:
    """Sample the box at `size_px` x `size_px` pixel centres; 0 outside the image."""
    step = box.side_px / size_px
    first = 0.5 * step - 0.5
    left, top = box.left_px + first, box.top_px + first
    if smooth and step > 1.0:
        sigma_px = BLUR_STEPS * step
        reach = math.ceil(BLUR_SIGMAS * sigma_px) + 2
        rows = _within(box.top_px, box.side_px, reach, image.shape[0])
        columns = _within(box.left_px, box.side_px, reach, image.shape[1])
        image = cv2.GaussianBlur(image[rows, columns], (0, 0), sigma_px)
        left, top = left - columns.start, top - rows.start
    matrix = np.array([[step, 0, left], [0, step, top]])
    flags = (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_CONSTANT)


def _within(first_px: float, side_px: float, margin_px: int, image_px: int) -> slice:
    """A stretch and its margins, as far as the image has it, at least one pixel."""
    low = min(max(int(first_px) - margin_px, 0), image_px - 1)
    return slice(low, max(min(int(first_px + side_px) + 1 + margin_px, image_px), low + 1))
