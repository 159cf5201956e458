"""A video with its depth, or a folder of images as other tools write it, as recordings."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from selfpose6d.datasets.images import SUFFIXES, read_rgb
from selfpose6d.errors import DataError, UsageError
from selfpose6d.recordings.bag_messages import NS_PER_S
from selfpose6d.recordings.depth_units import DepthImage, depth_image
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.pairing import PairCounts, RecordedImage, RecordedPair, pair_by_stamp
from selfpose6d.recordings.recording import CameraFile, FoundGeometry, Recording, read_camera, resolve_rig

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v")
DEPTH_SUFFIXES = (*SUFFIXES, ".npy")
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
    if path.is_dir() and depth_path.is_dir():
        pairs, counts, has_stamps = _pairs_of_folders(colour_path, depth_path, unit_m, options)
        items, num_pairs = iter(pairs), len(pairs)
    else:
        counts = PairCounts()
        items = _pairs_in_order(
            _images(colour_path, _rgb, "colour"), _images(depth_path, _depth(unit_m), "depth"), counts
        )
        num_pairs, has_stamps = None, not path.is_dir()
    streams = {"colour": colour_path.name, "depth": depth_path.name}
    yield Recording(path.name, rig, items, counts, streams, num_pairs, has_stamps=has_stamps)


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


def _pairs_of_folders(
    colour: Path, depth: Path, unit_m: float, options: RecordingOptions
) -> tuple[list[RecordedPair], PairCounts, bool]:
    """By equal names; else by time stamps as names (TUM); else in order where there are as many of both.

    The third says whether the stamps are times.
    """
    colours, depths = _files(colour, SUFFIXES), _files(depth, DEPTH_SUFFIXES)
    for folder, files in ((colour, colours), (depth, depths)):
        if not files:
            raise DataError(f"{folder}: no images. Put {', '.join(SUFFIXES)} files there.")
    rgb, values = list(_images(colour, _rgb, "colour")), list(_images(depth, _depth(unit_m), "depth"))
    stamped = _stamped(rgb, colours), _stamped(values, depths)
    has_stamps = bool(stamped[0] and stamped[1])
    rgb, values = stamped if has_stamps else (rgb, values)
    by_name = {_key(file): image for file, image in zip(depths, values, strict=True)}
    pairs = [
        RecordedPair(image, by_name[_key(file)])
        for file, image in zip(colours, rgb, strict=True)
        if _key(file) in by_name
    ]
    counts = PairCounts(len(pairs), {"colour": len(colours) - len(pairs), "depth": len(depths) - len(pairs)})
    if pairs:
        return pairs, counts, has_stamps
    if has_stamps:
        return *pair_by_stamp(rgb, values, round(options.max_gap_ms * 1e6)), True
    if len(colours) != len(depths):
        raise DataError(
            f"{colour}: {len(colours)} colour images, but {len(depths)} depth images in {depth}, and their "
            "names do not match. Name both by frame, or by time stamp in seconds."
        )
    pairs = [RecordedPair(*pair) for pair in zip(rgb, values, strict=True)]
    return pairs, PairCounts(len(pairs)), False


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """In natural order: frame 10 after frame 9."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith(".")]
    return sorted(files, key=lambda f: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", f.stem)])


def _key(file: Path) -> str:
    """`frame_0001` of `frame_0001_color.png` and `frame_0001_depth.png`, `0001` of `color_0001.png`."""
    words = [
        w
        for w in re.split(r"[-_.]", file.stem.lower())
        if w not in ("color", "colour", "rgb", "depth", "image")
    ]
    return "_".join(words)


def _stamped(images: list[RecordedImage], files: list[Path]) -> list[RecordedImage]:
    """With the time that is the file's name, in seconds; nothing where a name is no time."""
    if not all(re.fullmatch(r"\d{9,}\.\d+|\d{13,19}", file.stem) for file in files):
        return []
    stamps = [_stamp_ns(file.stem) for file in files]
    return [RecordedImage(ns, i.origin, i.num_bytes, i.load) for ns, i in zip(stamps, images, strict=True)]


def _stamp_ns(name: str) -> int:
    seconds, _, fraction = name.partition(".")
    if fraction:
        return int(seconds) * NS_PER_S + int(fraction.ljust(9, "0")[:9])
    return int(seconds) * 10 ** (19 - len(seconds)) if len(seconds) < 19 else int(seconds)


Read = Callable[[np.ndarray | Path], object]


def _images(path: Path, read: Read, stream: str) -> Iterator[RecordedImage]:
    """The images of a folder or video, the stamps counting frames where nothing says the time."""
    if path.is_dir():
        suffixes = SUFFIXES if stream == "colour" else DEPTH_SUFFIXES
        for index, file in enumerate(_files(path, suffixes)):
            yield RecordedImage(index, f"{path.name}/{file.name}", 0, lambda file=file: read(file))
    else:
        for stamp_ns, index, image in _video_frames(path, stream):
            yield RecordedImage(
                stamp_ns, f"{path.name}#{index}", image.nbytes, lambda image=image: read(image)
            )


def _video_frames(path: Path, stream: str) -> Iterator[tuple[int, int, np.ndarray]]:
    settings = [cv2.CAP_PROP_CONVERT_RGB, 0] if stream == "depth" else []
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, settings)
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # the camera matrix fits the stored pixels
    try:
        index = 0
        while (read := video.read())[0]:
            yield round(video.get(cv2.CAP_PROP_POS_MSEC) * 1e6), index, read[1]
            index += 1
        if not index:
            raise DataError(f"{path}: no video that OpenCV can read. Convert it with ffmpeg.")
    finally:
        video.release()


def _pairs_in_order(
    colours: Iterator[RecordedImage], depths: Iterator[RecordedImage], counts: PairCounts
) -> Iterator[RecordedPair]:
    while True:
        colour, depth = next(colours, None), next(depths, None)
        if colour is None or depth is None:
            break
        counts.paired += 1
        yield RecordedPair(colour, depth)
    # one frame more or less is how cameras stop
    counts.alone["colour"] = (colour is not None) + sum(1 for _ in colours)
    counts.alone["depth"] = (depth is not None) + sum(1 for _ in depths)


def _rgb(source: np.ndarray | Path) -> np.ndarray:
    return read_rgb(source) if isinstance(source, Path) else np.ascontiguousarray(source[..., ::-1])


def _depth(unit_m: float) -> Callable[[np.ndarray | Path], DepthImage]:
    def read(source: np.ndarray | Path) -> DepthImage:
        if isinstance(source, np.ndarray):
            return depth_image(source, unit_m, "depth video")
        return depth_image(_read_values(source), unit_m, str(source))

    return read


def _read_values(path: Path) -> np.ndarray:
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError, EOFError, cv2.error) as error:
        raise DataError(f"{path}: unreadable ({error}). Copy or export the file again.") from None
    if values is None:
        raise DataError(f"{path}: unreadable image. Copy or export the file again.")
    return values
