"""`overlay(frame, poses, meshes)`: what was estimated, drawn over the photo."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from selfpose6d.arrays import describe
from selfpose6d.datasets.model_files import list_some
from selfpose6d.errors import UsageError
from selfpose6d.meshes.mesh import Mesh, require_mesh
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.types import Frame, LabeledPose, PoseEstimate
from selfpose6d.viz.overlay import DrawnPose, draw_overlay


def overlay(
    frame: Frame,
    poses: Sequence[PoseEstimate] | PoseEstimate,
    meshes: Mapping[int, Mesh | ObjectModel],
    names: Mapping[int, str] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """The photo with every pose's outline and axes, in the colour of its certificate, and its name.

    Green is certified, orange ambiguous, red rejected, blue without certificate. Axes x, y, z are red, green, blue.
    Hidden parts are drawn too. Instances without a pose are left out.

    Args:
        frame: the photo and its camera.
        poses: of `annotate` or a `Predictor`; one alone, too.
        meshes: per object id, as `annotate` takes them.
        names: of objects, by id; else their ids stand there.

    Raises:
        UsageError: something else was passed, or a pose's object has no mesh.
    """
    if not isinstance(frame, Frame):
        raise UsageError(f"frame must be a Frame, got {describe(frame)}.")
    poses = [poses] if isinstance(poses, PoseEstimate) else list(poses)
    if other := [pose for pose in poses if not isinstance(pose, PoseEstimate)]:
        raise UsageError(f"poses must be estimates as annotate gives them, got {describe(other[0])}.")
    shown = [pose for pose in poses if pose.valid]
    obj_ids = sorted({pose.key.obj_id for pose in shown})
    if missing := [obj_id for obj_id in obj_ids if obj_id not in meshes]:
        known = list_some(sorted(meshes))
        raise UsageError(f"meshes must have every pose's object, got {known}: {list_some(missing)} missing.")
    if not shown:
        return frame.rgb.copy()
    packed = pack_meshes([_mesh_of(meshes[obj_id], f"meshes[{obj_id}]") for obj_id in obj_ids])
    drawn = [
        DrawnPose(obj_ids.index(pose.key.obj_id), pose.T_cam_obj, _label(pose, names or {}), _status(pose))
        for pose in shown
    ]
    return draw_overlay(frame.rgb, frame.K, packed, drawn)


def _mesh_of(mesh: Mesh | ObjectModel, name: str) -> Mesh:
    return mesh.mesh if isinstance(mesh, ObjectModel) else require_mesh(mesh, name)


def _status(pose: PoseEstimate) -> str:
    return pose.certificate.status if isinstance(pose, LabeledPose) else ""


def _label(pose: PoseEstimate, names: Mapping[int, str]) -> str:
    name = names.get(pose.key.obj_id, f"object {pose.key.obj_id}")
    return " ".join(filter(None, (name, _status(pose), f"{pose.confidence:.2f}")))
