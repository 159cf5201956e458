"""How sure a certified pose is, as the 6x6 covariance of ROS: x, y, z, and small rotations about the camera's axes.

What follows from what:

- Each measured point says how far off the surface is along its normal, with the deviation `max(noise_m, rms_m)` of the
  certificate: the sensor's noise at that distance, or what the points are off the surface if that is more.
- Only the part `coverage * inlier_ratio` of the visible surface was measured and fits. And pixels are not independent:
  noise is alike over about 5 x 5 of them, and what a mesh or a camera's calibration is off is alike over a side of the
  object. So no more than nine measurements count.
- Along the surface depth says nothing: there colours and outline hold the object, to a pixel, once; to two pixels where
  the mask was no exact outline.
- The sum of all these (Gauss-Newton's normal equations over the visible faces) is the information about a small shift
  and a small rotation of the object; its inverse is the covariance. A face seen front on is thereby sure in depth and
  in two rotations, less so sideways; a small, far, half-hidden object is unsure in all.
- What no averaging removes, the camera's own scale error, is added along the line of sight.
- An ambiguous pose is a mixture of its alternatives, each with its weight: their distances from the first are added as
  they are to the covariance, so that it is as wide about an open rotation as the alternatives lie apart.

The numbers (nine, one, two) were chosen on the YCB-Video sample: of 30 certified poses of five objects squared errors
are 0.9 times what it says in the mean, per dimension, and 2.1 times at the 90 % quantile; of 21 found in boxes 0.8 and
2.0 times. It is a model of the measurement, no calibrated promise: that is the certificate's `confidence`. Rotations
about a declared axis of symmetry are no error and are not counted. Parts of the object that hide other parts of it are
not looked for.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from selfpose6d import Certificate, Mesh

CORRELATED_PX = 5
"""Side of the patches over which a depth camera's noise is alike."""
MAX_DEPTHS = 9
"""Of measurements that count as independent, see above."""
SIDEWAYS_PX, INEXACT_SIDEWAYS_PX = 1.0, 2.0
"""How well colours and outline hold an object, by an exact mask and by a rough one or a box."""
SYSTEMATIC_RATIO = 0.002
"""Of the distance; data sheets of depth cameras say 0.2 to 2 %."""
DEFAULT_NOISE_PER_M2 = 0.0015
"""Deviation at 1 m, growing with the square, where the certificate measured none."""
_QUADRATURE = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4]]) / 6
"""Points of a triangle whose mean is exact for squares of positions."""


@dataclass(frozen=True)
class View:
    """How the object was seen."""

    K: np.ndarray
    area_px: int
    """Of its mask."""


def pose_covariance(mesh: Mesh, T_cam_obj: np.ndarray, certificate: Certificate, view: View) -> np.ndarray:
    """6x6, metres and radians, in the camera's frame; rotations are about the object frame's origin."""
    covariance = single_covariance(mesh, T_cam_obj, certificate, view)
    if not certificate.alternatives:
        return covariance
    weights = np.array([each.confidence for each in certificate.alternatives])
    offsets = np.stack([twist(T_cam_obj, each.T_cam_obj) for each in certificate.alternatives])
    spread = (weights[:, None] * offsets).T @ offsets / weights.sum()
    return covariance + spread


def twist(T_from: np.ndarray, T_to: np.ndarray) -> np.ndarray:
    """Shift and rotation vector, along the camera's axes, that bring one pose to the other."""
    rotation = Rotation.from_matrix(T_to[:3, :3] @ T_from[:3, :3].T)
    return np.concatenate([T_to[:3, 3] - T_from[:3, 3], rotation.as_rotvec()])


def single_covariance(mesh: Mesh, T_cam_obj: np.ndarray, certificate: Certificate, view: View) -> np.ndarray:
    """The same of one pose for itself, whatever its alternatives are."""
    distance_m = float(np.linalg.norm(T_cam_obj[:3] @ [*mesh.centre_m, 1]))
    sight = T_cam_obj[:3] @ [*mesh.centre_m, 1] / distance_m
    default_m = DEFAULT_NOISE_PER_M2 * distance_m**2
    noise_m = np.nanmax([certificate.noise_m, certificate.rms_m, 0.0]) or default_m
    measured = _known(certificate.coverage, 0.5) * _known(certificate.inlier_ratio, 1.0)
    depths = measured * min(view.area_px / CORRELATED_PX**2, MAX_DEPTHS)
    exact = certificate.mask_quality in ("exact", None)
    sideways_m = (SIDEWAYS_PX if exact else INEXACT_SIDEWAYS_PX) * distance_m / float(view.K[0, 0])
    points_m, normals, weights = visible_surface(mesh, T_cam_obj)
    arms_m = points_m - T_cam_obj[:3, 3]
    information = _information(arms_m, normals, weights) * depths / noise_m**2
    for sideways in _perpendicular(sight):
        directions = np.broadcast_to(sideways, arms_m.shape)
        seen = _known(certificate.coverage, 0.5)
        information += _information(arms_m, directions, weights) * seen / sideways_m**2
    # nothing is less sure than to its own size and half round
    information += np.diag([mesh.diameter_m**-2.0] * 3 + [np.pi**-2] * 3)
    covariance = np.linalg.inv(information)
    covariance[:3, :3] += (SYSTEMATIC_RATIO * distance_m) ** 2 * np.outer(sight, sight)
    return 0.5 * (covariance + covariance.T)


def visible_surface(mesh: Mesh, T_cam_obj: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, normals and weights (of sum 1: as much of the image as each fills) of the faces that face the camera."""
    R, t = T_cam_obj[:3, :3], T_cam_obj[:3, 3]
    points_m = np.einsum("qk,fkd->fqd", _QUADRATURE, mesh.triangles_m) @ R.T + t
    normals = np.repeat(mesh.face_normals @ R.T, len(_QUADRATURE), axis=0)
    points_m = points_m.reshape(-1, 3)
    distance_m = np.linalg.norm(points_m, axis=1)
    cosine = -(normals * points_m).sum(1) / distance_m
    weights = np.repeat(mesh.face_areas_m2, len(_QUADRATURE)) * cosine.clip(0) / distance_m**2
    kept = weights > 0
    return points_m[kept], normals[kept], weights[kept] / max(weights.sum(), 1e-12)


def _information(arms_m: np.ndarray, directions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of one measurement of unit deviation along these directions, at the mean over the points."""
    J = np.concatenate([directions, np.cross(arms_m, directions)], axis=1)
    return (weights[:, None] * J).T @ J


def _perpendicular(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors at right angles to a unit vector and to each other."""
    first = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
    first /= np.linalg.norm(first)
    return first, np.cross(direction, first)


def _known(value: float, otherwise: float) -> float:
    return value if np.isfinite(value) else otherwise
