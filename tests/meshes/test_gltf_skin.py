"""Meshes that follow joints: in the pose that the file stores, whatever the skinned node itself says."""

import numpy as np
import pytest
from six_colours import Glb, quads

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh


def skinned_box(joints: np.ndarray, weights: np.ndarray, inverse_bind: list[np.ndarray] | None) -> Glb:
    """The box in centimetres below an armature of scale 0.01, with two joints: at its origin, and 2 m above."""
    glb = Glb()
    primitive = glb.box()
    attributes = primitive["attributes"]
    attributes["POSITION"] = glb.array((100 * quads().reshape(-1, 3)).astype(np.float32))
    attributes["JOINTS_0"], attributes["WEIGHTS_0"] = glb.array(joints), glb.array(weights)
    glb.content["skins"] = [{"joints": [2, 3]}]
    if inverse_bind is not None:
        columns = np.stack([T.T.reshape(16) for T in inverse_bind]).astype(np.float32)
        index = glb.array(columns)
        glb.content["accessors"][index]["type"] = "MAT4"
        glb.content["skins"][0]["inverseBindMatrices"] = index
    armature = {"scale": [0.01] * 3, "children": [1, 2, 3]}
    moved = {"mesh": 0, "skin": 0, "translation": [7, 7, 7], "scale": [3, 3, 3]}
    glb.content["nodes"] = [armature, moved, {}, {"translation": [0, 0, 200]}]
    return glb


def corners_m(glb: Glb, tmp_path) -> np.ndarray:
    with pytest.warns(UserWarning, match="follows a skeleton"):
        mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    return mesh.triangles_m.astype(float)


def box_m() -> np.ndarray:
    return quads()[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)


def following(joint: int) -> np.ndarray:
    joints = np.zeros((24, 4), np.uint8)
    joints[:, 0] = joint
    return joints


WHOLE = np.tile(np.float32([1, 0, 0, 0]), (24, 1))


@pytest.mark.parametrize("joint", [0, 1])
def test_the_nodes_own_transform_is_not_used(tmp_path, joint):
    """Without inverse bind matrices the joint alone moves it: scale 0.01, the second joint 2 m up."""
    found = corners_m(skinned_box(following(joint), WHOLE, None), tmp_path)
    np.testing.assert_allclose(found, box_m() + np.array([0, 0, 2 * joint]), atol=1e-5)


def test_inverse_bind_matrices_come_first(tmp_path):
    """Bound where the joints are, in metres: the stored vertices, in centimetres, are the scene's hundredfold."""
    lowered = np.eye(4)
    lowered[2, 3] = -200
    found = corners_m(skinned_box(following(1), WHOLE, [np.eye(4), lowered]), tmp_path)
    np.testing.assert_allclose(found, box_m(), atol=1e-5)


def test_weights_blend_two_joints(tmp_path):
    """A quarter of the second joint's 2 m."""
    joints = following(0)
    joints[:, 1] = 1
    weights = np.tile(np.float32([0.75, 0.25, 0, 0]), (24, 1))
    found = corners_m(skinned_box(joints, weights, None), tmp_path)
    np.testing.assert_allclose(found, box_m() + np.array([0, 0, 0.5]), atol=1e-5)


def test_joints_that_mirror_keep_the_outside(tmp_path):
    glb = skinned_box(following(0), WHOLE, [np.diag([-1.0, 1, 1, 1]), np.eye(4)])
    triangles = corners_m(glb, tmp_path)
    centre = triangles.reshape(-1, 3).mean(axis=0)
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    stored = box_m()
    outside = np.cross(stored[:, 1] - stored[:, 0], stored[:, 2] - stored[:, 0])
    expected = np.sign((outside * (stored.mean(axis=1) - stored.reshape(-1, 3).mean(axis=0))).sum(axis=1))
    np.testing.assert_array_equal(np.sign((normal * (triangles.mean(axis=1) - centre)).sum(axis=1)), expected)


def test_a_joint_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MeshError, match="follows joint 2 of 2"):
        load_mesh(skinned_box(following(2), WHOLE, None).write(tmp_path / "a.glb"))


def test_without_weights_it_is_taken_as_stored(tmp_path):
    glb = skinned_box(following(0), np.zeros((24, 4), np.float32), None)
    position = glb.array(quads().reshape(-1, 3).astype(np.float32))
    glb.content["meshes"][0]["primitives"][0]["attributes"]["POSITION"] = position
    np.testing.assert_allclose(corners_m(glb, tmp_path), box_m(), atol=1e-6)
