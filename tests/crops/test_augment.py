"""Changes to crops: each does what it says, within its bounds, and follows the generator."""

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.crops.augment import augment
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
from selfpose6d.errors import UsageError

OFF = AugmentOptions(**{one.name: type(one.default)(0) for one in fields(AugmentOptions)})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int = 4, size: int = 32) -> CropImages:
    mask = torch.zeros(batch, size, size, dtype=torch.bool)
    mask[:, 8:24, 6:26] = True
    return CropImages(
        rgb=torch.rand(batch, 3, size, size, generator=generator(9)),
        depth_m=torch.full((batch, size, size), 0.8),
        mask=mask,
        middle_m=torch.full((batch,), 0.8),
        K=torch.eye(3).expand(batch, 3, 3),
        box_px=torch.zeros(batch, 3, dtype=torch.float64),
        obj_id=torch.ones(batch, dtype=torch.long),
    )


def test_switched_off_nothing_changes():
    before = images()
    after = augment(before, OFF, generator())
    assert torch.allclose(after.rgb, before.rgb, atol=1e-6)
    assert torch.equal(after.mask, before.mask)
    assert torch.equal(after.depth_m, before.depth_m)


def test_the_same_generator_gives_the_same_changes_and_another_others():
    options = AugmentOptions(background_fraction=0.5)
    first, same, other = (augment(images(), options, generator(seed)) for seed in (1, 1, 2))
    for name in ("rgb", "mask", "depth_m"):
        assert torch.equal(getattr(first, name), getattr(same, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_the_input_is_left_as_it_was():
    before = images()
    augment(before, AugmentOptions(background_fraction=0.5), generator())
    assert torch.equal(before.rgb, images().rgb)
    assert torch.equal(before.mask, images().mask)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_colour_change_differs_between_instances_and_stays_in_range(name: str):
    rgb = images().rgb
    changed = jitter_colour(rgb, replace(OFF, **{name: 0.3}), generator())
    assert changed.min() >= 0
    assert changed.max() <= 1
    difference = (changed - rgb).abs().flatten(1).mean(1)
    assert (difference > 1e-3).all()
    assert difference.unique().numel() == len(rgb)


def test_saturation_leaves_grey_alone_and_contrast_the_mean():
    grey = torch.rand(3, 1, 8, 8, generator=generator()).expand(-1, 3, -1, -1)
    assert torch.allclose(jitter_colour(grey, replace(OFF, saturation=0.9), generator()), grey, atol=1e-5)
    rgb = 0.4 + 0.2 * images().rgb
    changed = jitter_colour(rgb, replace(OFF, contrast=0.3), generator())
    assert torch.allclose(changed.mean((2, 3)), rgb.mean((2, 3)), atol=1e-4)
    assert not torch.allclose(changed.std((2, 3)), rgb.std((2, 3)), atol=1e-3)


def test_noise_has_at_most_the_stated_strength():
    grey = torch.full((64, 3, 32, 32), 0.5)
    strength = (add_noise(grey, 0.05, generator()) - grey).flatten(1).std(1)
    assert strength.max() < 0.055
    assert strength.max() > 0.04
    assert strength.min() < 0.01


def test_an_occluder_covers_part_of_the_mask_with_another_picture():
    before = images(32)
    after = paste_occluders(before, fraction=1.0, size=0.35, generator=generator())
    covered = before.mask & ~after.mask
    assert (covered.flatten(1).sum(1) > 0).float().mean() > 0.8
    assert (after.mask.flatten(1).sum(1) >= 0.3 * before.mask.flatten(1).sum(1)).all()
    assert not (after.mask & ~before.mask).any()
    other = torch.roll(before.rgb, 1, 0)
    assert torch.equal(after.rgb.movedim(1, -1)[covered], other.movedim(1, -1)[covered])
    assert torch.equal(after.rgb.movedim(1, -1)[after.mask], before.rgb.movedim(1, -1)[after.mask])


def test_the_fraction_of_occluded_instances():
    before = images(200)
    after = paste_occluders(before, fraction=0.3, size=0.3, generator=generator())
    touched = (after.mask != before.mask).flatten(1).any(1).float().mean()
    assert 0.2 < touched < 0.35


def test_a_new_background_leaves_the_object_alone():
    before = images()
    after = replace_background(before, 1.0, generator())
    inside = before.mask[:, None].expand_as(before.rgb)
    assert torch.equal(after.rgb[inside], before.rgb[inside])
    assert not torch.equal(after.rgb[~inside], before.rgb[~inside])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(0, 100))
def test_resized_masks_keep_within_their_pixels(most_px: int, seed: int):
    mask = images(16).mask
    changed = resize_masks(mask, most_px, generator(seed))
    for before, after in zip(mask, changed, strict=True):
        rows, columns = after.any(1).nonzero(), after.any(0).nonzero()
        assert 8 - most_px <= rows.min() <= 8 + most_px
        assert 23 - most_px <= rows.max() <= 23 + most_px
        assert columns.max() - columns.min() == rows.max() - rows.min() + 4
        assert (after & before).any()


def test_masks_grow_shrink_and_stay():
    areas = resize_masks(images(64).mask, 1, generator()).flatten(1).sum(1)
    assert set(areas.tolist()) == {14 * 18, 16 * 20, 18 * 22}


def test_a_shifted_mask_by_hand():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 0, 4] = True
    found = {
        tuple(shift_masks(mask, 1, generator(seed))[0].nonzero().flatten().tolist()) for seed in range(60)
    }
    inside = {(row, column) for row in (0, 1) for column in (3, 4, 5)}
    assert found == inside | {()}


def test_depth_noise_and_dropout():
    depth_m = images(8, 64).depth_m.clone()
    depth_m[:, :5] = 0
    changed = jitter_depth(depth_m, 0.002, 0.3, generator())
    assert not changed[:, :5].any()
    dropped = (changed[:, 5:] == 0).flatten(1).float().mean(1)
    assert dropped.max() < 0.31
    assert dropped.max() - dropped.min() > 0.05
    noise = changed[:, 5:][changed[:, 5:] > 0] - 0.8
    assert 0.0012 < noise.std() < 0.0021


def test_an_instance_that_would_lose_its_pixels_keeps_its_mask():
    small = replace(images(), mask=torch.zeros(4, 32, 32, dtype=torch.bool))
    small.mask[:, 10:18, 10:18] = True
    after = augment(small, replace(OFF, mask_px=3), generator())
    assert (after.mask.flatten(1).sum(1) >= 64).all()


def test_fractions_outside_0_to_1_are_refused():
    with pytest.raises(UsageError, match="occluder_fraction must be a fraction"):
        AugmentOptions(occluder_fraction=1.5)


def test_turned_hues_keep_grey_and_turn_back():
    options = replace(OFF, hue=1.0)
    grey = torch.full((4, 3, 8, 8), 0.4)
    assert torch.allclose(jitter_colour(grey, options, generator()), grey, atol=1e-6)
    red = torch.tensor([0.6, 0.3, 0.3])[None, :, None, None].expand(200, 3, 1, 1)
    turned = jitter_colour(red, options, generator())
    assert torch.allclose(turned.mean(1), red.mean(1), atol=1e-6)
    assert (turned[:, 1] - turned[:, 2]).abs().max() > 0.2


def test_tones_are_bent_both_ways_with_black_and_white_in_place():
    ramp = torch.linspace(0, 1, 32).expand(50, 3, 32, 32)
    bent = bend_tones(ramp, 0.9, generator())
    assert torch.equal(bent[..., 0], ramp[..., 0])
    assert torch.allclose(bent[..., -1], ramp[..., -1])
    assert (bent.diff(dim=-1) >= 0).all()
    middle = (bent - ramp)[:, 0, 0, 16]
    assert middle.max() > 0.15
    assert middle.min() < -0.15


def test_light_falls_from_a_side_and_spots_are_white():
    grey = torch.full((50, 3, 32, 32), 0.4)
    lit = change_light(grey, 0.5, 0.0, generator())
    assert torch.allclose(lit.mean((2, 3)), grey.mean((2, 3)), atol=1e-4)
    assert (lit - grey).abs().max() <= 0.4 * 0.5 + 1e-6
    assert (lit[:, :, :, 0] - lit[:, :, :, -1]).abs().max() > 0.1
    spots = change_light(grey, 0.0, 0.8, generator()) - grey
    assert (spots >= -1e-6).all()
    assert torch.allclose(spots[:, 0], spots[:, 2], atol=1e-6)
    assert spots.amax((1, 2, 3)).max() > 0.4
    assert spots.amax((1, 2, 3)).median() < 0.3


def test_sharpness_changes_edges_only_and_goes_both_ways():
    edge = torch.full((50, 3, 16, 16), 0.3)
    edge[..., 8:] = 0.6
    changed = change_sharpness(edge, 1.0, generator())
    assert torch.allclose(changed[..., :7], edge[..., :7])
    step = (changed[..., 8] - changed[..., 7])[:, 0, 8]
    assert step.max() > 0.35
    assert step.min() < 0.25


def test_a_fraction_of_the_patterns_fade_within_the_mask():
    before = images(batch=200)
    faded = fade_pattern(before.rgb, before.mask, 0.25, generator())
    outside = ~before.mask[:, None].expand_as(faded)
    assert torch.equal(faded[outside], before.rgb[outside])
    inside, was = (rgb[:, :, 8:24, 6:26].flatten(2) for rgb in (faded, before.rgb))
    assert torch.allclose(inside.mean(2), was.mean(2), atol=1e-5)
    kept = (inside.std(2) / was.std(2))[:, 0]
    changed = kept < 0.999
    assert 30 < changed.sum() < 70
    assert kept[changed].max() < 0.31
    assert kept[changed].max() - kept[changed].min() > 0.2


def test_colours_are_shifted_within_their_pixels():
    dot = torch.zeros(100, 3, 16, 16)
    dot[:, :, 8, 8] = 1.0
    moved = shift_colours(dot, 2, generator())
    place = moved[:, 0].flatten(1).argmax(1)
    row, column = place // 16 - 8, place % 16 - 8
    assert (moved.sum((2, 3)) == 1).all()
    assert {*row.tolist()} == {*column.tolist()} == {-2, -1, 0, 1, 2}
    assert not shift_colours(torch.ones(3, 3, 8, 8), 2, generator()).eq(0).any()


def test_bumps_are_shared_by_neighbours_and_leave_the_unknown_unknown():
    depth_m = torch.full((50, 48, 48), 0.8)
    depth_m[:, :, :4] = 0
    error = bend_depth(depth_m, 0.002, generator())[:, :, 4:] - 0.8
    assert not bend_depth(depth_m, 0.002, generator())[:, :, :4].any()
    assert 0.0003 < error.std() < 0.002
    assert error.diff(dim=1).abs().mean() < 0.3 * error.abs().mean()


def test_borders_lose_their_depth_on_both_sides():
    given = images(50)
    cleared = clear_borders(given.depth_m, given.mask, 3, generator()) == 0
    deep_inside = torch.zeros_like(given.mask)
    deep_inside[:, 11:21, 9:23] = True
    far_outside = torch.ones_like(given.mask)
    far_outside[:, 5:27, 3:29] = False
    assert not (cleared & (deep_inside | far_outside)).any()
    assert (cleared & given.mask).any()
    assert (cleared & ~given.mask).any()
    assert {*cleared.flatten(1).any(1).tolist()} == {True, False}
    small = torch.zeros_like(given.mask)
    small[:, 8:17, 8:17] = True
    assert not (clear_borders(given.depth_m, small, 3, generator()) == 0).flatten(1).all(1).any()
    assert ((clear_borders(given.depth_m, small, 3, generator()) > 0) & small).flatten(1).sum(1).min() >= 64


def test_holes_leave_half_of_the_mask_and_do_not_come_to_all():
    given = images(200)
    depth_m = cut_depth(given.depth_m, given.mask, 0.3, generator())
    left = ((depth_m > 0) & given.mask).flatten(1).sum(1)
    assert left.min() >= 0.5 * given.mask[0].sum()
    assert 0.2 < (left < given.mask[0].sum()).float().mean() < 0.6
