"""6D object pose from unannotated RGB-D.

    from selfpose6d import annotate, load_mesh, Frame

Transforms are `T_<to>_<from>`, lengths metres, cameras OpenCV (+x right, +y down, +z forward).
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfpose6d.labeling.annotate import annotate
    from selfpose6d.meshes.io import load_mesh
    from selfpose6d.meshes.mesh import Mesh
    from selfpose6d.types import Certificate, Frame, Instance, InstanceKey, LabeledPose, PoseEstimate

__version__ = "0.1.0"

_HOME = {
    "annotate": "selfpose6d.labeling.annotate",
    "load_mesh": "selfpose6d.meshes.io",
    "Mesh": "selfpose6d.meshes.mesh",
    **dict.fromkeys(
        ("Certificate", "Frame", "Instance", "InstanceKey", "LabeledPose", "PoseEstimate"), "selfpose6d.types"
    ),
}

__all__ = [
    "Certificate",
    "Frame",
    "Instance",
    "InstanceKey",
    "LabeledPose",
    "Mesh",
    "PoseEstimate",
    "annotate",
    "load_mesh",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `selfpose6d --help` does not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'selfpose6d' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
