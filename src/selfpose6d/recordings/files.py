"""A video with its depth, or a folder of images as other tools write it, as recordings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from selfpose6d.errors import UsageError
from selfpose6d.recordings.camera_files import CameraFile, read_camera
from selfpose6d.recordings.image_folders import pairs_of_folders
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.pairing import PairCounts, Pairing
from selfpose6d.recordings.recording import FoundGeometry, Recording, resolve_rig
from selfpose6d.recordings.videos import pairs_of_video_and_folder, pairs_of_videos

COLOUR_FOLDERS = ("rgb", "color", "colour", "image", "images")
DEPTH_FOLDERS = ("depth", "depth_png", "depth_npy")
CAMERA_FILES = (
    *("camera.json", "cam_K.txt", "intrinsic.json", "intrinsics.json", "camera_intrinsic.json"),
    *("camera_intrinsics.json", "camera_info.yaml", "camera_info.yml", "camera.yaml", "intrinsics.txt"),
    *("scene_camera.json", "camera.yml", "intrinsic_color.txt"),
)
_DEFAULT_UNIT_M = 0.001


def is_image_folder(path: Path) -> bool:
    """Whether this is a folder with colour images in one of the usual subfolders."""
    return any((path / name).is_dir() for name in COLOUR_FOLDERS)


@contextmanager
def open_files(path: Path, options: RecordingOptions) -> Iterator[Recording]:
    """A video with `--depth`, or a folder with `rgb/` (or `color/`) and `depth/`, as FoundationPose, Open3D and TUM do.

    The depth is taken to be in the colour image's pixels unless `--extrinsics` says where it was taken.

    Raises:
        UsageError: no depth is named or found, or no camera.
        DataError: nothing can be read, or the images do not match in number.
    """
    if path.is_dir():
        colour_path = next(path / name for name in COLOUR_FOLDERS if (path / name).is_dir())
        depth_path = options.depth or next((path / n for n in DEPTH_FOLDERS if (path / n).is_dir()), None)
    else:
        colour_path, depth_path = path, options.depth
    if depth_path is None:
        raise UsageError(
            f"{path}: no depth. Pass --depth, a folder of 16-bit PNG or .npy files or a 16-bit video (FFV1 gray16)."
        )
    if not depth_path.exists():
        raise UsageError(f"--depth: {depth_path} does not exist. Correct the path.")
    rig, unit_m = resolve_rig(_found_geometry(path, options), options)
    unit_m = unit_m or _DEFAULT_UNIT_M
    streams, num_pairs, has_stamps = {"colour": colour_path.name, "depth": depth_path.name}, None, False
    counts = PairCounts()
    if colour_path.is_dir() and depth_path.is_dir():
        found, counts, has_stamps = pairs_of_folders(colour_path, depth_path, unit_m, options.max_gap_ms)
        pairs, num_pairs = iter(found), len(found)
    elif colour_path.is_dir() or depth_path.is_dir():
        pairs = pairs_of_video_and_folder(colour_path, depth_path, unit_m, counts)
    else:
        pairing = Pairing(round(options.max_gap_ms * 1e6))
        pairs, counts, has_stamps = (
            pairs_of_videos(colour_path, depth_path, unit_m, pairing),
            pairing.counts,
            True,
        )
    yield Recording(path.name, rig, pairs, counts, streams, num_pairs, has_stamps=has_stamps)


def _found_geometry(path: Path, options: RecordingOptions) -> FoundGeometry:
    """Images of files carry no frames: one camera unless the options say otherwise."""
    found = _camera_beside(path) if options.camera is None else None
    if found is None and options.camera is None:
        raise UsageError(
            f"{path}: no camera. Pass --camera FILE, or put one of {', '.join(CAMERA_FILES[:3])} into the folder."
        )
    colour = None if found is None else found.camera
    return FoundGeometry(
        colour,
        None,
        (np.eye(4), "one camera") if options.extrinsics is None and options.depth_camera is None else None,
        None if found is None else found.metres_per_unit,
    )


def _camera_beside(path: Path) -> CameraFile | None:
    folder = path if path.is_dir() else path.parent
    file = next((folder / name for name in CAMERA_FILES if (folder / name).is_file()), None)
    return None if file is None or not path.is_dir() else read_camera(file)
