"""Random changes to crops, another for each instance: light, occluders, masks and depth that the data do not show."""

from dataclasses import replace

import torch

from selfpose6d.crops.augment_colour import (
    add_noise,
    bend_tones,
    change_light,
    change_sharpness,
    fade_pattern,
    jitter_colour,
    shift_colours,
)
from selfpose6d.crops.augment_depth import bend_depth, clear_borders, cut_depth, jitter_depth
from selfpose6d.crops.augment_mask import paste_occluders, replace_background, resize_masks, shift_masks
from selfpose6d.crops.augment_options import AugmentOptions
from selfpose6d.crops.batch import CropImages
from selfpose6d.crops.draws import MIN_PIXELS_LEFT


def augment(images: CropImages, options: AugmentOptions, generator: torch.Generator) -> CropImages:
    """All changes in turn; an instance that would lose nearly all of its pixels keeps its mask."""
    images = replace_background(images, options.background_fraction, generator)
    images = paste_occluders(images, options.occluder_fraction, options.occluder_size, generator)
    mask = shift_masks(images.mask, options.mask_shift_px, generator)
    mask = resize_masks(mask, options.mask_px, generator)
    enough = (mask & (images.depth_m > 0)).flatten(1).sum(1) >= MIN_PIXELS_LEFT
    images = replace(images, mask=torch.where(enough[:, None, None], mask, images.mask))
    depth_m = jitter_depth(images.depth_m, options.depth_noise_m, options.depth_dropout, generator)
    depth_m = bend_depth(depth_m, options.depth_bumps_m, generator)
    depth_m = clear_borders(depth_m, images.mask, options.depth_border_px, generator)
    depth_m = cut_depth(depth_m, mask, options.depth_hole, generator)
    rgb = shift_colours(images.rgb, options.colour_shift_px, generator)
    rgb = change_sharpness(rgb, options.sharpness, generator)
    rgb = fade_pattern(rgb, mask, options.fade, generator)
    rgb = jitter_colour(rgb, options, generator)
    rgb = change_light(rgb, options.light, options.highlight, generator)
    rgb = bend_tones(rgb, options.tone, generator)
    return replace(images, rgb=add_noise(rgb, options.noise, generator), depth_m=depth_m)
