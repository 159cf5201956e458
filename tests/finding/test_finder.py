from dataclasses import replace

import numpy as np
import pytest

from finding.conftest import TABLE, frame_of, plane_depth, standing_pose, table_frame
from selfpose6d.errors import UsageError
from selfpose6d.finding.finder import Finder, _FrameSearch
from selfpose6d.finding.sorting import Pair
from selfpose6d.types import Instance, InstanceKey


@pytest.fixture(scope="module")
def finder(models) -> Finder:
    return Finder(models)


@pytest.fixture(scope="module")
def poses(models) -> dict:
    return {1: standing_pose(models[1], -0.12), 3: standing_pose(models[3], 0.12, 0.05, 2.0)}


@pytest.fixture(scope="module")
def scene(models, poses):
    return table_frame(models, poses)


def test_objects_are_found_certified_where_they_are(finder, scene, poses, models):
    frame, masks = scene
    finding = finder(frame, {1: 1, 3: 1})
    assert {one.obj_id for one in finding.found} == {1, 3}
    for one in finding.found:
        points = models[one.obj_id].mesh.vertices_m
        T, T_true = one.pose.T_cam_obj, poses[one.obj_id].numpy()
        true = points @ T_true[:3, :3].T + T_true[:3, 3]
        found = points @ T[:3, :3].T + T[:3, 3]
        assert np.linalg.norm(true - found, axis=1).mean() < 0.005
        mask = masks[one.obj_id]
        assert (one.visible & mask).sum() / (one.visible | mask).sum() > 0.9
        assert one.pose.key[:4] == ("test", 0, 0, one.obj_id)
    assert finding.found[0].certified


def test_instances_of_the_frame_are_not_looked_at(finder, scene):
    frame, _ = scene
    wrong = Instance(InstanceKey("test", 0, 0, 2, 0), np.ones(frame.depth_m.shape, bool))
    plain, marked = finder(frame, {1: 1}), finder(replace(frame, instances=(wrong,)), {1: 1})
    np.testing.assert_array_equal(plain.found[0].pose.T_cam_obj, marked.found[0].pose.T_cam_obj)


def test_two_of_a_kind_are_two(finder, models):
    poses = [standing_pose(models[3], -0.1), standing_pose(models[3], 0.12, 0.03, 1.0)]
    first, masks = table_frame({1: models[3], 2: models[3]}, dict(enumerate(poses, start=1)))
    finding = finder(first, {3: None})
    assert len(finding.found) == 2
    for mask in masks.values():
        assert max((one.visible & mask).sum() / (one.visible | mask).sum() for one in finding.found) > 0.85


def test_an_object_that_is_not_there_is_not_certified(finder, models):
    frame, _ = table_frame(models, {1: standing_pose(models[1], 0.0)})
    finding = finder(frame, {2: None, 3: None})
    assert not any(one.certified for one in finding.found)


def test_an_empty_table_and_no_depth_hold_nothing(finder):
    for depth in (
        plane_depth(*TABLE),
        np.zeros((480, 640), np.float32),
        np.full((480, 640), np.nan, np.float32),
    ):
        finding = finder(frame_of(depth), {1: None, 2: 1, 3: None})
        assert not any(one.certified for one in finding.found)


def test_no_more_are_found_than_there_are(finder, scene):
    frame, _ = scene
    finding = finder(frame, {3: 1})
    assert [one.obj_id for one in finding.found] == [3]


def test_what_was_turned_away_says_why(finder, scene):
    frame, _ = scene
    finding = finder(frame, {1: None, 2: None, 3: None})
    assert all(one.turned_away for one in finding.turned_away)
    found = {(one.obj_id, one.proposal.mask.tobytes()) for one in finding.found}
    assert not found & {(one.obj_id, one.proposal.mask.tobytes()) for one in finding.turned_away}


def test_objects_without_a_model_are_named(finder, scene):
    with pytest.raises(UsageError, match="99"):
        finder(scene[0], {99: 1})
    with pytest.raises(UsageError, match="none is named"):
        finder(scene[0], {})


def test_pixels_go_to_the_better_certificate(finder, scene):
    frame, _ = scene
    (box, *_) = (one for one in finder(frame, {1: 1, 3: 1}).found if one.obj_id == 1)

    def scored(score: float, obj_id: int):
        key = box.pose.key._replace(obj_id=obj_id)
        certificate = replace(box.pose.certificate, score=score)
        return replace(box, pose=replace(box.pose, key=key, certificate=certificate))

    for new, old, stays in ((2.0, 1.0, 1), (1.0, 2.0, 3), (np.nan, 1.0, 3), (1.0, 1.0, 3)):
        search = _FrameSearch(finder, frame, {1: None, 3: None}, ())
        there, comes = scored(old, 3), scored(new, 1)
        search.accepted, search.attempts = [there], {(3, b""): there}
        settled = search._settled(comes)
        if stays == 1:
            assert not settled.turned_away
            assert search.accepted == []
            assert "object 1 explains" in search.attempts[3, b""].turned_away
        else:
            assert "with object 3, whose certificate is no worse" in settled.turned_away
            assert search.accepted == [there]


def test_what_looks_nearly_as_good_is_tried_where_another_was_found(finder, scene, models):
    frame, masks = scene
    search = _FrameSearch(finder, frame, {1: None, 2: None}, ())
    (box,) = (one for one in finder(frame, {1: 1}).found if one.obj_id == 1)
    search.accepted, search.taken = [box], box.on_grid.copy()
    same_piece = [Pair(obj_id, box.proposal, 1.0) for obj_id in (1, 2)]
    assert not search._is_free(same_piece[0], box.rank + 1)  # it is there already
    assert search._is_free(same_piece[1], box.rank - 0.05)
    assert not search._is_free(same_piece[1], box.rank - 0.2)
    elsewhere = replace(box.proposal, mask=search.scene.surface.from_image(masks[3]))
    assert search._is_free(Pair(1, elsewhere, 1.0), -1.0)
