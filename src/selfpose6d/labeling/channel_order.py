"""Whether an image's red and blue are swapped, seen by the colours of objects at their poses."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.types import Frame, LabeledPose

SAMPLES = 1000
"""Of a mesh's surface; about a third of them are seen."""
MAX_DEPTH_GAP_M = 0.02
"""Between a sample and the measured depth at its pixel, for it to be seen there."""
MIN_SEEN = 100
MIN_CHROMA = 0.05
"""Root mean square of (red - blue) / brightness, of mesh and image: grey objects say nothing. Real ones: 0.2-0.7."""
OPPOSED = -0.1
"""Correlation of that quantity between mesh and image. At true poses of the real sample it is 0.61 to 0.91, so in
swapped images -0.61 to -0.91, whatever the light; -0.15 where the annotator found a swapped image to fit a box's other
sides better."""


def seems_swapped(frame: Frame, poses: Iterable[tuple[LabeledPose, Mesh]]) -> bool:
    """Whether red and blue agree between the image and the meshes at their poses only when swapped.

    Only of poses that are certified or ambiguous: others may be another object's.
    """
    seen = [
        _red_less_blue(frame, pose, mesh)
        for pose, mesh in poses
        if pose.valid and pose.certificate.status != "rejected" and mesh.has_known_colour
    ]
    if not seen:
        return False
    of_mesh, of_image = np.concatenate(seen).T
    if len(of_mesh) < MIN_SEEN:
        return False
    rms_mesh, rms_image = np.sqrt(np.mean(of_mesh**2)), np.sqrt(np.mean(of_image**2))
    if min(rms_mesh, rms_image) < MIN_CHROMA:
        return False
    return bool(np.mean(of_mesh * of_image) < OPPOSED * rms_mesh * rms_image)


def _red_less_blue(frame: Frame, pose: LabeledPose, mesh: Mesh) -> Float[np.ndarray, "seen 2"]:
    """(red - blue) / brightness of the mesh and of the image, at the samples that are seen."""
    samples = sample_surface(mesh, SAMPLES, np.random.default_rng(0))
    assert samples.rgb is not None, "its colour is known"
    points_m = samples.points_m @ pose.T_cam_obj[:3, :3].T + pose.T_cam_obj[:3, 3]
    uv = points_m @ frame.K.T
    with np.errstate(divide="ignore", invalid="ignore"):
        column, row = np.nan_to_num(np.rint(uv[:, :2] / uv[:, 2:]), posinf=-1, neginf=-1).T
    height, width = frame.depth_m.shape
    seen = (points_m[:, 2] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    row, column = np.where(seen, row, 0).astype(int), np.where(seen, column, 0).astype(int)
    seen &= _mask_of(frame, pose)[row, column]
    seen &= np.abs(frame.depth_m[row, column] - points_m[:, 2]) < MAX_DEPTH_GAP_M
    colours = samples.rgb[seen], frame.rgb[row[seen], column[seen]] / 255
    return np.stack([(rgb[:, 0] - rgb[:, 2]) / (rgb.sum(1) + 0.1) for rgb in colours], axis=1)


def _mask_of(frame: Frame, pose: LabeledPose) -> Bool[np.ndarray, "height width"]:
    return next(instance.mask for instance in frame.instances if instance.key == pose.key)
