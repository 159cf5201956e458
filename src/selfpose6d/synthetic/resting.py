"""How an object can lie on a table: the faces of its convex hull that its centre of mass stands over."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import ConvexHull

from selfpose6d.meshes.mesh import Mesh

# a choice: an object hardly ever comes to rest in rarer ones
MIN_PROBABILITY = 0.01
# round sides of the built-in objects are facets of under 6 degrees: each counts with two on either side
NEIGHBOUR_ANGLE_RAD = np.radians(12.0)
# of the object's z axis from the vertical; a choice that lets hulls be slightly uneven below
UPRIGHT_ANGLE_RAD = np.radians(15.0)
# people put objects down upright; by chance alone tall objects would nearly always lie
UPRIGHT_PROBABILITY = 0.6


@dataclass(frozen=True)
class RestingPoses:
    """The stable orientations of one object. `probability`: the fraction of all directions that lead there."""

    R_world_obj: Float[np.ndarray, "poses 3 3"]
    probability: Float[np.ndarray, " poses"]
    upright: Bool[np.ndarray, " poses"]
    hull_m: Float[np.ndarray, "corners 3"]


def find_resting_poses(mesh: Mesh) -> RestingPoses:
    """Every orientation in which the object, taken as a shell of even thickness, does not tip over.

    A face of the hull is stable when the centre of mass projects into it. Faces that fewer than 1 % of all
    directions lead to (with their neighbours within 12 degrees, so that round sides count, and uneven ones, of which
    a scan's base has many and stands on one) are left out.
    """
    hull = ConvexHull(mesh.vertices_m.astype(np.float64))
    centre_m = np.average(mesh.triangles_m.mean(axis=1), axis=0, weights=mesh.face_areas_m2)
    corners = hull.points[hull.simplices] - centre_m
    down = hull.equations[:, :3]
    stable = _holds_projection(corners, down, -hull.equations[:, 3] - down @ centre_m)
    facet, member = np.unique(np.round(down, 4), axis=0, return_inverse=True)
    solid_angle = np.bincount(member.reshape(-1), _solid_angle(corners), minlength=len(facet)) / (4 * np.pi)
    is_stable = np.bincount(member.reshape(-1), stable, minlength=len(facet)) > 0
    facet /= np.linalg.norm(facet, axis=1, keepdims=True)
    around = ((facet @ facet.T > np.cos(NEIGHBOUR_ANGLE_RAD)) @ solid_angle)[is_stable]
    facet, solid_angle = facet[is_stable], solid_angle[is_stable]
    kept = around >= min(MIN_PROBABILITY, around.max())
    facet, solid_angle = facet[kept], solid_angle[kept]
    return RestingPoses(
        R_world_obj=rotations_to_down(facet),
        probability=solid_angle / solid_angle.sum(),
        upright=-facet[:, 2] > np.cos(UPRIGHT_ANGLE_RAD),
        hull_m=hull.points[hull.vertices],
    )


def draw_resting(poses: RestingPoses, generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """One orientation: often upright where the object has such a pose, else as it would fall; any heading."""
    weights = poses.probability
    if poses.upright.any() and generator.random() < UPRIGHT_PROBABILITY:
        weights = weights * poses.upright
    choice = generator.choice(len(weights), p=weights / weights.sum())
    return heading(generator.uniform(0, 2 * np.pi)) @ poses.R_world_obj[choice]


def heading(angle_rad: float) -> Float[np.ndarray, "3 3"]:
    """Rotation about the world's vertical."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotations_to_down(down: Float[np.ndarray, "poses 3"]) -> Float[np.ndarray, "poses 3 3"]:
    """Shortest rotations that take unit directions to (0, 0, -1); by pi about x for (0, 0, 1)."""
    axis = np.cross(down, [0.0, 0.0, -1.0])
    cosine = -down[:, 2]
    K = np.zeros((len(down), 3, 3))
    K[:, 0, 1], K[:, 0, 2], K[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    K -= K.swapaxes(1, 2)
    opposite = cosine < -1 + 1e-9
    scale = 1 / np.where(opposite, 1.0, 1 + cosine)
    R = np.eye(3) + K + scale[:, None, None] * (K @ K)
    R[opposite] = np.diag([1.0, -1.0, -1.0])
    return R


def _holds_projection(
    corners: Float[np.ndarray, "faces 3 3"],
    normal: Float[np.ndarray, "faces 3"],
    height_m: Float[np.ndarray, " faces"],
) -> Bool[np.ndarray, " faces"]:
    """Whether the foot of the perpendicular from the origin lies in the triangle (edges included)."""
    foot = normal * height_m[:, None]
    following = np.roll(corners, -1, axis=1)
    side = np.einsum("fkd,fd->fk", np.cross(following - corners, foot[:, None] - corners), normal)
    return (side >= -1e-12).all(axis=1) | (side <= 1e-12).all(axis=1)


def _solid_angle(corners: Float[np.ndarray, "faces 3 3"]) -> Float[np.ndarray, " faces"]:
    """Solid angle of triangles seen from the origin (Van Oosterom and Strackee 1983)."""
    a, b, c = np.moveaxis(corners, 1, 0)
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    triple = np.abs(np.einsum("fd,fd->f", a, np.cross(b, c)))
    dots = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
    return 2 * np.arctan2(triple, dots)
