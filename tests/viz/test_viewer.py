"""The viewer's data and calls; viser itself is an extra and is stood in for."""

import sys
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import pytest
import trimesh

from selfpose6d.errors import UsageError
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.viz.viewer import MOST_TEXELS, ViewedFrame, ViewedPose, Viewer, measured_points, to_glb


def test_measured_points_are_the_known_pixels(K):
    depth_m = np.zeros((120, 160), np.float32)
    depth_m[59, 79], depth_m[0, 0] = 1.0, 2.0
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[59, 79] = (1, 2, 3)
    points_m, colours = measured_points(rgb, depth_m, K)
    np.testing.assert_allclose(points_m, [[-0.795, -0.595, 2.0], [-0.0025, -0.0025, 1.0]], atol=1e-6)
    assert colours.tolist() == [[0, 0, 0], [1, 2, 3]]


def test_missing_viser_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(UsageError, match=r"the 3-D view needs viser.*pip install 'viser"):
        Viewer("127.0.0.1", 8080)


@pytest.fixture
def server(monkeypatch) -> MagicMock:
    """What the viewer tells viser."""
    viser = ModuleType("viser")
    viser.__file__ = "/somewhere/viser/__init__.py"
    viser.ViserServer = MagicMock()  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "viser", viser)
    return viser.ViserServer.return_value  # pyright: ignore[reportAttributeAccessIssue]


def frame_of(*poses: ViewedPose) -> ViewedFrame:
    return ViewedFrame(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), poses)


def test_poses_are_placed_and_moved_and_the_frame_before_is_removed(server, box_mesh, T_cam_obj):
    viewer = Viewer("127.0.0.1", 8080)
    viewer.show(frame_of(ViewedPose(box_mesh, T_cam_obj, "box", "certified")), np.array([0.0, 0, 1]))
    solid = server.scene.add_glb.return_value
    np.testing.assert_allclose(solid.wxyz, [1, 0, 0, 0])
    np.testing.assert_allclose(solid.position, [0.05, 0, 1])
    assert server.scene.add_label.call_args.args[1] == "box"
    viewer.move(0, np.diag([-1.0, -1.0, 1.0, 1.0]))
    np.testing.assert_allclose(np.abs(solid.wxyz), [0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(solid.position, 0)
    assert not solid.remove.called
    viewer.show(frame_of())
    assert solid.remove.called
    assert viewer.filled_layers == {"points"}


def test_layers_are_hidden_also_in_the_next_frame(server, box_mesh, T_cam_obj):
    viewer = Viewer("127.0.0.1", 8080)
    poses = [
        ViewedPose(box_mesh, T_cam_obj, "box", "rejected"),
        ViewedPose(box_mesh, T_cam_obj, "", kind="truth"),
    ]
    viewer.hide({"meshes"})
    viewer.show(frame_of(*poses))
    assert server.scene.add_glb.return_value.visible is False
    assert server.scene.add_point_cloud.return_value.visible is True
    assert viewer.filled_layers == {"points", "meshes", "statuses", "axes", "labels", "truth"}
    wires = [call for call in server.scene.add_mesh_simple.call_args_list if call.kwargs.get("wireframe")]
    assert [call.kwargs["color"] for call in wires] == [(255, 255, 255)]


def test_the_gizmo_tells_where_it_was_dragged(server):
    viewer, moved = Viewer("127.0.0.1", 8080), []
    viewer.add_gizmo(np.eye(4), 0.1, moved.append)
    gizmo = server.scene.add_transform_controls.return_value
    dragged = MagicMock(wxyz=(0.0, 1.0, 0.0, 0.0), position=(1.0, 2.0, 3.0))
    gizmo.on_update.call_args.args[0](MagicMock(target=dragged))
    np.testing.assert_allclose(moved[0][:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-12)
    assert moved[0][:3, 3].tolist() == [1, 2, 3]
    viewer.show(frame_of())
    assert gizmo.remove.called


def test_views_start_above_and_beside_what_they_look_at(server):
    viewer = Viewer("127.0.0.1", 8080)
    client = MagicMock()
    server.get_clients.return_value = {0: client}
    viewer.show(frame_of(), np.array([0.0, 0.0, 2.0]), 0.5)
    x, y, z = client.camera.position
    assert np.linalg.norm([x, y, z - 2]) == pytest.approx(0.5)
    assert y < -0.05  # y points down
    assert abs(x) > 0.1
    assert z < 2  # the sensor's side


def test_textured_meshes_keep_their_colours_as_glb():
    """A quad, red above and blue below, through trimesh's own reader."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)[faces]
    texture = np.zeros((2 * MOST_TEXELS, 64, 3), np.uint8)
    texture[:MOST_TEXELS, :, 0], texture[MOST_TEXELS:, :, 2] = 255, 255
    content = to_glb(Mesh(corners, faces, corner_uv=uv, texture=texture))
    loaded = trimesh.load(trimesh.util.wrap_as_stream(content), file_type="glb", force="mesh")
    assert max(loaded.visual.material.baseColorTexture.size) == MOST_TEXELS
    colours = loaded.visual.to_color().vertex_colors[:, :3].astype(int)
    upper = loaded.vertices[:, 1] > 0
    assert (colours[upper, 0] > 200).all()
    assert (colours[~upper, 2] > 200).all()
    np.testing.assert_allclose(loaded.bounds, [[-1, -1, 0], [1, 1, 0]], atol=1e-6)


def test_plain_meshes_have_their_vertices_colours_or_grey(box_mesh):
    def colours(mesh: Mesh) -> np.ndarray:
        loaded = trimesh.load(trimesh.util.wrap_as_stream(to_glb(mesh)), file_type="glb", force="mesh")
        return np.unique(loaded.visual.vertex_colors[:, :3], axis=0)

    assert colours(box_mesh).tolist() == [[0, 200, 0]]
    assert colours(Mesh(box_mesh.vertices_m, box_mesh.faces)).tolist() == [[150, 150, 150]]
