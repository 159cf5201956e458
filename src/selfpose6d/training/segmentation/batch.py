"""Windows of stored frames, changed at random, with what the network should say of each of their places."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.crops.augment_colour import (
    add_noise,
    bend_tones,
    change_light,
    change_sharpness,
    jitter_colour,
    shift_colours,
)
from selfpose6d.crops.augment_depth import bend_depth, jitter_depth
from selfpose6d.crops.augment_options import AugmentOptions
from selfpose6d.network.segmentation import STRIDE
from selfpose6d.segmentation.grid import network_input
from selfpose6d.training.segmentation.frames import DEPTH_UNIT_M, IGNORED

WINDOW_PX = 224
"""Of the grid: two thirds of a frame, another part at every step."""
AUGMENT = AugmentOptions(
    brightness=0.4, contrast=0.4, saturation=0.4, hue=0.15, tone=0.4, light=0.4, highlight=0.3, sharpness=0.8,
    colour_shift_px=1, noise=0.03, depth_noise_m=0.001, depth_bumps_m=0.002, depth_dropout=0.1,
)  # fmt: skip
"""Stronger than of crops: what is learned from renderings alone must hold in any room."""


class SegmentationBatch(NamedTuple):
    """Images and targets. `label` is the class of each place (`IGNORED`: none is taught)."""

    image: Float[Tensor, "batch 8 window window"]
    label: Int[Tensor, "batch rows columns"]
    votes_px: Float[Tensor, "batch 2 rows columns"]
    """To the middle of the place's instance (column, row); 0 where there is none."""


def make_batch(
    records: np.ndarray,
    obj_ids: tuple[int, ...],
    generator: torch.Generator,
    changed: bool = True,
    window_px: int = WINDOW_PX,
) -> SegmentationBatch:
    """A batch of these frames, another window and other changes at each call; without `changed`, the middle."""
    device = generator.device
    cut = [_window(record, window_px, generator if changed else None) for record in records]
    rgb, depth, instance = (np.stack([one[k] for one in cut]) for k in range(3))
    colours = torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float() / 255
    depth_m = torch.from_numpy(depth.astype(np.float32) * DEPTH_UNIT_M).to(device)
    if changed:
        colours, depth_m = _change(colours, depth_m, generator)
    focal = torch.from_numpy(records["focal_px"].astype(np.float32)).to(device)
    image = network_input(colours, depth_m, focal) * _in_frame(records, window_px).to(device)
    places = torch.from_numpy(instance[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].astype(np.int64)).to(
        device
    )
    label = class_of(records["obj_id"], obj_ids, device).gather(1, places.flatten(1)).view_as(places)
    label = torch.where(places == IGNORED, IGNORED, label)
    return SegmentationBatch(image, label, votes_to_middles(places))


def class_of(
    obj_id: Int[np.ndarray, "batch instances"], obj_ids: tuple[int, ...], device: torch.device
) -> Int[Tensor, "batch values"]:
    """The class of each instance of each frame; 0, as of the background, where the network shall not know it."""
    label = np.zeros((len(obj_id), IGNORED + 1), np.int64)
    for index, known in enumerate(obj_ids, start=1):
        label[:, : obj_id.shape[-1]][obj_id == known] = index
    return torch.from_numpy(label).to(device)


def votes_to_middles(places: Int[Tensor, "batch rows columns"]) -> Float[Tensor, "batch 2 rows columns"]:
    """From each place of an instance to the mean of all its places within the window."""
    batch, rows, columns = places.shape
    row = torch.arange(rows, device=places.device, dtype=torch.float32)[:, None].expand(rows, columns)
    column = torch.arange(columns, device=places.device, dtype=torch.float32)[None].expand(rows, columns)
    at = torch.stack([column, row, torch.ones_like(row)]).flatten(1)
    index = places.flatten(1)[:, None].expand(batch, 3, rows * columns)
    sums = torch.zeros(batch, 3, IGNORED + 1, device=places.device)
    sums.scatter_add_(2, index, at[None].expand(batch, 3, rows * columns))
    middle = sums[:, :2] / sums[:, 2:].clamp_min(1)
    votes = middle.gather(2, index[:, :2]) - at[None, :2]
    votes = votes.view(batch, 2, rows, columns)
    return torch.where(((places > 0) & (places < IGNORED))[:, None], votes, 0.0)


def _in_frame(records: np.ndarray, window_px: int) -> Float[Tensor, "batch 1 window window"]:
    """1 within the frame: beyond its border the network is given zeros, as where whole images are padded."""
    inside = np.zeros((len(records), 1, window_px, window_px), np.float32)
    for one, record in zip(inside, records, strict=True):
        rows, columns = np.minimum(record["shape"], window_px)
        one[0, :rows, :columns] = 1
    return torch.from_numpy(inside)


def _window(
    record: np.void, window_px: int, generator: torch.Generator | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours, depth and instances in a square of the frame; beyond its border is unknown and teaches nothing."""
    rows, columns = record["shape"]
    room = np.maximum([rows - window_px, columns - window_px], 0)
    share = (
        np.full(2, 0.5)
        if generator is None
        else torch.rand(2, generator=generator, device=generator.device).cpu().numpy()
    )
    top, left = np.round(share * room).astype(int)
    rgb = np.zeros((window_px, window_px, 3), np.uint8)
    depth = np.zeros((window_px, window_px), np.uint16)
    instance = np.full((window_px, window_px), IGNORED, np.uint8)
    inside = slice(top, min(top + window_px, rows)), slice(left, min(left + window_px, columns))
    height, width = inside[0].stop - top, inside[1].stop - left
    rgb[:height, :width] = record["rgb"][inside]
    depth[:height, :width] = record["depth"][inside]
    instance[:height, :width] = record["instance"][inside]
    return rgb, depth, instance


def _change(rgb: Tensor, depth_m: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    depth_m = jitter_depth(depth_m, AUGMENT.depth_noise_m, AUGMENT.depth_dropout, generator)
    depth_m = bend_depth(depth_m, AUGMENT.depth_bumps_m, generator)
    rgb = shift_colours(rgb, AUGMENT.colour_shift_px, generator)
    rgb = change_sharpness(rgb, AUGMENT.sharpness, generator)
    rgb = jitter_colour(rgb, AUGMENT, generator)
    rgb = change_light(rgb, AUGMENT.light, AUGMENT.highlight, generator)
    rgb = bend_tones(rgb, AUGMENT.tone, generator)
    return add_noise(rgb, AUGMENT.noise, generator), depth_m
