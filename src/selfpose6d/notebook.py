"""Frames and estimates as HTML, for notebooks: a picture and a small table. No script, nothing beside the text."""

import base64
import html
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.image_files import to_jpeg

if TYPE_CHECKING:
    from selfpose6d.types import Frame, LabeledPose, PoseEstimate

MAX_WIDTH_PX = 480
"""Of a picture: two of them fit beside each other."""
MASK_WEIGHT = 0.45
"""Of a mask's colour in its pixels."""
GOLDEN_ANGLE_DEG = 137.5
"""From one mask's hue to the next: neighbours in the list differ well, however many there are."""
MM_PER_M = 1000


def frame_html(frame: "Frame") -> str:
    """The photo with the masks and their object ids, and the depth, near red to far blue, unknown black."""
    known = frame.depth_m[frame.depth_m > 0]
    extent = f"{known.min():.2f} to {known.max():.2f} m" if known.size else "none known"
    unknown = 1 - known.size / frame.depth_m.size
    height, width = frame.depth_m.shape
    title = f"{frame.split or 'frame'} {frame.scene_id}/{frame.im_id}, {width}x{height} pixels"
    caption = (
        f"{title}; {len(frame.instances)} masks; depth {extent}, {100 * unknown:.0f} % unknown; "
        f"K: fx {frame.K[0, 0]:.1f}, fy {frame.K[1, 1]:.1f}, cx {frame.K[0, 2]:.1f}, cy {frame.K[1, 2]:.1f}"
    )
    pictures = _picture(_with_masks(frame), "photo with masks") + _picture(
        _depth_colours(frame.depth_m), "depth"
    )
    return f"<figure>{pictures}<figcaption>{html.escape(caption)}</figcaption></figure>"


def estimate_html(pose: "PoseEstimate") -> str:
    """What the estimate says, a row each."""
    rows = {"object": f"{pose.key.obj_id}, instance {pose.key.inst_id}", **_said(pose)}
    if pose.valid:
        x, y, z = MM_PER_M * pose.T_cam_obj[:3, 3]
        rows["position"] = f"{x:.1f}, {y:.1f}, {z:.1f} mm (camera: right, down, forward)"
        rows["rotation"] = _rotation_text(pose.T_cam_obj[:3, :3])
    cells = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left;white-space:pre-wrap'>{html.escape(text)}</td></tr>"
        for name, text in rows.items()
        if text
    )
    return f"<table>{cells}</table>"


def _said(pose: "PoseEstimate | LabeledPose") -> dict[str, str]:
    from selfpose6d.types import LabeledPose

    if not pose.valid:
        return {"status": "no pose", "reason": pose.reason}
    said = {"status": "estimated", "confidence": f"{pose.confidence:.2f}", "reason": pose.reason}
    if isinstance(pose, LabeledPose):
        certificate = pose.certificate
        others = max(0, len(certificate.alternatives) - 1)
        said |= {"status": certificate.status, "reason": certificate.reason}
        said["other poses"] = f"{others} fit about as well" if others else ""
    return said


def _rotation_text(R: Float[np.ndarray, "3 3"]) -> str:
    """The matrix by row, and its axis and angle."""
    rotvec = cv2.Rodrigues(np.asarray(R, np.float64))[0].ravel()
    angle_rad = float(np.linalg.norm(rotvec))
    axis = rotvec / angle_rad if angle_rad > 1e-9 else np.array([0.0, 0.0, 1.0])
    rows = "\n".join(" ".join(f"{value:6.3f}" for value in row) for row in R)
    return f"{rows}\n{np.rad2deg(angle_rad):.1f}° about ({axis[0]:.2f}, {axis[1]:.2f}, {axis[2]:.2f})"


def _with_masks(frame: "Frame") -> UInt8[np.ndarray, "height width 3"]:
    image = frame.rgb.copy()
    for index, instance in enumerate(frame.instances):
        colour = _hue_rgb(index)
        image[instance.mask] = ((1 - MASK_WEIGHT) * image[instance.mask] + MASK_WEIGHT * colour).astype(
            np.uint8
        )
    for instance in frame.instances:
        if instance.mask.any():
            rows, columns = np.nonzero(instance.mask)
            at = (int(np.median(columns)), int(np.median(rows)))
            for rgb, width_px in (((0, 0, 0), 4), ((255, 255, 255), 1)):
                text, font = str(instance.key.obj_id), cv2.FONT_HERSHEY_SIMPLEX
                cv2.putText(image, text, at, font, 0.6, rgb, width_px, cv2.LINE_AA)
    return image


def _hue_rgb(index: int) -> Float[np.ndarray, "3"]:
    hue = round(index * GOLDEN_ANGLE_DEG % 360 / 2)  # OpenCV's hue is in steps of two degrees
    pixel = np.array([[[hue, 220, 255]]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)


def _depth_colours(depth_m: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    known = depth_m > 0
    if not known.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    near_m, far_m = np.percentile(depth_m[known], (1, 99))
    nearness = np.clip((far_m - depth_m) / max(far_m - near_m, 1e-6), 0, 1)
    bgr = cv2.applyColorMap(np.rint(255 * nearness).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.where(known[..., None], bgr[..., ::-1], 0).astype(np.uint8)


def _picture(rgb: UInt8[np.ndarray, "height width 3"], name: str) -> str:
    height, width = rgb.shape[:2]
    if width > MAX_WIDTH_PX:
        size = (MAX_WIDTH_PX, max(1, round(height * MAX_WIDTH_PX / width)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    data = base64.b64encode(to_jpeg(rgb)).decode()
    return f"<img alt='{name}' style='display:inline' src='data:image/jpeg;base64,{data}'/>"
