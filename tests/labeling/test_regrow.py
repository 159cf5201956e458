"""Masks as they are: grown again from a pose, and poses found in spite of them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from labeling.conftest import HEIGHT, WIDTH, observed, rendered_frame, tilted_pose
from labeling.hand_made_calibration import GENEROUS
from labeling.test_refine import add_m
from selfpose6d.labeling.annotate import AnnotateOptions, annotate
from selfpose6d.labeling.certify import agreement_with_prompt, overlap
from selfpose6d.labeling.observation import Prompt
from selfpose6d.labeling.regrow import explain, regrow
from selfpose6d.types import Frame

V, U = np.mgrid[:HEIGHT, :WIDTH]
OCCLUDER_M = 0.55


def occluded_frame(model) -> Frame:
    """Before a tilted wall, with a beam across a part of the object."""
    frame = rendered_frame(model, tilted_pose())
    visible = frame.instances[0].mask
    wall_m = 1.3 / (1 + 0.2 * (U - WIDTH / 2) / WIDTH)
    depth_m = np.where(visible, frame.depth_m, wall_m)
    beam = np.abs(V - np.nonzero(visible)[0].max() + 12) < 8
    depth_m, visible = np.where(beam, OCCLUDER_M, depth_m), visible & ~beam
    noise_m = 0.0008 * np.random.default_rng(0).normal(size=depth_m.shape)
    instance = replace(frame.instances[0], mask=visible)
    return replace(frame, depth_m=(depth_m + noise_m).astype(np.float32), instances=(instance,))


def foreign(mask: np.ndarray) -> np.ndarray:
    """A chunk of the wall beside it, a fifth of its area, and a bite out of it."""
    rows, columns = np.nonzero(mask)
    side = int(np.sqrt(0.2 * mask.sum()))
    top, left = int(rows.mean()) - side // 2, columns.max() - side // 4
    wrong = mask.copy()
    wrong[top : top + side, left : left + side] = True
    wrong[(V - rows.mean()) ** 2 + (U - columns.min()) ** 2 < side**2 / 2] = False
    return wrong


def eroded(mask: np.ndarray) -> np.ndarray:
    return cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)


def shifted(mask: np.ndarray) -> np.ndarray:
    return np.roll(mask, (5, -8), axis=(0, 1))


def filled_box(mask: np.ndarray) -> np.ndarray:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    box = np.zeros_like(mask)
    box[y - 2 : y + h + 3, x - 4 : x + w + 2] = True
    return box


def scribble(mask: np.ndarray) -> np.ndarray:
    """A stroke of 5 px across the middle."""
    rows, columns = np.nonzero(mask)
    middle = (int(columns.mean()), int(rows.mean()))
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.line(drawn, (middle[0] - 18, middle[1] - 12), (middle[0] + 18, middle[1] + 12), 1, 5)
    return drawn.astype(bool)


FAULTS = (foreign, eroded, shifted, filled_box, scribble)


@pytest.fixture(scope="module")
def frame(box) -> Frame:
    return occluded_frame(box)


def with_mask(frame: Frame, mask: np.ndarray, region: bool = False) -> Frame:
    return replace(frame, instances=(replace(frame.instances[0], mask=mask, region=region),))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_mask_is_regrown_from_the_pose(box, frame, fault):
    true = frame.instances[0].mask
    given = fault(true)
    assert overlap(given, true) < 0.88
    seen = observed(box, with_mask(frame, given))
    grown = regrow(seen, explain(seen, tilted_pose()[None]))
    assert grown.shape == true.shape
    assert overlap(grown, true) > 0.9
    assert not grown[np.abs(frame.depth_m - OCCLUDER_M) < 0.01].any(), "nothing of what hides it"


def test_a_wrong_pose_regrows_little(box, frame):
    wrong = tilted_pose()
    wrong[0, 3] += 0.15
    seen = observed(box, frame)
    assert overlap(regrow(seen, explain(seen, wrong[None])), frame.instances[0].mask) < 0.4


def test_pixels_without_depth_stay_as_the_mask_has_them(box, frame):
    true = frame.instances[0].mask
    hole = true & (np.abs(U - np.nonzero(true)[1].mean()) < 10)
    depth_m = np.where(hole, 0, frame.depth_m).astype(np.float32)
    unknown = replace(frame, depth_m=depth_m)
    with_hole, without = (with_mask(unknown, mask) for mask in (true & ~hole, true))
    filled = [
        regrow(seen, explain(seen, tilted_pose()[None]))[hole].mean()
        for seen in (observed(box, with_hole), observed(box, without))
    ]
    assert filled[0] < 0.3
    assert filled[1] > 0.95


@pytest.mark.parametrize("fault", FAULTS)
def test_the_right_pose_explains_a_prompt_better_than_a_wrong_one(box, frame, fault):
    quality = "box" if fault in (filled_box, scribble) else "rough"
    prompt = Prompt(fault(frame.instances[0].mask), quality)
    seen = observed(box, frame, prompt=prompt)
    aside = tilted_pose()
    aside[0, 3] += 0.08
    right, wrong = (
        agreement_with_prompt(explain(seen, T[None]), prompt, quality) for T in (tilted_pose(), aside)
    )
    assert right[0] > 0.85
    assert sum(right) > sum(wrong) + 0.1
    if fault is not scribble:
        assert right[1] > 0.65


@pytest.mark.parametrize(("fault", "within_m"), [(foreign, 0.003), (eroded, 0.003), (shifted, 0.01)])
def test_the_pose_is_found_in_spite_of_a_rough_mask(box, frame, fault, within_m):
    """Whatever kind of outline it is: found out, and told. A pose follows a shifted mask a little."""
    given = with_mask(frame, fault(frame.instances[0].mask))
    (label,) = annotate(given, {1: box}, AnnotateOptions(certificate=GENEROUS))
    assert label.certificate.status == "certified"
    assert label.certificate.mask_quality == "rough"
    T = torch.from_numpy(label.T_cam_obj).float()[None]
    assert add_m(box, T, tilted_pose())[0] < within_m


def test_the_certificate_rests_on_the_mask_that_was_grown_again(box, frame):
    """Told that it is exact, it counts the foreign pixels as not covered."""
    given = with_mask(frame, foreign(frame.instances[0].mask))
    found = {
        quality: annotate(given, {1: box}, AnnotateOptions(certificate=GENEROUS, mask_quality=quality))[0]
        for quality in ("exact", "rough")
    }
    assert found["exact"].certificate.coverage < 0.93
    assert found["rough"].certificate.coverage > 0.97


def test_an_exact_mask_is_taken_for_one(box, frame):
    (label,) = annotate(frame, {1: box}, AnnotateOptions(certificate=GENEROUS))
    assert label.certificate.mask_quality == "exact"


@pytest.mark.parametrize("fault", [filled_box, scribble])
@pytest.mark.parametrize("told_by", ["option", "instance"])
def test_the_pose_is_found_in_a_region(box, frame, fault, told_by):
    given = with_mask(frame, fault(frame.instances[0].mask), region=told_by == "instance")
    options = AnnotateOptions(certificate=GENEROUS, mask_quality="box" if told_by == "option" else None)
    (label,) = annotate(given, {1: box}, options)
    assert label.certificate.mask_quality == "box"
    T = torch.from_numpy(label.T_cam_obj).float()[None]
    assert add_m(box, T, tilted_pose())[0] < 0.003


def test_a_filled_box_is_recognised_as_one(box, frame):
    (label,) = annotate(
        with_mask(frame, filled_box(frame.instances[0].mask)), {1: box}, AnnotateOptions(certificate=GENEROUS)
    )
    assert label.certificate.mask_quality == "box"


def test_a_mask_that_is_said_to_be_exact_is_taken_at_its_word(box, frame):
    given = with_mask(frame, shifted(frame.instances[0].mask))
    (label,) = annotate(given, {1: box}, AnnotateOptions(certificate=GENEROUS, mask_quality="exact"))
    assert label.certificate.mask_quality == "exact"
    assert label.certificate.coverage < 0.97


def test_a_region_without_depth_has_no_pose(box, frame):
    given = with_mask(frame, filled_box(frame.instances[0].mask), region=True)
    blind = replace(given, depth_m=np.zeros_like(frame.depth_m))
    (label,) = annotate(blind, {1: box})
    assert not label.valid
    assert label.reason == "too few points: no depth in the region"


def test_a_region_that_shows_nothing_of_the_objects_size_has_no_pose(box, frame):
    """A box on the bare wall."""
    bare = np.zeros_like(frame.instances[0].mask)
    bare[5:65, 5:65] = True
    (label,) = annotate(with_mask(frame, bare, region=True), {1: box})
    assert not label.valid or label.certificate.status == "rejected"
