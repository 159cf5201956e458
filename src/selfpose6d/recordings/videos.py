"""Videos with their depth: a second video, paired by time, or a folder with as many images."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from selfpose6d.errors import DataError
from selfpose6d.files import require_files
from selfpose6d.recordings.depth_units import depth_image
from selfpose6d.recordings.image_folders import folder_images, image_files
from selfpose6d.recordings.image_messages import ColourImage
from selfpose6d.recordings.pairing import PairCounts, Pairing, RecordedImage, RecordedPair, Stream

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v")
_NS_PER_MS = 10**6
_SPARE_IMAGES = 2
"""By which a video and a folder may differ: cameras stop a frame early or late."""


def pairs_of_videos(colour: Path, depth: Path, unit_m: float, pairing: Pairing) -> Iterator[RecordedPair]:
    """By the time since the beginning of each, while both are read.

    Raises:
        DataError: one cannot be read.
    """
    colours = _video_images(colour, "colour", unit_m)
    depths = _video_images(depth, "depth", unit_m)
    next_colour, next_depth = next(colours, None), next(depths, None)
    while next_colour is not None or next_depth is not None:
        colour_is_next = next_depth is None or (
            next_colour is not None and next_colour.stamp_ns <= next_depth.stamp_ns
        )
        if colour_is_next and next_colour is not None:
            yield from pairing.add("colour", next_colour)
            next_colour = next(colours, None)
        elif next_depth is not None:
            yield from pairing.add("depth", next_depth)
            next_depth = next(depths, None)
    yield from pairing.finish()


def pairs_of_video_and_folder(
    colour: Path, depth: Path, unit_m: float, counts: PairCounts
) -> Iterator[RecordedPair]:
    """In order: a folder says no time. One of both may be the video.

    Raises:
        DataError: one cannot be read, or they do not have the same number of frames.
    """
    video, folder = (depth, colour) if colour.is_dir() else (colour, depth)
    stream: Stream = "colour" if colour.is_dir() else "depth"
    files, num_frames = image_files(folder, stream), _count_frames(video)
    if abs(len(files) - num_frames) > _SPARE_IMAGES:
        raise DataError(
            f"{video} has {num_frames} frames, but {folder} {len(files)} images. They are paired in order: "
            "give as many of both, without dropped frames."
        )
    images = iter(folder_images(files, stream, unit_m))
    frames = _video_images(video, "depth" if stream == "colour" else "colour", unit_m)
    colours, depths = (images, frames) if stream == "colour" else (frames, images)
    while True:
        next_colour, next_depth = next(colours, None), next(depths, None)
        if next_colour is None or next_depth is None:
            break
        counts.paired += 1
        yield RecordedPair(next_colour, next_depth)
    counts.alone["colour"] = (next_colour is not None) + sum(1 for _ in colours)
    counts.alone["depth"] = (next_depth is not None) + sum(1 for _ in depths)


def _count_frames(path: Path) -> int:
    """By reading: what a file's head says is a guess for many formats."""
    video = _open(path, [])
    try:
        count = 0
        while video.grab():
            count += 1
        return count
    finally:
        video.release()


def _video_images(path: Path, stream: Stream, unit_m: float) -> Iterator[RecordedImage]:
    # without conversion 16 bits stay 16 bits
    video = _open(path, [cv2.CAP_PROP_CONVERT_RGB, 0] if stream == "depth" else [])
    try:
        index = 0
        while (read := video.read())[0]:
            image = read[1]
            stamp_ns = round(video.get(cv2.CAP_PROP_POS_MSEC) * _NS_PER_MS)
            if stream == "colour":
                rgb = np.ascontiguousarray(image[..., ::-1])
                load = lambda rgb=rgb: ColourImage(rgb)  # noqa: E731
            else:
                load = lambda image=image: depth_image(image, unit_m, path.name)  # noqa: E731
            yield RecordedImage(stamp_ns, f"{path.name}#{index}", image.nbytes, load)
            index += 1
    finally:
        video.release()


def _open(path: Path, settings: list[int]) -> cv2.VideoCapture:
    try:
        require_files(path)
    except OSError as error:
        raise DataError(f"{path}: unreadable video ({error.strerror}). Pass a video file.") from None
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, settings)
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # the camera matrix fits the stored pixels
    if not video.isOpened():
        raise DataError(f"{path}: no video that OpenCV can read. Convert it with ffmpeg.")
    return video
