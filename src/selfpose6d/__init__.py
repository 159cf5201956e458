"""6D object pose from unannotated RGB-D.

    from selfpose6d import Frame, Instance, InstanceKey, Predictor, annotate, load_mesh

Transforms are `T_<to>_<from>`, lengths metres, cameras OpenCV (+x right, +y down, +z forward).
"""

import importlib
from typing import TYPE_CHECKING, Any

from selfpose6d.version import __version__

if TYPE_CHECKING:
    from selfpose6d.inference.predictor import Predictor
    from selfpose6d.labeling.annotate import annotate
    from selfpose6d.meshes.io import load_mesh
    from selfpose6d.meshes.mesh import Mesh
    from selfpose6d.types import Certificate, Frame, Instance, InstanceKey, LabeledPose, PoseEstimate

_HOME = {
    "annotate": "selfpose6d.labeling.annotate",
    "load_mesh": "selfpose6d.meshes.io",
    "Mesh": "selfpose6d.meshes.mesh",
    "Predictor": "selfpose6d.inference.predictor",
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
    "Predictor",
    "__version__",
    "annotate",
    "load_mesh",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `selfpose6d --help` does not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'selfpose6d' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
