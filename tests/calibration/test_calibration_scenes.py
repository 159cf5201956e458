"""Scenes rendered and annotated: by index and seed alone, with the truth only in the verdict."""

import math

import numpy as np
import pytest

from selfpose6d.calibration.make import CalibrateOptions, calibration_objects
from selfpose6d.calibration.scenes import SceneResult, scene_annotator
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.terms import TERM_NAMES
from selfpose6d.types import MIN_POINTS

INDICES = (0, 1)


@pytest.fixture(scope="module")
def annotator():
    objects = calibration_objects(CalibrateOptions(objects=(5,)))
    return scene_annotator(objects, AnnotateOptions(), seed=4)


@pytest.fixture(scope="module")
def results(annotator) -> list[SceneResult]:
    return [result for index in INDICES if (result := annotator(index)) is not None]


def test_a_scene_says_what_it_was_and_what_came_of_it(results):
    assert len(results) == len(INDICES)
    for index, one in zip(INDICES, results, strict=True):
        assert one.scene == index
        assert one.obj_id in (5, 105)
        assert one.sensor in ("structured-light", "stereo", "time-of-flight")
        assert one.time_s > 0
        if one.quality is None:
            assert math.isinf(one.add_m)
            assert not one.may_certify
        else:
            assert set(one.terms) == set(TERM_NAMES)
            assert one.terms["size"] >= np.log2(MIN_POINTS) - 1
            assert 0 <= one.terms["coverage"] <= 1


def test_most_are_right_by_a_tenth_of_the_diameter(results):
    assert sum(one.right for one in results) >= 1
    for one in results:
        assert one.right == (one.add_m < 0.1 * one.diameter_m)


def test_a_scene_follows_its_index_and_the_seed_alone(annotator, results):
    again = annotator(INDICES[1])
    first = results[1]
    assert again.terms == pytest.approx(first.terms, nan_ok=True)
    assert again.add_m == pytest.approx(first.add_m)
    assert (again.size, again.coloured, again.mask_kind) == (first.size, first.coloured, first.mask_kind)
