"""What the pictures of a page read of the data set, and what is in them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.reporting.instances import Place, RunInstance
from selfpose6d.reporting.pictures import (
    TILE_PX,
    RunRenderer,
    alternative_tiles,
    compared_tiles,
    frame_picture,
    instance_tiles,
    open_renderer,
    thumbnail,
)
from selfpose6d.selection import FrameId
from selfpose6d.types import Alternative


@pytest.fixture
def instances(ycbv_sample: Path) -> list[RunInstance]:
    """The true poses of the sample."""
    return [
        RunInstance(Place(*true.key[1:]), "name", "certified", "", 0.9, true.T_cam_obj)
        for true in load_ground_truth(ycbv_sample)
    ]


@pytest.fixture
def renderer(ycbv_sample: Path, instances: list[RunInstance]) -> RunRenderer:
    return open_renderer(DataOptions(ycbv_sample).open(), instances[:3], instances[:3])


def decoded(picture) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(picture.image, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (picture.height_px, picture.width_px, 3)
    return image.astype(int)


def test_true_poses_are_read_of_the_outlined_images_only(ycbv_sample, instances):
    dataset = DataOptions(ycbv_sample).open()
    outlined = [instances[0], instances[20]]
    T_true = open_renderer(dataset, instances, outlined).T_true
    assert {place[:2] for place in T_true} == {one.place[:2] for one in outlined}
    assert len(T_true) < len(instances)
    assert open_renderer(dataset, instances, []).T_true == {}


def test_tiles_show_photo_rendering_and_outline(renderer, instances):
    photo, rendering, outline = map(decoded, instance_tiles(renderer, instances[0]))
    assert photo.shape == (TILE_PX, TILE_PX, 3)
    changed = np.abs(outline - photo).max(axis=2) > 60
    assert 0.005 < changed.mean() < 0.2
    assert (rendering[:5, :5] < 60).all()


def test_each_alternative_is_drawn_where_it_is(renderer, instances):
    one = instances[0]
    shifted = one.T_cam_obj.copy()
    shifted[0, 3] += 0.05
    poses = tuple(Alternative(T, c) for T, c in ((one.T_cam_obj, 0.6), (shifted, 0.4)))
    ambiguous = RunInstance(one.place, "name", "ambiguous", "", 0.6, one.T_cam_obj, poses)
    tiles = alternative_tiles(renderer, ambiguous, 8)
    assert [tile.caption for tile in tiles] == ["photo", "pose 1: 0.60", "pose 2: 0.40"]
    photo, first, second = map(decoded, tiles)
    columns = [np.nonzero(np.abs(image - photo).max(axis=2) > 60)[1].mean() for image in (first, second)]
    assert columns[1] > columns[0] + 10
    assert len(alternative_tiles(renderer, ambiguous, 1)) == 2


def test_a_run_without_a_pose_shows_the_photo(renderer, instances):
    nothing = RunInstance(instances[0].place, "name", "skipped", "why")
    photo, with_pose, without = compared_tiles(renderer, {"before": instances[0], "after": nothing})
    assert with_pose.caption == "before: certified 0.90"
    assert without.caption == "after: skipped"
    assert without.image == photo.image != with_pose.image


def test_frames_and_thumbnails_have_the_size_that_is_shown(renderer, instances):
    one = instances[0]
    frame = frame_picture(renderer, FrameId(*one.place[:2]), [one])
    assert decoded(frame).shape == (480, 640, 3)
    assert len(thumbnail(renderer, one).image) < 6_000
