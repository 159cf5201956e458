"""Where an object ends the surface ends, too: not so beyond a pose that explains a part of something else."""

import numpy as np

from finding.conftest import SHAPE, TABLE, frame_of, plane_depth, seen, standing_pose, table_frame
from selfpose6d.finding.outline import continues_beyond
from selfpose6d.finding.surface import Surface
from selfpose6d.labeling.observation import ObservedFrame


def test_an_object_ends_where_its_outline_is_and_a_part_of_it_does_not(models):
    for obj_id, x_m in ((1, -0.05), (3, 0.05)):
        frame, masks = table_frame(models, {obj_id: standing_pose(models[obj_id], x_m)})
        surface = Surface.of(ObservedFrame.of(frame))
        whole = surface.from_image(masks[obj_id])
        assert continues_beyond(surface, whole) < 0.1
        middle = int(np.nonzero(whole.any(1))[0].mean())
        part = whole & (np.arange(len(whole)) < middle)[:, None]
        assert continues_beyond(surface, part) > 0.2


def test_a_patch_of_a_table_goes_on_all_around():
    surface = Surface.of(seen(plane_depth(*TABLE)))
    patch = np.zeros(surface.known.shape, bool)
    patch[100:130, 100:150] = True
    assert continues_beyond(surface, patch) > 0.95


def test_what_lies_in_front_says_nothing(models):
    poses = {1: standing_pose(models[1], 0.0, 0.12, 0.4), 3: standing_pose(models[3], 0.0, -0.05)}
    frame, masks = table_frame(models, poses)
    surface = Surface.of(ObservedFrame.of(frame))
    assert continues_beyond(surface, surface.from_image(masks[1])) < 0.15


def test_nothing_seen_says_nothing():
    for depth in (np.zeros(SHAPE, np.float32), plane_depth(*TABLE)):
        surface = Surface.of(ObservedFrame.of(frame_of(depth)))
        for mask in (np.zeros(surface.known.shape, bool), np.eye(*surface.known.shape, dtype=bool)):
            assert continues_beyond(surface, mask) == 0.0
