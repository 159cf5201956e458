"""BOP's scene files: silhouettes in windows, visible surface, boxes and counts as its toolkit defines them."""

import numpy as np

from selfpose6d.datasets.bop.entries import (
    Silhouette,
    bounding_box,
    info_entry,
    pose_entry,
    target_rows,
    visible_part,
)

K = np.array([[500.0, 0, 20], [0, 500, 15], [0, 0, 1]])


def test_boxes_do_not_count_the_last_pixel() -> None:
    mask = np.zeros((5, 8), bool)
    mask[1:3, 2:7] = True
    assert bounding_box(mask) == [2, 1, 4, 1]
    assert bounding_box(mask, left_px=-4, top_px=10) == [-2, 11, 4, 1]
    assert bounding_box(np.zeros((5, 8), bool)) == [-1, -1, -1, -1]


def test_a_window_over_the_border_is_cut() -> None:
    window = Silhouette(-2, 28, np.ones((4, 5), bool))
    image = window.in_image((30, 40))
    assert image.sum() == 2 * 3
    assert image[28:, :3].all()
    assert not Silhouette(50, 5, np.ones((4, 5), bool)).in_image((30, 40)).any()


def test_what_stands_before_hides_and_what_was_not_measured_does_not() -> None:
    rendered, measured = np.zeros((30, 40)), np.full((30, 40), 0.8)
    rendered[10:20, 10:20] = 0.8
    measured[10:20, 10:12] = 0.7
    measured[10:20, 12] = 0.786
    measured[10:20, 13] = 0.0
    measured[10:20, 14] = 2.0
    visible = visible_part(rendered, measured, K)
    assert not visible[:, 10:12].any(), "10 cm behind what was measured"
    assert visible[10:20, 12:20].all(), "14 mm behind, unknown, before, and on it"
    assert visible.sum() == 80


def test_distances_count_along_the_ray() -> None:
    """14.5 mm along the optical axis are 15.4 mm along a ray that is 20 degrees off it."""
    K_wide = np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])
    rendered, measured = np.full((100, 100), 0.8145), np.full((100, 100), 0.8)
    visible = visible_part(rendered, measured, K_wide)
    assert visible[50, 50]
    assert not visible[50, 99]


def test_info_counts_the_part_off_the_image() -> None:
    whole = Silhouette(35, 10, np.ones((10, 10), bool))
    visible, measured = whole.in_image((30, 40)), np.zeros((30, 40))
    measured[:, 37:] = 0.8
    entry = info_entry(whole, visible, measured)
    assert entry == {
        "bbox_obj": [35, 10, 9, 9],
        "bbox_visib": [35, 10, 4, 9],
        "px_count_all": 100,
        "px_count_valid": 30,
        "px_count_visib": 50,
        "visib_fract": 0.5,
    }
    hidden = info_entry(whole, np.zeros((30, 40), bool), measured)
    assert hidden["bbox_obj"] == [-1, -1, -1, -1]
    assert hidden["visib_fract"] == 0


def test_poses_are_millimetres_and_targets_need_a_tenth() -> None:
    T = np.eye(4)
    T[:3, 3] = 0.01, 0.02, 0.8
    pose = pose_entry(T, 5)
    assert pose["cam_t_m2c"] == [10.0, 20.0, 800.0]
    assert pose["obj_id"] == 5
    infos = {"7": [{"visib_fract": 0.1}, {"visib_fract": 0.09}, {"visib_fract": 1.0}]}
    poses = {"7": [pose, pose_entry(T, 2), pose]}
    assert target_rows(3, poses, infos) == [{"im_id": 7, "inst_count": 2, "obj_id": 5, "scene_id": 3}]
