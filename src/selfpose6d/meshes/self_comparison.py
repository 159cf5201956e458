"""How well a rigid motion maps a mesh onto itself: distances between the two surfaces, and colour differences."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.meshes.closest import FACES_A_QUERY, INDEX_SAMPLES, Surface
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import SurfaceSamples, sample_surface

COMPARED_POINTS = 1000
"""Of the surface, in each direction: a hundredth of it, a small feature, has ten of them."""
FAR_QUANTILE = 0.99
"""Fraction of the points that count for the largest distance: scans have single spikes, and a bolt head on a bracket is
4 % of its surface."""
COLOUR_QUANTILE = 0.9
"""Fraction of the points whose colours count: the others may match across an edge of the print."""
ALIGNING_STEPS = 6
"""Gauss-Newton steps from within a few degrees; real scans change by less than a tenth of a millimetre after four."""

ALIGNING_STRIDE = 2
"""Every second point is enough to align by: what is left is averaged over the group, and measured with all."""

SAME_SHAPE_RMS = 0.01
"""Residual of a symmetry, in diameters (2 mm at 20 cm). The YCB scans' own leave up to 0.009; scissors half a turn on,
whose handles differ, 0.0103; boxes that are wrong by 6 degrees, from 0.012 on."""
SAME_SHAPE_FAR = 0.035
"""Residual that 99 % of the surface stays under, in diameters: a handle or bolt head that a camera sees. The YCB scans'
symmetries leave up to 0.032 (a dented can), a mug that is rotated by 6 degrees 0.039."""
SENSED_RMS_M, SENSED_FAR_M = 0.0014, 0.006
"""Less than this no consumer depth camera tells apart at arm's length, however small the part of the diameter (a foam
brick's half turns leave 1.3 and 5.5 mm at the edges of a slit) ..."""
SENSED_MOST = 1.75
"""... but for objects so small that it is more than these times the limits above."""
SAME_COLOUR_LAB = 25.0
"""Difference that nine tenths of the points stay under where colour is the same: set on overlays of the real sample and
one rendered set."""


@dataclass(frozen=True)
class Residuals:
    """What each motion leaves, the worse of both directions; `colour_lab` is infinite where no colour is known.

    `far_m` is the distance that 99 % of the points stay under, `colour_lab` the LAB difference that 90 % do.
    """

    rms_m: Float[np.ndarray, " motions"]
    far_m: Float[np.ndarray, " motions"]
    max_m: Float[np.ndarray, " motions"]
    colour_lab: Float[np.ndarray, " motions"]

    def take(self, index: np.ndarray | int | slice) -> "Residuals":
        """Those of some motions."""
        return Residuals(*(np.atleast_1d(value[index]) for value in vars(self).values()))

    def same_shape(self, diameter_m: float, slack: float = 1.0) -> Bool[np.ndarray, " motions"]:
        """Which motions a depth camera cannot tell from none."""
        allowed_rms_m = _allowed_m(SAME_SHAPE_RMS * diameter_m, SENSED_RMS_M)
        allowed_far_m = _allowed_m(SAME_SHAPE_FAR * diameter_m, SENSED_FAR_M)
        return (self.rms_m < slack * allowed_rms_m) & (self.far_m < slack * allowed_far_m)

    @property
    def same_colour(self) -> Bool[np.ndarray, " motions"]:
        """Which motions known colour allows; none where no colour is known."""
        return self.colour_lab < SAME_COLOUR_LAB

    def worst(self) -> "Residuals":
        """The largest over all motions, as one."""
        return Residuals(*(value.max(keepdims=True) for value in vars(self).values()))


def _allowed_m(of_size_m: float, sensed_m: float) -> float:
    """A residual that is allowed by the object's size, or else because no camera would notice."""
    return max(of_size_m, min(sensed_m, SENSED_MOST * of_size_m))


class SelfComparison:
    """One mesh, ready to be compared with itself after a motion `T_obj_obj` (object frame, metres)."""

    def __init__(self, mesh: Mesh, samples: SurfaceSamples | None = None) -> None:
        """Index the surface. `samples`: the points to compare (default: all over it, hidden walls too).

        Raises:
            MeshError: the mesh has no area.
        """
        self.mesh = mesh
        self._surface = Surface(mesh)
        self._samples = samples or sample_surface(mesh, COMPARED_POINTS, np.random.default_rng(2))
        self._lab = _to_lab(self._samples) if mesh.has_known_colour else None

    @property
    def centroid_m(self) -> Float[np.ndarray, "3"]:
        """Mean surface point: every symmetry keeps it."""
        return self._samples.points_m.astype(np.float64).mean(axis=0)

    @property
    def principal_axes(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
        """Second moments of the surface along its unit axes of inertia, and these axes, one a row."""
        offsets = self._samples.points_m.astype(np.float64) - self.centroid_m
        moments, axes = np.linalg.eigh(offsets.T @ offsets / len(offsets))
        return moments, axes.T

    def residuals(self, T_obj_obj: Float[np.ndarray, "motions 4 4"]) -> Residuals:
        """Distances from the moved surface to the surface and back, and colour differences where they meet."""
        back = np.linalg.inv(T_obj_obj)
        pairs = [(self._measure(T), self._measure(B)) for T, B in zip(T_obj_obj, back, strict=True)]
        return Residuals(*np.array(pairs).reshape(-1, 2, 4).max(axis=1).T)

    def align(self, T_obj_obj: Float[np.ndarray, "4 4"], steps: int = ALIGNING_STEPS) -> np.ndarray:
        """The nearby motion of least point-to-plane residual; it does not slide where the surface does not hold it."""
        T = np.array(T_obj_obj, np.float64)
        points = self._samples.points_m[::ALIGNING_STRIDE].astype(np.float64)
        for _ in range(steps):
            T = self._gauss_newton_step(T, points)
        return T

    def _gauss_newton_step(self, T: np.ndarray, points_m: np.ndarray) -> np.ndarray:
        from scipy.spatial.transform import Rotation

        moved = points_m @ T[:3, :3].T + T[:3, 3]
        closest = self._surface.closest(moved)
        normal = self.mesh.face_normals[closest.face].astype(np.float64)
        on_surface = self._surface.points_of(closest)
        centre, scale = self.centroid_m, self.mesh.diameter_m / 2
        jacobian = np.concatenate([normal * scale, np.cross(moved - centre, normal)], axis=1)
        residual = np.einsum("pd,pd->p", on_surface - moved, normal)
        # what moves the residuals by less than a hundredth of the stiffest motion is left as it is
        step = np.linalg.lstsq(jacobian, residual, rcond=0.01)[0]
        change = np.eye(4)
        change[:3, :3] = Rotation.from_rotvec(step[3:]).as_matrix()
        change[:3, 3] = centre - change[:3, :3] @ centre + scale * step[:3]
        return change @ T

    def _measure(self, T: np.ndarray) -> tuple[float, float, float, float]:
        points = self._samples.points_m.astype(np.float64)
        closest = self._surface.closest(points @ T[:3, :3].T + T[:3, 3])
        distance = closest.distance_m
        rms, far = float(np.sqrt((distance**2).mean())), float(np.quantile(distance, FAR_QUANTILE))
        colour = np.inf
        rgb = None if self._lab is None else self._surface.rgb_at(closest)
        if self._lab is not None and rgb is not None:
            difference = np.linalg.norm(rgb_to_lab(torch.from_numpy(rgb)).numpy() - self._lab, axis=1)
            colour = float(np.quantile(difference, COLOUR_QUANTILE))
        return rms, far, float(distance.max()), colour


def _to_lab(samples: SurfaceSamples) -> Float[np.ndarray, "points 3"] | None:
    return None if samples.rgb is None else rgb_to_lab(torch.from_numpy(samples.rgb)).numpy()


def parameters() -> tuple[object, ...]:
    """All that residuals and alignment depend on beside the mesh, for the key of a cache."""
    measured = (COMPARED_POINTS, FAR_QUANTILE, COLOUR_QUANTILE, ALIGNING_STEPS, ALIGNING_STRIDE)
    return (
        *measured,
        SAME_SHAPE_RMS,
        SAME_SHAPE_FAR,
        SENSED_RMS_M,
        SENSED_FAR_M,
        SENSED_MOST,
        SAME_COLOUR_LAB,
        INDEX_SAMPLES,
        FACES_A_QUERY,
    )
