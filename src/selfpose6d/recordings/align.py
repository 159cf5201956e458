"""Depth as the colour camera sees it: the depth image's surface, drawn into the colour image with a z-buffer."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from selfpose6d.errors import DataError
from selfpose6d.recordings.align_kernels import fill_loose_pixels, fill_surface, project_pixels
from selfpose6d.recordings.camera import Camera, Size, pixel_grid, undistorted_rays

SURFACE_STEP = 0.01
"""Neighbouring pixels belong to one surface where their depths differ by less than this ratio: at 600 px focal length a
surface seen at up to 80 degrees, and the noise of the usual sensors up to 3 m."""
MAX_BASELINE_M = 0.5


@dataclass(frozen=True)
class Aligner:
    """Depth images of one camera as another one sees them, without lens distortion of either."""

    rays: Float[np.ndarray, "height width 2"]
    focal_px: tuple[float, float]
    T_colour_depth: Float[np.ndarray, "4 4"]
    K_colour: Float[np.ndarray, "3 3"]
    size_colour: Size

    def __call__(self, depth_m: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "height width"]:
        """The z depth at every colour pixel in metres; 0 where no surface is seen, or none by the depth camera.

        Surfaces are filled without holes, edges stay where they are: what the depth camera does not see beside a nearer
        object is unknown. Between the pixels of a surface the depth is interpolated, across edges never.
        """
        uvz = np.empty((*depth_m.shape, 3), np.float32)
        project_pixels(depth_m, self.rays, self.T_colour_depth, self.K_colour, uvz)
        aligned_m = np.zeros(self.size_colour[::-1], np.float32)
        loose = np.empty(depth_m.shape, np.bool_)
        fill_surface(uvz, SURFACE_STEP, loose, aligned_m)
        # half of what a depth pixel covers, and so much that no pixel is lost between two of a coarser image
        half_u, half_v = (max(0.5, 0.5 * self.K_colour[k, k] / self.focal_px[k]) for k in (0, 1))
        fill_loose_pixels(uvz, loose, half_u, half_v, SURFACE_STEP, aligned_m)
        return aligned_m


def make_aligner(
    depth: Camera,
    depth_size: Size,
    T_colour_depth: Float[np.ndarray, "4 4"],
    K_colour: Float[np.ndarray, "3 3"],
    size_colour: Size,
) -> Aligner:
    """Prepare the alignment of images of `depth_size`; the colour images have no distortion (any more)."""
    rays = undistorted_rays(depth, pixel_grid(depth_size)).reshape(*depth_size[::-1], 2)
    focal = float(depth.K[0, 0]), float(depth.K[1, 1])
    return Aligner(rays, focal, T_colour_depth, K_colour, size_colour)


def require_extrinsics(T_colour_depth: Float[np.ndarray, "4 4"], name: str) -> Float[np.ndarray, "4 4"]:
    """Return the transform, or say why it cannot be that of a depth camera to its colour camera in metres.

    Raises:
        DataError: no rotation, or a baseline longer than cameras have.
    """
    R, baseline_m = T_colour_depth[:3, :3], float(np.linalg.norm(T_colour_depth[:3, 3]))
    if not np.isfinite(T_colour_depth).all() or not np.allclose(R @ R.T, np.eye(3), atol=1e-3):
        raise DataError(
            f"{name}: the extrinsics' rotation is none: {np.round(R, 4).tolist()}. Expected T_colour_depth."
        )
    if np.linalg.det(R) < 0:
        raise DataError(f"{name}: the extrinsics mirror the scene (determinant -1). Expected a rotation.")
    if baseline_m > MAX_BASELINE_M:
        raise DataError(
            f"{name}: the extrinsics put {baseline_m:.3g} m between depth and colour camera, expected less than "
            f"{MAX_BASELINE_M} m. Write the translation in metres."
        )
    return T_colour_depth
