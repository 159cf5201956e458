"""FoundationPose's and BundleSDF's video folders: one object each, `rgb/ depth/ masks/ annotated_poses/ cam_K.txt`.

Its reader takes the k-th image, mask and pose by sorted names for the same frame, and depth in millimetres.
"""

import re
from collections import Counter
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from selfpose6d.datasets.images import data_error
from selfpose6d.export.files import ImagePlacer
from selfpose6d.export.frames import ExportedFrame, ImageFile
from selfpose6d.files import replacing
from selfpose6d.image_files import decode_image, mask_to_png, to_png

K_NAME = "cam_K.txt"
MM_DEPTH_SCALE = 1.0
K_TOLERANCE_PX = 1e-3
"""A video folder has one camera: frames of another one have a folder of their own."""


def write_frame(
    split_folder: Path, frame: ExportedFrame, place: ImagePlacer, names: Mapping[int, str]
) -> dict[str, Any]:
    """Write a frame into the folder of every object that it shows once: of several nothing says which of them is which
    in the next frame. There is nothing to close, so its row is empty.
    """
    shown = Counter(instance.label.key.obj_id for instance in frame.instances)
    alone = [instance for instance in frame.instances if shown[instance.label.key.obj_id] == 1]
    if not alone:
        return {}
    rgb, depth, stem = _as_png(frame.rgb), _in_millimetres(frame), f"{frame.frame_id.im_id:06d}"
    for instance in alone:
        obj_id = instance.label.key.obj_id
        folder = _camera_folder(split_folder, frame, f"{obj_id:06d}_{_plain(names[obj_id])}".rstrip("_"))
        for name in ("rgb", "depth", "masks", "annotated_poses"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        place(rgb, folder / "rgb" / f"{stem}.png")
        place(depth, folder / "depth" / f"{stem}.png")
        (folder / "masks" / f"{stem}.png").write_bytes(mask_to_png(instance.visible))
        np.savetxt(folder / "annotated_poses" / f"{stem}.txt", instance.label.T_cam_obj)
        if not (folder / K_NAME).is_file():
            with replacing(folder / K_NAME) as file:
                np.savetxt(file, frame.K)
    return {}


def _camera_folder(split_folder: Path, frame: ExportedFrame, name: str) -> Path:
    """The object's folder in this scene; another one for each further camera, whose `cam_K.txt` differs."""
    for number in count(1):
        camera = "" if number == 1 else f"_camera{number}"
        folder = split_folder / f"{frame.frame_id.scene_id:06d}_{name}{camera}"
        K_file = folder / K_NAME
        if not K_file.is_file() or np.allclose(np.loadtxt(K_file), frame.K, atol=K_TOLERANCE_PX):
            return folder
    raise AssertionError("numbers do not end")


def _plain(name: str) -> str:
    """A name that any file system takes; the id before it tells objects apart."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")


def _as_png(image: ImageFile) -> ImageFile:
    """The reader looks for PNG files only."""
    if image.suffix == ".png":
        return image
    return ImageFile(".png", content=to_png(_decoded(image, cv2.IMREAD_COLOR_RGB)))


def _in_millimetres(frame: ExportedFrame) -> ImageFile:
    if frame.depth_scale == MM_DEPTH_SCALE:
        return frame.depth
    units = _decoded(frame.depth, cv2.IMREAD_UNCHANGED)
    return ImageFile(".png", content=to_png(np.round(units * frame.depth_scale).astype(np.uint16)))


def _decoded(image: ImageFile, flags: int) -> np.ndarray:
    try:
        return decode_image(np.frombuffer(image.read(), np.uint8), flags)
    except ValueError as error:
        reason = f"unreadable image ({error})"
        raise data_error(image.source or "image", reason, "Copy or export the file again.") from None
