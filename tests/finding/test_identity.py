from dataclasses import replace

import numpy as np
import pytest

from finding.conftest import standing_pose, table_frame
from selfpose6d.finding.identity import LEAST_COLOUR, LEAST_CONFIDENCE, colour_likeness, doubt
from selfpose6d.finding.scene import Scene
from selfpose6d.types import Certificate, InstanceKey, LabeledPose


def label(colour: float, confidence: float) -> LabeledPose:
    certificate = Certificate("certified", "", confidence, 0.5, 0.001, 1.0, 0.0, colour)
    return LabeledPose(InstanceKey("test", 0, 0, 1, 0), np.eye(4), confidence, certificate=certificate)


def test_unlike_colours_are_doubted_whoever_says_that_it_is_there():
    for is_there in (True, False):
        assert "colours are unlike" in doubt(label(0.02, 0.99), 0.4, 0.0, is_there)
        assert not doubt(label(0.1, 0.99), 0.46, 0.0, is_there)


def test_a_weak_confidence_is_doubted_where_nobody_says_that_it_is_there():
    weak = label(0.5, LEAST_CONFIDENCE - 0.01)
    assert "nothing says that it is there" in doubt(weak, 0.8, 0.0, is_there=False)
    assert not doubt(weak, 0.8, 0.0, is_there=True)


def test_a_surface_that_goes_on_is_doubted_whoever_says_that_it_is_there():
    for is_there in (False, True):
        assert "goes on beyond 52% of its outline" in doubt(label(0.9, 0.99), 0.9, 0.52, is_there)
        assert not doubt(label(0.9, 0.99), 0.9, 0.2, is_there)


def test_no_colour_is_not_doubted_for_its_colour():
    assert not doubt(label(0.0, 0.99), None, 0.0, is_there=False)
    assert LEAST_COLOUR > 0


def test_likeness_is_of_the_object_that_is_seen(models):
    T = standing_pose(models[1], 0.0)
    frame, masks = table_frame(models, {1: T})
    scene = Scene.of(frame, 0.27)
    shown = scene.surface.from_image(masks[1])
    assert colour_likeness(scene, shown, models[1], T) > 0.8
    green = replace(frame, rgb=np.full_like(frame.rgb, (20, 160, 40)))
    assert colour_likeness(Scene.of(green, 0.27), shown, models[1], T) < 0.3
    plain = replace(models[1], mesh=replace(models[1].mesh, texture=None, vertex_rgb=None))
    assert colour_likeness(scene, shown, plain, T) is None
    assert colour_likeness(scene, np.zeros_like(shown), models[1], T) == pytest.approx(0.0)
