"""A camera as drivers and calibration tools describe it: pinhole matrix, image size, lens distortion."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.errors import MALFORMED, DataError

DistortionModel = Literal["none", "brown", "inverse_brown", "fisheye"]
Size = tuple[int, int]
"""Width and height in pixels."""
_MODELS: dict[str, DistortionModel] = {
    "": "none",
    "none": "none",
    "pinhole": "none",
    "plumb_bob": "brown",
    "radtan": "brown",
    "radial_tangential": "brown",
    "rational_polynomial": "brown",
    "brown_conrady": "brown",
    "modified_brown_conrady": "brown",
    "inverse_brown_conrady": "inverse_brown",
    "equidistant": "fisheye",
    "fisheye": "fisheye",
    "kannala_brandt4": "fisheye",
}
_NUM_COEFFICIENTS = {"brown": (4, 5, 8, 12), "inverse_brown": (5,), "fisheye": (4,)}
_FISHEYE_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
_NEWTON_STEPS = 10
_NEWTON_TOLERANCE = 1e-9
"""Of a ray: a millionth of a pixel."""


@dataclass(frozen=True)
class Camera:
    """One camera: pixel centres at integers, coefficients in OpenCV's order (k1 k2 p1 p2 k3 ...; fisheye: k1-k4).

    `inverse_brown` is RealSense's: the polynomial takes distorted to undistorted coordinates. `size` None: unknown.
    """

    K: Float[np.ndarray, "3 3"]
    size: Size | None = None
    model: DistortionModel = "none"
    coefficients: tuple[float, ...] = ()

    @property
    def is_distorted(self) -> bool:
        """Whether images have to be undistorted."""
        return self.model != "none"


def make_camera(
    K: Float[np.ndarray, "3 3"], size: Size | None, model: str, coefficients: object, name: str
) -> Camera:
    """A camera from the fields of a file or message; `name` is where they come from.

    Raises:
        DataError: no pinhole matrix, or a distortion that is not known.
    """
    K = require_pinhole(K, name)
    values = _numbers(coefficients, name)
    known = _MODELS.get(_normalised(model))
    if not any(values):
        return Camera(K, size)
    if known is None or known == "none":
        raise DataError(
            f"{name}: distortion model {model!r} with coefficients {list(values)} is not known. "
            "Expected plumb_bob, rational_polynomial, equidistant or a RealSense model; undistort the images first."
        )
    values = _fitting_count(known, values)
    if len(values) not in _NUM_COEFFICIENTS[known]:
        counts = " or ".join(map(str, _NUM_COEFFICIENTS[known]))
        raise DataError(
            f"{name}: distortion model {model!r} has {counts} coefficients, got {len(values)}. Correct the file."
        )
    return Camera(K, size, known, values)


def require_pinhole(K: Float[np.ndarray, "3 3"], name: str) -> Float[np.ndarray, "3 3"]:
    """Return K, or say why it is no pinhole matrix in pixels.

    Raises:
        DataError: it is not finite, uncalibrated (zeros), transposed, or not in pixels.
    """
    if not np.isfinite(K).all() or not K.any():
        raise DataError(
            f"{name}: the camera matrix is {K.tolist()}: the camera is not calibrated. "
            "Pass the calibrated camera with --camera FILE (--depth-camera FILE for the depth camera)."
        )
    if abs(K[2, 0]) > 1 or abs(K[2, 1]) > 1:
        raise DataError(
            f"{name}: the camera matrix is transposed: its last row is {K[2].tolist()}. Write it row by row."
        )
    if not np.allclose(K[2], (0, 0, 1)) or K[0, 0] <= 1 or K[1, 1] <= 1:
        raise DataError(
            f"{name}: expected a camera matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels, got {K.tolist()}. "
            "Correct it."
        )
    return K


def require_size(camera: Camera, size: Size, what: str) -> None:
    """Say that a calibration is of another resolution than the images.

    Raises:
        DataError: the sizes differ.
    """
    if camera.size is not None and camera.size != size:
        raise DataError(
            f"the {what} camera is calibrated for {camera.size[0]}x{camera.size[1]} pixels, but its images are "
            f"{size[0]}x{size[1]}. Give the camera of this resolution (--camera, --depth-camera)."
        )


def pixel_grid(size: Size) -> Float[np.ndarray, "pixels 2"]:
    """The centres (u, v) of all pixels, row by row."""
    v, u = np.indices(size[::-1], np.float64)
    return np.stack([u.ravel(), v.ravel()], -1)


def undistorted_rays(camera: Camera, uv_px: Float[np.ndarray, "pixels 2"]) -> Float[np.ndarray, "pixels 2"]:
    """The rays (x/z, y/z) of pixels of the image as it was taken."""
    coefficients = np.asarray(camera.coefficients)
    if camera.model == "fisheye":
        return cv2.fisheye.undistortPoints(uv_px[None], camera.K, coefficients, criteria=_FISHEYE_CRITERIA)[0]
    xy = _pinhole_rays(camera.K, uv_px)
    if camera.model == "brown":
        return _brown_inverse(xy, coefficients)
    return xy if camera.model == "none" else _brown(xy, coefficients)


def distorted_pixels(camera: Camera, xy: Float[np.ndarray, "pixels 2"]) -> Float[np.ndarray, "pixels 2"]:
    """Where the image as it was taken shows these rays."""
    coefficients = np.asarray(camera.coefficients)
    if camera.model == "fisheye":
        # distortPoints drops the skew, which is 0 in every calibration of such lenses
        return cv2.fisheye.distortPoints(xy[None], camera.K, coefficients)[0]
    if camera.model == "brown":
        xy = _brown(xy, coefficients)
    elif camera.model == "inverse_brown":
        xy = _brown_inverse(xy, coefficients)
    return xy @ camera.K[:2, :2].T + camera.K[:2, 2]


def is_seen(camera: Camera, xy: Float[np.ndarray, "pixels 2"]) -> Bool[np.ndarray, " pixels"]:
    """Whether the lens model holds for these rays: far outside the calibrated field it folds back into the image."""
    uv = distorted_pixels(camera, xy)
    finite = np.isfinite(uv[:, 0]) & np.isfinite(uv[:, 1])
    back = undistorted_rays(camera, np.where(finite[:, None], uv, 0))
    return finite & (np.abs(back - xy).max(1) < 1 / camera.K[0, 0])


def _pinhole_rays(K: np.ndarray, uv_px: np.ndarray) -> np.ndarray:
    y = (uv_px[:, 1] - K[1, 2]) / K[1, 1]
    return np.stack([(uv_px[:, 0] - K[0, 2] - K[0, 1] * y) / K[0, 0], y], -1)


def _brown(xy: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """OpenCV's polynomial, with its denominator and thin prism terms; its own function computes a Jacobian, too."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = np.pad(coefficients, (0, 12 - len(coefficients)))
    x, y = xy[:, 0], xy[:, 1]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + r2 * s2),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + r2 * s4),
        ],
        -1,
    )


def _brown_inverse(distorted: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """By Newton's method: OpenCV's fixed-point iteration diverges at the corners of wide lenses."""
    xy, step = distorted.copy(), 1e-6
    open_ = np.arange(len(xy))
    for _ in range(_NEWTON_STEPS):
        at = xy[open_]
        here = _brown(at, coefficients)
        residual = distorted[open_] - here
        far = np.abs(residual).max(1) > _NEWTON_TOLERANCE
        open_, at, here, residual = open_[far], at[far], here[far], residual[far]
        if not len(open_):
            break
        J = np.stack([(_brown(at + step * e, coefficients) - here) / step for e in np.eye(2)], -1)
        determinant = J[:, 0, 0] * J[:, 1, 1] - J[:, 0, 1] * J[:, 1, 0]
        x, y = residual.T / np.where(np.abs(determinant) < 1e-9, np.inf, determinant)
        xy[open_] += np.stack([J[:, 1, 1] * x - J[:, 0, 1] * y, J[:, 0, 0] * y - J[:, 1, 0] * x], -1)
    return xy


def is_fisheye(model: str) -> bool:
    """Whether a distortion model's name means OpenCV's fisheye model."""
    return _MODELS.get(_normalised(model)) == "fisheye"


def _numbers(coefficients: object, name: str) -> tuple[float, ...]:
    if coefficients is None:
        return ()
    try:
        values = np.asarray(coefficients, np.float64).ravel()
    except MALFORMED:
        values = np.full(1, np.nan)
    if not np.isfinite(values).all():
        raise DataError(
            f"{name}: distortion coefficients must be numbers, got {coefficients}. Correct the file."
        )
    return tuple(values.tolist())


def _fitting_count(model: DistortionModel, values: tuple[float, ...]) -> tuple[float, ...]:
    """RealSense gives five coefficients whatever the model, of which its fisheye uses four; others pad with zeros."""
    counts = _NUM_COEFFICIENTS[model]
    while len(values) not in counts and values and values[-1] == 0:
        values = values[:-1]
    fitting = next((count for count in counts if count >= len(values)), None)
    return values if fitting is None else values + (0.0,) * (fitting - len(values))


def _normalised(model: str) -> str:
    return model.strip().lower().removeprefix("distortion.").replace(" ", "_").replace("-", "_")
