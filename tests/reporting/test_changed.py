"""Which instances differ between runs, with and without true poses."""

from dataclasses import replace

import numpy as np
import pytest

from selfpose6d.evaluation.instances import UNKNOWN
from selfpose6d.reporting.changed import in_turn, most_changed
from selfpose6d.reporting.instances import Place, RunInstance

CIRCLE_M = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 400, False)), np.sin(a), 0 * a], axis=1) / 20
HERE = Place(0, 1, 5, 0)


def vertices_m(obj_id: int) -> np.ndarray:
    return CIRCLE_M


def at(x_m: float, place: Place = HERE, status: str = "certified", **fields) -> RunInstance:
    T_cam_obj = np.eye(4)
    T_cam_obj[0, 3] = x_m
    return RunInstance(place, "mug (5)", status, "", 0.9, T_cam_obj, **fields)


def test_without_true_poses_the_poses_are_compared():
    (one,) = most_changed({"a": [at(0.0)], "b": [at(0.03)]}, vertices_m, ())
    assert one.difference_m == pytest.approx(0.03)
    assert list(one.found) == ["a", "b"]
    assert most_changed({"a": [at(0.0)], "b": [at(0.0005)]}, vertices_m, ()) == []


def test_a_symmetric_object_that_is_turned_is_the_same():
    turned = at(0.0)
    turned.T_cam_obj[:2, :2] = [[0, -1], [1, 0]]
    assert most_changed({"a": [at(0.0)], "b": [turned]}, vertices_m, (5,)) == []
    assert len(most_changed({"a": [at(0.0)], "b": [turned]}, vertices_m, ())) == 1


def test_with_true_poses_the_errors_are_compared():
    near, far = at(0.0, add_or_adds_m=0.002), at(0.05, add_or_adds_m=0.052)
    (one,) = most_changed({"a": [near], "b": [far]}, vertices_m, ())
    assert one.difference_m == pytest.approx(0.05)
    same = at(0.004, add_or_adds_m=0.002)
    assert most_changed({"a": [near], "b": [same]}, vertices_m, ()) == []


def test_a_miss_differs_most():
    missed = RunInstance(Place(0, 1, 5, 0), "mug (5)", "skipped", "12 pixels")
    (one,) = most_changed({"a": [at(0.0, add_or_adds_m=0.01)], "b": [missed]}, vertices_m, ())
    assert one.difference_m == pytest.approx(0.09)
    (one,) = most_changed({"a": [at(0.0)], "b": []}, vertices_m, ())
    assert one.found["b"].status == "missed"
    assert one.difference_m == pytest.approx(0.1)
    assert most_changed({"a": [missed], "b": []}, vertices_m, ()) == []


def test_another_status_is_a_difference():
    (one,) = most_changed({"a": [at(0.0)], "b": [at(0.0, status="rejected")]}, vertices_m, ())
    assert one.other_status
    assert one.difference_m == 0


def test_instances_without_an_id_meet_by_confidence():
    places = [Place(0, 1, 5, UNKNOWN)] * 2
    runs = [
        [replace(at(x, p), confidence=c) for x, p, c in zip(xs, places, (0.9, 0.5), strict=True)]
        for xs in ((0, 0.5), (0, 0.53))
    ]
    (one,) = most_changed({"a": runs[0], "b": runs[1][::-1]}, vertices_m, ())
    assert one.difference_m == pytest.approx(0.03)


def test_each_object_has_its_turn():
    def moved(obj_id: int, im_id: int, x_m: float) -> tuple[RunInstance, RunInstance]:
        place = Place(0, im_id, obj_id, 0)
        return at(0.0, place), at(x_m, place)

    pairs = [moved(5, 1, 0.09), moved(5, 2, 0.08), moved(7, 1, 0.02), moved(5, 3, 0.07)]
    first, second = zip(*pairs, strict=True)
    changed = in_turn(most_changed({"a": first, "b": second}, vertices_m, ()))
    assert [one.found["a"].place[1:3] for one in changed] == [(1, 5), (1, 7), (2, 5), (3, 5)]
