"""Puts the ROS 2 package and its stubs on the path; ROS itself need not be there."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "examples" / "ros2" / "selfpose6d_ros"
sys.path[:0] = [str(PACKAGE), str(HERE), str(HERE.parent / "datasets")]


@pytest.fixture(autouse=True)
def ros(monkeypatch):
    """Stub messages and a stub rclpy; the package is imported anew with them."""
    import stub_ros

    stub_ros.install(monkeypatch)
    for name in [name for name in sys.modules if name.partition(".")[0] == "selfpose6d_ros"]:
        monkeypatch.delitem(sys.modules, name)
    stub_ros.Node.given = {}
    return stub_ros
