"""Average recall on rendered scenes of two boxes; BOP's rules about targets and scores."""

import numpy as np
import pytest
import torch
from pose_rows import make_estimates, make_truths

from selfpose6d.evaluation.bop_recall import BopModel, SensorImage, bop_recalls
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize

K = np.array([[150.0, 0, 79.5], [0, 150, 59.5], [0, 0, 1]])
EVERYTHING = np.ones(1, bool)


@pytest.fixture(scope="module")
def box() -> BopModel:
    """A box of 10 x 6 x 4 cm."""
    import trimesh

    cube = trimesh.creation.box((0.1, 0.06, 0.04))
    mesh = Mesh(np.asarray(cube.vertices, np.float32), np.asarray(cube.faces, np.int64))
    half_rotation = np.diag([-1.0, -1, 1, 1])
    return BopModel(mesh, np.stack([np.eye(4), half_rotation]))


def scene(box: BopModel, truths) -> SensorImage:
    """The depth that a sensor sees of boxes at the true poses, on a far wall."""
    poses = torch.from_numpy(truths.T_cam_obj).float()
    K_all = torch.from_numpy(K).float().expand(len(poses), 3, 3).contiguous()
    depth_m = rasterize(
        PosedMeshes(
            pack_meshes([box.mesh]), torch.zeros(len(poses), dtype=torch.long), poses, K_all, 120, 160
        )
    )
    nearest_m = torch.where(depth_m.depth_m > 0, depth_m.depth_m, 2.0).amin(dim=0)
    return SensorImage(nearest_m.numpy(), K)


def recalls(box, estimate_rows, truth_rows):
    truths = make_truths(truth_rows)
    image = scene(box, truths)
    return bop_recalls(make_estimates(estimate_rows), truths, {1: box}, lambda *_: image)


def test_true_poses_are_found_at_every_threshold(box):
    found = recalls(box, [(0, 1, 1, 0.9, 0.0, "")], [(0, 1, 1, 0.0, True)])
    assert found.average(EVERYTHING) == {"ar": 1, "ar_vsd": 1, "ar_mssd": 1, "ar_mspd": 1}


def test_a_shift_is_found_from_its_threshold_on(box):
    # 2.5 cm sideways: 0.203 of the diameter of 12.33 cm, so MSSD holds from the fifth theta; 3.83 px at the
    # near face (z 0.98 m), 15.3 px in an image 640 wide, so MSPD holds from the fourth.
    found = recalls(box, [(0, 1, 1, 0.9, 0.025, "")], [(0, 1, 1, 0.0, True)])
    assert found.mssd[0].tolist() == [False] * 4 + [True] * 6
    assert found.mspd[0].tolist() == [False] * 3 + [True] * 7
    assert 0 < found.vsd.mean() < 1


def test_a_symmetric_turn_costs_nothing(box):
    truths = make_truths([(0, 1, 1, 0.0, True)])
    image = scene(box, truths)
    rotated = make_estimates([(0, 1, 1, 0.9, 0.0, "")])
    rotated.T_cam_obj[0] = rotated.T_cam_obj[0] @ np.diag([-1.0, -1, 1, 1])
    symmetric = bop_recalls(rotated, truths, {1: box}, lambda *_: image)
    assert symmetric.average(EVERYTHING)["ar"] == 1
    asymmetric = BopModel(box.mesh, np.eye(4)[None])
    assert bop_recalls(rotated, truths, {1: asymmetric}, lambda *_: image).average(EVERYTHING)["ar_mssd"] == 0


def test_no_more_estimates_than_targets_and_the_best_scored_first(box):
    good, bad = (0, 1, 1, 0.3, 0.0, ""), (0, 1, 1, 0.9, 0.4, "")
    assert recalls(box, [good, bad], [(0, 1, 1, 0.0, True)]).average(EVERYTHING)["ar"] == 0
    two = recalls(box, [good, bad], [(0, 1, 1, 0.0, True), (0, 1, 1, 0.3, True)])
    assert two.mssd.all(axis=1).tolist() == [True, False]


def test_others_are_not_targets(box):
    found = recalls(box, [(0, 1, 1, 0.9, 0.3, "")], [(0, 1, 1, 0.0, True), (0, 1, 1, 0.3, False)])
    assert found.mssd.shape == (1, 10)
    assert not found.mssd.any()


def test_missed_targets_and_none_chosen(box):
    found = recalls(box, [], [(0, 1, 1, 0.0, True)])
    assert found.average(EVERYTHING)["ar"] == 0
    assert np.isnan(found.average(~EVERYTHING)["ar"])


def test_images_are_read_once_each(box):
    truths = make_truths([(0, im, 1, x, True) for im in (1, 2) for x in (0.0, 0.3)])
    image, asked = scene(box, truths.take(np.arange(2))), []

    def load_image(scene_id: int, im_id: int) -> SensorImage:
        asked.append((scene_id, im_id))
        return image

    rows = [(0, im, 1, 0.9, x, "") for im in (1, 2) for x in (0.0, 0.3)]
    found = bop_recalls(make_estimates(rows), truths, {1: box}, load_image)
    assert asked == [(0, 1), (0, 2)]
    assert found.vsd.all()
