"""The image size and the lens of a camera as files of any tool name them: one list of names for all readers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from selfpose6d.errors import MALFORMED

SIZE_NAMES = (("width", "height"), ("imagewidth", "imageheight"), ("imwidth", "imheight"), ("w", "h"))
SIZE_LIST = "resolution"
"""Kalibr's [width, height]."""
DISTORTION_NAMES = (
    "distcoeffs", "distcoeff", "distcoefs", "distcoef", "distcoefficients", "distparams", "distortion",
    "distortioncoefficients", "distortioncoeffs", "distortioncoefs", "distortionparams", "distortionparameters",
    "distortionvector", "lensdistortion", "dist", "camdist", "camd", "coeffs", "coefficients", "kc", "d",
)  # fmt: skip
"""As OpenCV's users, ROS, RealSense, Azure Kinect and Kalibr call the list of coefficients."""
NESTED_NAMES = ("data", "params", "parameters", "values", *DISTORTION_NAMES)
"""Of a list within an entry that has one of `DISTORTION_NAMES`."""
RADIAL_NAMES = ("radial", "radialdistortion")
TANGENTIAL_NAMES = ("tangential", "tangentialdistortion")
"""Lists of them apart, as MATLAB and Zivid have them."""
OPENCV_ORDER = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE_ORDER = ("k1", "k2", "k3", "k4")
MODEL_NAMES = ("distortionmodel", "model", "cameramodel")
SHAPE_NAMES = ("rows", "cols", "dt", "type", "name", *MODEL_NAMES)
"""What stands beside the coefficients and is none."""
_NO_DISTORTION = ("", "none", "no", "false", "null", "pinhole", "undistorted", "rectified")


def plain_names(entry: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields that have a value, by names without case, spaces, lines and hyphens.

    Of two fields of one name the first counts that is not empty or 0.
    """
    named: dict[str, Any] = {}
    for key, value in entry.items():
        name = "".join(filter(str.isalnum, str(key))).lower()
        if value is not None and named.get(name) in (None, "", [], 0):
            named[name] = value
    return named


def stated_sides(entry: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """What the entry has as width and height, the usual names first."""
    named = plain_names(entry)
    for width, height in SIZE_NAMES:
        if width in named and height in named:
            yield named[width], named[height]
    if isinstance(sides := named.get(SIZE_LIST), list) and len(sides) == 2:
        yield sides[0], sides[1]


def stated_model(entry: Mapping[str, Any]) -> Any:
    """The name or number of the distortion's model, also within the entry of the coefficients; None without it."""
    named = plain_names(entry)
    if "distortionmodel" in named:
        return named["distortionmodel"]
    for name in DISTORTION_NAMES:
        inner = named.get(name)
        if isinstance(inner, Mapping) and (model := stated_model(plain_names(inner))) is not None:
            return model
        if isinstance(inner, str) and _numbers_of_text(inner) is None:
            return inner
    return next((named[name] for name in MODEL_NAMES if name in named), None)


def stated_distortion(entry: Mapping[str, Any], fisheye: bool = False) -> tuple[float, ...]:
    """The lens's coefficients in OpenCV's order, or in that of its fisheye model (k1 to k4); empty where there are none
    or all are 0. NaN: something that is no list of numbers.
    """
    named = plain_names(entry)
    stated = [*_of_names(named, DISTORTION_NAMES), _single_coefficients(named, fisheye)]
    read = [(part, _coefficients(part, fisheye)) for part in stated if part is not None]
    found = next((coefficients for _, coefficients in read if coefficients and any(coefficients)), None)
    if found is not None:
        return found
    unreadable = [part for part, coefficients in read if coefficients is None]
    says_none = any(coefficients is not None and not isinstance(part, str) for part, coefficients in read)
    only_names_a_model = says_none and all(isinstance(part, str) for part in unreadable)
    return (math.nan,) if unreadable and not only_names_a_model else ()


def _of_names(named: Mapping[str, Any], names: tuple[str, ...]) -> list[Any]:
    return [named[name] for name in names if name in named]


def _coefficients(stated: Any, fisheye: bool) -> tuple[float, ...] | None:
    """None for what is no list of numbers: also a model's name, where no coefficients stand beside it."""
    if stated is None:
        return ()
    if isinstance(stated, str):
        return () if stated.strip().lower() in _NO_DISTORTION else _numbers_of_text(stated)
    if isinstance(stated, Mapping):
        return _nested_coefficients(stated, fisheye)
    try:
        coefficients = tuple(np.asarray(stated, np.float64).ravel().tolist())
    except MALFORMED:
        return None
    return coefficients if all(map(math.isfinite, coefficients)) else None


def _nested_coefficients(stated: Mapping[str, Any], fisheye: bool) -> tuple[float, ...] | None:
    """ROS and OpenCV: {"rows": 1, "cols": 5, "data": [...]}; others by the names of lists, or one by one."""
    named = plain_names(stated)
    given = [
        value
        for value in (*_of_names(named, NESTED_NAMES), _single_coefficients(named, fisheye))
        if value is not None
    ]
    if not given:  # names that are not known
        given = [value for name, value in named.items() if name not in SHAPE_NAMES]
        given = [given if len(given) > 1 else given[0]] if given else [named.get("model", "")]
    found = [_coefficients(value, fisheye) for value in given]
    return next((values for values in found if values is None or any(values)), ())


def _numbers_of_text(text: str) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(word) for word in text.strip("[]() \t\n").replace(",", " ").split())
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _single_coefficients(named: Mapping[str, Any], fisheye: bool) -> list[Any] | None:
    """Coefficients that have a name each, or are in two lists; None where there are none."""
    if any(name in named for name in (*RADIAL_NAMES, *TANGENTIAL_NAMES)):
        radial, tangential = (
            list(np.ravel(next(iter(_of_names(named, names)), [])))
            for names in (RADIAL_NAMES, TANGENTIAL_NAMES)
        )
        named = {
            f"{letter}{i}": v
            for letter, part in (("k", radial), ("p", tangential))
            for i, v in enumerate(part, 1)
        }
        if len(radial) > 6 or len(tangential) > 2:
            return [math.nan]
    elif not any(name in named for name in OPENCV_ORDER):
        return None
    order = FISHEYE_ORDER if fisheye else OPENCV_ORDER
    values = [named.get(name, 0.0) for name in order]
    is_rational = any(name in named for name in OPENCV_ORDER[5:])
    return values if fisheye or is_rational else values[:5]
