"""What is drawn where; colours mean what the palette says."""

import json

import numpy as np
import pytest

from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.viz.overlay import DrawnPose, draw_axes, draw_outline, draw_overlay, draw_text, silhouettes
from selfpose6d.viz.palette import AXES_RGB, STATUS_RGB

GREY = 127


def ground(height: int = 120, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def has_colour(image: np.ndarray, rgb: tuple[int, int, int], tolerance: int = 12) -> np.ndarray:
    return (np.abs(image.astype(int) - rgb) <= tolerance).all(axis=-1)


def test_silhouette_is_where_the_camera_sees_the_box(meshes, K, T_cam_obj):
    mask = silhouettes(meshes, [DrawnPose(0, T_cam_obj)], K, (120, 160))[0]
    rows, columns = np.nonzero(mask)
    # Its near face is 0.95 m away: x from -5 to 15 cm, y from -5 to 5 cm.
    assert columns.min() == np.ceil(79.5 - 0.05 / 0.95 * 200)
    assert columns.max() == np.floor(79.5 + 0.15 / 0.95 * 200)
    assert rows.min() == np.ceil(59.5 - 0.05 / 0.95 * 200)
    assert rows.max() == np.floor(59.5 + 0.05 / 0.95 * 200)


def test_no_poses_leave_the_image_as_it_is(meshes, K):
    image = ground()
    drawn = draw_overlay(image, K, meshes, [])
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


@pytest.mark.parametrize("status", sorted(STATUS_RGB))
def test_outline_has_the_colour_of_the_status(meshes, K, T_cam_obj, status):
    image = ground()
    drawn = draw_overlay(image, K, meshes, [DrawnPose(0, T_cam_obj, "box", status)])
    assert has_colour(drawn, STATUS_RGB[status]).sum() > 60
    assert (image == GREY).all()


def test_outline_follows_the_border(meshes, K, T_cam_obj):
    image = ground()
    mask = silhouettes(meshes, [DrawnPose(0, T_cam_obj)], K, (120, 160))[0]
    draw_outline(image, mask, (255, 0, 0), 1)
    rows, columns = np.nonzero(mask)
    assert has_colour(image, (255, 0, 0), 60)[rows.min(), columns.min() : columns.max() + 1].all()
    assert (image[rows.min() + 6 : rows.max() - 5, columns.min() + 6 : columns.max() - 5] == GREY).all()


def test_axes_point_right_down_and_away(meshes, K, T_cam_obj):
    image = ground()
    draw_axes(image, K, meshes, DrawnPose(0, T_cam_obj))
    centre = np.array([79.5 + 10, 59.5])
    red, green = (np.argwhere(has_colour(image, rgb, 40))[:, ::-1] - centre for rgb in AXES_RGB[:2])
    assert red[:, 0].max() > 10
    assert np.abs(red[:, 1]).max() < 3
    assert green[:, 1].max() > 10
    assert np.abs(green[:, 0]).max() < 3


def test_poses_outside_the_view_are_no_error(meshes, K, T_cam_obj):
    for shift in ((0, 0, -2), (100, 0, 0), (0, 0, -1)):
        T = T_cam_obj.copy()
        T[:3, 3] += shift
        draw_overlay(ground(), K, meshes, [DrawnPose(0, T, "away", "rejected")])
    T[:3, 3] = (5, 0, 1)
    np.testing.assert_array_equal(draw_overlay(ground(), K, meshes, [DrawnPose(0, T, "away")]), ground())


def test_labels_do_not_cover_each_other(meshes, K, T_cam_obj):
    poses = [DrawnPose(0, T_cam_obj, text, "certified") for text in ("first", "second", "third")]
    marks = has_colour(draw_overlay(ground(), K, meshes, poses), (18, 18, 18), 0)
    one = has_colour(draw_overlay(ground(), K, meshes, poses[:1]), (18, 18, 18), 0)
    assert marks.any(axis=1).sum() >= 2.5 * one.any(axis=1).sum()


def test_text_stands_at_its_corner():
    image = ground()
    draw_text(image, "abc", 30, 40, (255, 0, 0))
    rows, columns = np.nonzero((image != GREY).any(axis=-1))
    assert (rows.min(), columns.min()) == (40, 30)
    assert has_colour(image, (255, 0, 0)).any()


def test_true_poses_outline_the_real_objects(ycbv_sample):
    """The outlines of the annotated poses agree with the annotated masks where nothing hides them."""
    from selfpose6d.datasets.options import DataOptions

    dataset = DataOptions(ycbv_sample).open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    annotated = json.loads((ycbv_sample / "test" / "000000" / "scene_gt.json").read_text())[str(frame.im_id)]
    info = json.loads((ycbv_sample / "test" / "000000" / "scene_gt_info.json").read_text())[str(frame.im_id)]
    packed = pack_meshes([dataset.load_mesh(entry["obj_id"]) for entry in annotated])
    for index, (entry, visible) in enumerate(zip(annotated, info, strict=True)):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = np.reshape(entry["cam_R_m2c"], (3, 3)), np.array(entry["cam_t_m2c"]) / 1000
        rendered = silhouettes(packed, [DrawnPose(index, T)], frame.K, frame.rgb.shape[:2])[0]
        mask = next(i.mask for i in frame.instances if i.key.obj_id == entry["obj_id"])
        if visible["visib_fract"] > 0.95:
            assert (rendered & mask).sum() / (rendered | mask).sum() > 0.9
