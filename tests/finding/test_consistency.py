import numpy as np

from finding.conftest import TABLE, standing_pose, table_frame
from selfpose6d.finding.consistency import MAX_INSIDE, MAX_THROUGH_PLANE, inside_of, through_support
from selfpose6d.finding.scene import Scene
from selfpose6d.labeling.lengths import Lengths


def test_an_object_on_its_table_is_possible_and_one_through_it_is_not(models):
    frame, masks = table_frame(models, {1: standing_pose(models[1], 0.0)})
    scene, lengths = Scene.of(frame, 0.27), Lengths(models[1].diameter_m, 0.001)
    own = scene.surface.from_image(masks[1])
    T = standing_pose(models[1], 0.0)
    assert through_support(scene, own, models[1], T, lengths) < 0.02
    sunk = T.clone()
    sunk[:3, 3] -= 0.1 * T.new_tensor(TABLE[0])
    nothing = np.zeros_like(own)
    assert through_support(scene, nothing, models[1], sunk, lengths) > MAX_THROUGH_PLANE


def test_a_pose_beside_another_is_possible_and_one_inside_it_is_not(models):
    box, brick = models[1], models[2]
    lengths = Lengths(brick.diameter_m, 0.001)
    T_box = standing_pose(box, 0.0)
    apart = standing_pose(brick, 0.2)
    assert inside_of(brick, apart, box, T_box, lengths) == 0
    middle = T_box.clone()
    middle[:3, 3] = box.centre_at(T_box[None])[0] - middle[:3, :3] @ brick.centre_m
    assert inside_of(brick, middle, box, T_box, lengths) > MAX_INSIDE
