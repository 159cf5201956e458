"""Camera files of other tools: FoundationPose, ROS, RealSense, Open3D, BOP, OpenCV, Kalibr."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.lens_fields import stated_distortion, stated_model, stated_sides
from selfpose6d.errors import MALFORMED, DataError, UsageError
from selfpose6d.files import read_whole
from selfpose6d.geometry.nearest_rotation import nearest_rotation
from selfpose6d.json_files import parse_json, whole_number
from selfpose6d.meshes.units import METRES_PER_MM
from selfpose6d.recordings.camera import Camera, is_fisheye, make_camera
from selfpose6d.yaml_files import parse_yaml

Part = Literal["colour", "depth"]
FORMS = (
    "a 3x3 matrix as text (cam_K.txt), a ROS CameraInfo YAML, RealSense's or Open3D's intrinsics JSON, "
    "BOP's camera.json, or an OpenCV or Kalibr YAML"
)
_PARTS: dict[Part, tuple[str, ...]] = {
    "colour": ("color", "colour", "rgb", "color_intrinsics", "cam0", "intrinsic", "intrinsics"),
    "depth": ("depth", "depth_intrinsics", "cam1", "intrinsic", "intrinsics"),
}
_MATRIX = ("cam_K", "K", "k", "camera_matrix", "cameraMatrix", "Camera_Matrix", "intrinsics", "intrinsic")
MAX_METRES_PER_UNIT = 0.001
"""Of RealSense's cameras; BOP's data sets have 0.1 to 1 mm per unit."""
_REALSENSE_MODELS = (
    "none",
    "modified_brown_conrady",
    "inverse_brown_conrady",
    "ftheta",
    "brown_conrady",
    "kannala_brandt4",
)
"""In the order of librealsense's numbers (`rs2_distortion`)."""
_DEFAULT_MODELS = {4: "plumb_bob", 5: "plumb_bob", 8: "rational_polynomial"}


@dataclass(frozen=True)
class CameraFile:
    """What a camera file says; `metres_per_unit` of depth images where it says it."""

    camera: Camera
    metres_per_unit: float | None = None


def read_camera(path: Path, part: Part = "colour") -> CameraFile:
    """A camera file of any of `FORMS`; of a file with both cameras the one of `part`.

    Raises:
        UsageError: there is no such file.
        DataError: it is not one of the forms, or holds no valid camera.
    """
    if not path.is_file():
        raise UsageError(f"no camera file {path}. Expected {FORMS}.")
    text = _text_of(path)
    if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
        content = _parse_json(text, path)
    elif text.startswith("%YAML:"):  # OpenCV's first line, which is not YAML's
        content = _parse_yaml(text.partition("\n")[2], path)
    elif path.suffix.lower() in (".yaml", ".yml") or ":" in text:
        content = _parse_yaml(text, path)
    else:
        return CameraFile(make_camera(_matrix_of_text(text, path), None, "none", None, str(path)))
    return _camera_of(content, part, str(path))


def read_extrinsics(path: Path) -> Float[np.ndarray, "4 4"]:
    """`T_colour_depth` in metres: 16 or 12 numbers row by row, or RealSense's rotation (by columns) and translation.

    Raises:
        UsageError: there is no such file.
        DataError: it holds something else.
    """
    if not path.is_file():
        raise UsageError(f"no extrinsics file {path}. Expected T_colour_depth, 4x4 numbers in metres.")
    text = _text_of(path)
    try:
        content = parse_json(text) if text.lstrip()[:1] in ("{", "[") else text.split()
        if isinstance(content, dict) and "rotation" in content:
            columns = np.reshape(np.asarray(content["rotation"], np.float64), (3, 3))
            return _rigid(rigid_transform(columns.T, content["translation"]))
        if isinstance(content, dict):
            content = content.get("T_colour_depth", content.get("T_color_depth"))
        values = np.asarray(content, np.float64).ravel()
        T = np.vstack([values[:12].reshape(3, 4), [0, 0, 0, 1]])
        if len(values) not in (12, 16):
            raise ValueError(f"{len(values)} numbers")
        if len(values) == 16 and not np.allclose(values[12:], (0, 0, 0, 1)):
            raise ValueError("a last row that is not 0 0 0 1: write the matrix row by row")
        T = _rigid(T)
    except MALFORMED as error:
        raise DataError(
            f"{path}: expected T_colour_depth as 4x4 numbers in metres, or RealSense's "
            f'{{"rotation": 9 numbers by columns, "translation": 3}}, got {error}. Correct the file.'
        ) from None
    return T


def _rigid(T: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    if not np.isfinite(T).all():
        raise ValueError("a number that is not finite")
    try:
        T[:3, :3] = nearest_rotation(T[:3, :3])
    except ValueError:
        raise ValueError("a matrix that is no rotation and translation") from None
    return T


def _text_of(path: Path) -> str:
    try:
        return read_whole(path).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from None


def rigid_transform(R: Float[np.ndarray, "3 3"], translation_m: object) -> Float[np.ndarray, "4 4"]:
    """A homogeneous matrix of a rotation and a translation."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, np.asarray(translation_m, np.float64)
    return T


def _parse_json(text: str, path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(parse_json(text), path)
    except ValueError as error:
        raise DataError(f"{path}: unreadable JSON ({error}). Expected {FORMS}.") from None


def _parse_yaml(text: str, path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(parse_yaml(text), path)
    except ValueError as error:
        raise DataError(f"{path}: unreadable YAML ({error}). Expected {FORMS}.") from None


def _mapping(content: object, path: Path) -> Mapping[str, Any]:
    if isinstance(content, list) and len(content) in (3, 9):
        return {"cam_K": content}
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: expected {FORMS}, got {type(content).__name__}. Pass a camera file.")
    return content


def _matrix_of_text(text: str, path: Path) -> np.ndarray:
    try:
        values = np.array(text.replace(",", " ").split(), np.float64)
    except ValueError:
        values = np.empty(0)
    if len(values) == 16:  # ScanNet writes intrinsics as 4x4
        values = values.reshape(4, 4)[:3, :3].ravel()
    if len(values) != 9:
        raise DataError(f"{path}: expected {FORMS}, got text that is no 3x3 matrix. Pass a camera file.")
    return values.reshape(3, 3)


def _camera_of(content: Mapping[str, Any], part: Part, name: str) -> CameraFile:
    scale = _metres_per_unit(content, name)
    content = _only_part(content, part, name)
    size = _size_of(content, name)
    model = stated_model(content)
    if isinstance(model, int) and not isinstance(model, bool):
        model = _model_of_number(model, name)
    coefficients = stated_distortion(content, isinstance(model, str) and is_fisheye(model))
    if not all(map(math.isfinite, coefficients)):
        raise DataError(
            f"{name}: distortion coefficients must be numbers, found others among {', '.join(map(str, content))}. "
            "Write them as a list k1, k2, p1, p2, k3."
        )
    if not isinstance(model, str) or model.lower() == "pinhole":
        model = _DEFAULT_MODELS.get(len(coefficients), "none")
    camera = make_camera(_matrix(content, name), size, model, coefficients, name)
    return CameraFile(camera, _metres_per_unit(content, name) or scale)


def _size_of(content: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    try:
        for width, height in stated_sides(content):
            return whole_number(width), whole_number(height)
    except MALFORMED as error:
        raise DataError(
            f"{name}: width and height are no numbers of pixels ({error}). Correct the file."
        ) from None
    return None


def _model_of_number(number: int, name: str) -> str:
    if number not in range(len(_REALSENSE_MODELS)):
        known = ", ".join(f"{i} {model}" for i, model in enumerate(_REALSENSE_MODELS))
        raise DataError(
            f"{name}: distortion model {number} is none of librealsense's ({known}). Correct the file."
        )
    return _REALSENSE_MODELS[number]


def _only_part(content: Mapping[str, Any], part: Part, name: str) -> Mapping[str, Any]:
    """The camera within a file of several: RealSense's colour and depth, Kalibr's cam0 and cam1, BOP's images."""
    if _matrix_or_none(content) is not None:
        return content
    for key in _PARTS[part]:
        inner = content.get(key)
        if isinstance(inner, Mapping) and (found := _matrix_or_none(inner)) is not None:
            return inner if found.size else content
        if isinstance(inner, Mapping) and isinstance(inner.get("intrinsics"), Mapping):
            return inner["intrinsics"]
    entries = [entry for entry in content.values() if isinstance(entry, Mapping) and "cam_K" in entry]
    if entries:
        if any(entry["cam_K"] != entries[0]["cam_K"] for entry in entries):
            raise DataError(f"{name}: the images have different cameras (cam_K). Import them scene by scene.")
        return entries[0]
    preset = any(str(key).startswith(("param-", "viewer", "stream-", "controls-")) for key in content)
    what = "a settings preset of realsense-viewer, which holds no intrinsics" if preset else _keys(content)
    raise DataError(f"{name}: no camera matrix found in {what}. Expected {FORMS}.")


def _keys(content: Mapping[Any, Any]) -> str:
    return str(sorted(map(str, content)))


def _matrix(content: Mapping[str, Any], name: str) -> np.ndarray:
    matrix = _matrix_or_none(content)
    if matrix is None:
        raise DataError(f"{name}: no camera matrix among {_keys(content)}. Expected {FORMS}.")
    return matrix


def _matrix_or_none(content: Mapping[str, Any]) -> np.ndarray | None:
    """By its nine numbers, or by focal lengths and centre; Open3D writes it column by column."""
    if "intrinsic_matrix" in content:
        values = _values(content["intrinsic_matrix"])
        if values is not None and values.size == 9:
            K = values.reshape(3, 3)
            return K if values.ndim == 2 else K.T
    for key in _MATRIX:
        values = _values(content.get(key))
        if values is not None and values.size == 9:
            return values.reshape(3, 3)
        if values is not None and values.size == 4 and key == "intrinsics":  # Kalibr: fu, fv, pu, pv
            return _pinhole(*values.ravel().tolist())
    centre = _first(content, ("cx", "ppx")), _first(content, ("cy", "ppy"))
    focal = content.get("fx"), content.get("fy")
    if all(isinstance(value, int | float) for value in (*focal, *centre)):
        return _pinhole(*(float(value) for value in (*focal, *centre)))  # pyright: ignore[reportArgumentType]
    return None


def _pinhole(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _values(entry: object) -> np.ndarray | None:
    """Numbers as a list, nested lists, or ROS's and OpenCV's `{rows, cols, data}`."""
    if isinstance(entry, Mapping):
        entry = entry.get("data")
    if entry is None:
        return None
    try:
        return np.asarray(entry, np.float64)
    except MALFORMED:
        return None


def _metres_per_unit(content: Mapping[str, Any], name: str) -> float | None:
    """`depth_scale` is in mm per unit (BOP), metres per unit (RealSense), or units per metre (Open3D): by its size."""
    scale = content.get("depth_scale")
    if scale is None:
        return None
    if not isinstance(scale, int | float) or not 0 < scale <= 65535:
        raise DataError(f"{name}: depth_scale must be a positive number, got {scale}. Correct the file.")
    if "intrinsic_matrix" in content or scale >= 100:
        return 1 / scale
    if scale > MAX_METRES_PER_UNIT:
        return scale * METRES_PER_MM
    if "cam_K" in content:
        raise DataError(
            f"{name}: depth_scale is in mm per depth unit, got {scale}, which makes the farthest depth "
            f"{65 * scale:.3g} m. Write 1.0 for millimetre images."
        )
    return float(scale)


def _first(content: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((content[name] for name in names if content.get(name) is not None), None)
