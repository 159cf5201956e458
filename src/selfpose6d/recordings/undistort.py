"""Images without lens distortion: colour interpolated, depth by its nearest pixel; the camera matrix stays."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Shaped, UInt8

from selfpose6d.recordings.camera import (
    Camera,
    Size,
    distorted_pixels,
    is_seen,
    pixel_grid,
    undistorted_rays,
)

_OUTSIDE = -10.0
"""A pixel far enough outside that interpolation at the border does not reach the image."""


@dataclass(frozen=True)
class UndistortMaps:
    """For each pixel of the undistorted image, where the image as it was taken shows it."""

    u_px: Float[np.ndarray, "height width"]
    v_px: Float[np.ndarray, "height width"]

    def colour(self, rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """Interpolated; black where the image as it was taken has nothing to show."""
        return cv2.remap(rgb, self.u_px, self.v_px, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    def depth(self, depth: Shaped[np.ndarray, "height width"]) -> Shaped[np.ndarray, "height width"]:
        """The nearest pixel's value, never a mean over an edge; 0 where the image as it was taken ends."""
        return cv2.remap(depth, self.u_px, self.v_px, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)


def undistort_maps(camera: Camera, size: Size) -> UndistortMaps | None:
    """The maps that take the lens distortion out, for the same camera matrix; None where there is none."""
    if not camera.is_distorted:
        return None
    xy = undistorted_rays(Camera(camera.K), pixel_grid(size))
    uv = np.where(is_seen(camera, xy)[:, None], distorted_pixels(camera, xy), _OUTSIDE)
    u, v = uv.astype(np.float32).T.reshape(2, size[1], size[0])
    return UndistortMaps(np.ascontiguousarray(u), np.ascontiguousarray(v))
