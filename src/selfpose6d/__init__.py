"""6D object pose from unannotated RGB-D.

    from selfpose6d import Frame, Instance, InstanceKey, Predictor, annotate, load_mesh, overlay

Transforms are `T_<to>_<from>`, lengths metres, cameras OpenCV (+x right, +y down, +z forward).
"""

import importlib
from typing import TYPE_CHECKING, Any

from selfpose6d.version import __version__

if TYPE_CHECKING:
    from selfpose6d.inference.options import PredictOptions
    from selfpose6d.inference.predictor import Predictor
    from selfpose6d.labeling.annotate import AnnotateOptions, annotate
    from selfpose6d.meshes.io import load_mesh
    from selfpose6d.meshes.mesh import Mesh
    from selfpose6d.objects.object_model import ObjectModel, build_object_model
    from selfpose6d.types import Certificate, Frame, Instance, InstanceKey, LabeledPose, PoseEstimate
    from selfpose6d.viz.frame_overlay import overlay

_HOME = {
    "AnnotateOptions": "labeling.annotate",
    "Certificate": "types",
    "Frame": "types",
    "Instance": "types",
    "InstanceKey": "types",
    "LabeledPose": "types",
    "Mesh": "meshes.mesh",
    "ObjectModel": "objects.object_model",
    "PoseEstimate": "types",
    "PredictOptions": "inference.options",
    "Predictor": "inference.predictor",
    "annotate": "labeling.annotate",
    "build_object_model": "objects.object_model",
    "load_mesh": "meshes.io",
    "overlay": "viz.frame_overlay",
}
"""Where each public name is defined; imported on first use, so that `selfpose6d --help` does not wait for torch."""

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "AnnotateOptions",
    "Certificate",
    "Frame",
    "Instance",
    "InstanceKey",
    "LabeledPose",
    "Mesh",
    "ObjectModel",
    "PoseEstimate",
    "PredictOptions",
    "Predictor",
    "__version__",
    "annotate",
    "build_object_model",
    "load_mesh",
    "overlay",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'selfpose6d' has no attribute {name!r}")
    return getattr(importlib.import_module(f"selfpose6d.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
