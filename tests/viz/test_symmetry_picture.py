"""The picture of an object's symmetries: axes where they are, and what a motion changes."""

import numpy as np
import pytest

from selfpose6d.viz.symmetry_picture import TILE_PX, ComparedMotion, DrawnAxis, draw_symmetries

RED = (255, 70, 70)


def test_three_views_with_the_axis_and_a_comparison(box_mesh):
    axis = DrawnAxis(np.array([0.0, 0, 1]), np.zeros(3), RED)
    plain = draw_symmetries(box_mesh, [], [], ["box"])
    drawn = draw_symmetries(box_mesh, [axis], [], ["box"])
    assert plain.shape[1] == 3 * TILE_PX
    changed = (plain != drawn).any(-1)
    for view in range(3):
        assert changed[:, view * TILE_PX : (view + 1) * TILE_PX].sum() > 100
    # z is upwards: the first view's axis ends are above and below the middle, near the middle column
    rows, columns = np.nonzero((drawn[:TILE_PX, :TILE_PX] == RED).all(-1))
    assert np.ptp(rows) > 5 * np.ptp(columns)


@pytest.mark.parametrize(("angle_deg", "unchanged"), [(180, True), (90, False)])
def test_only_what_changes_is_coloured(box_mesh, angle_deg, unchanged):
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    T = np.eye(4)
    T[:2, :2] = [[c, -s], [s, c]]
    picture = draw_symmetries(box_mesh, [], [ComparedMotion(T, "moved")], ["box"])
    last = picture[-TILE_PX - 40 : -40, 2 * TILE_PX :].astype(int)[30:]
    coloured = np.abs(last[..., 0] - last[..., 2]) > 60
    assert (coloured.mean() < 0.01) == unchanged
