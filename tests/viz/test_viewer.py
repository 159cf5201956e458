"""The viewer's data and calls; viser itself is an extra and is stood in for."""

import sys
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import pytest

from selfpose6d.errors import UsageError
from selfpose6d.viz.viewer import ViewedFrame, ViewedPose, measured_points, start_viewer


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
    with pytest.raises(UsageError, match=r"pip install 'selfpose6d\[viewer\]'"):
        start_viewer(["one"], MagicMock(), "127.0.0.1", 8080)


def test_frames_are_loaded_when_chosen_and_poses_placed(monkeypatch, box_mesh, T_cam_obj):
    viser = ModuleType("viser")
    viser.ViserServer = MagicMock()
    monkeypatch.setitem(sys.modules, "viser", viser)
    server = viser.ViserServer.return_value
    chosen = server.gui.add_dropdown.return_value
    chosen.value = "one"
    pose = ViewedPose(box_mesh, T_cam_obj, "box", "certified")
    frame = ViewedFrame(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), [pose])
    loaded = []

    def load(index: int) -> ViewedFrame:
        loaded.append(index)
        return frame

    start_viewer(["one", "two"], load, "127.0.0.1", 8080)
    placed = server.scene.add_mesh_simple.call_args.kwargs
    np.testing.assert_allclose(placed["wxyz"], [1, 0, 0, 0])
    np.testing.assert_allclose(placed["position"], [0.05, 0, 1])
    chosen.value = "two"
    chosen.on_update.call_args.args[0]()
    assert loaded == [0, 1]
    assert server.scene.add_mesh_simple.return_value.remove.called
