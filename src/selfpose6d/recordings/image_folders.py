"""Folders of colour and depth images of other tools, paired by name, by time or in order."""

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from selfpose6d.datasets.images import SUFFIXES, read_rgb
from selfpose6d.errors import DataError
from selfpose6d.files import read_whole
from selfpose6d.image_files import decode_image, read_npy
from selfpose6d.recordings.bag_messages import NS_PER_S
from selfpose6d.recordings.depth_units import DepthImage, depth_image
from selfpose6d.recordings.image_messages import ColourImage, jpeg_or_none
from selfpose6d.recordings.pairing import PairCounts, RecordedImage, RecordedPair, Stream, pair_by_stamp

DEPTH_SUFFIXES = (*SUFFIXES, ".npy")
_NO_PART_OF_A_NAME = ("color", "colour", "rgb", "depth", "image")


def pairs_of_folders(
    colour: Path, depth: Path, unit_m: float, max_gap_ms: float
) -> tuple[list[RecordedPair], PairCounts, bool]:
    """By time stamps where all names are such (TUM), else by equal names, else in order if there are as many.

    The third says whether the stamps are times.

    Raises:
        DataError: a folder is empty, or nothing says which images belong together.
    """
    colours, depths = image_files(colour, "colour"), image_files(depth, "depth")
    rgb, values = folder_images(colours, "colour", unit_m), folder_images(depths, "depth", unit_m)
    stamped = _stamped(rgb, colours), _stamped(values, depths)
    if stamped[0] and stamped[1]:
        return *pair_by_stamp(stamped[0], stamped[1], round(max_gap_ms * 1e6)), True
    by_name = {_key(file): image for file, image in zip(depths, values, strict=True)}
    named = zip(map(_key, colours), rgb, strict=True)
    pairs = [RecordedPair(image, by_name[key]) for key, image in named if key in by_name]
    if pairs:
        alone: dict[Stream, int] = {"colour": len(colours) - len(pairs), "depth": len(depths) - len(pairs)}
        return pairs, PairCounts(len(pairs), alone), False
    if len(colours) != len(depths):
        raise DataError(
            f"{colour}: {len(colours)} colour images, but {len(depths)} depth images in {depth}, and their "
            "names do not match. Name both by frame, or by time stamp in seconds."
        )
    pairs = [RecordedPair(*pair) for pair in zip(rgb, values, strict=True)]
    return pairs, PairCounts(len(pairs)), False


def image_files(folder: Path, stream: Stream) -> list[Path]:
    """In natural order: frame 10 after frame 9.

    Raises:
        DataError: there are none.
    """
    suffixes = SUFFIXES if stream == "colour" else DEPTH_SUFFIXES
    files = [f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith(".")]
    if not files:
        raise DataError(f"{folder}: no {stream} images. Put {', '.join(suffixes)} files there.")
    return sorted(files, key=lambda f: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", f.stem)])


def folder_images(files: list[Path], stream: Stream, unit_m: float) -> list[RecordedImage]:
    """The images of the files, their stamps counting; 16-bit depth is in units of `unit_m`."""
    return [
        RecordedImage(index, f"{file.parent.name}/{file.name}", 0, _loader(file, stream, unit_m))
        for index, file in enumerate(files)
    ]


def _loader(file: Path, stream: Stream, unit_m: float) -> Callable[[], ColourImage | DepthImage]:
    def load() -> ColourImage | DepthImage:
        if stream == "colour":
            return ColourImage(read_rgb(file), jpeg_or_none(read_whole(file)))
        return depth_image(_read_values(file), unit_m, str(file))

    return load


def _key(file: Path) -> str:
    """`frame_1` of `frame_0001_color.png` and `frame_01_depth.png`, `1` of `color_0001.png`."""
    words = [w for w in re.split(r"[-_.]", file.stem.lower()) if w not in _NO_PART_OF_A_NAME]
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", "_".join(words))


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


def _read_values(path: Path) -> np.ndarray:
    try:
        if path.suffix.lower() == ".npy":
            return read_npy(path)
        return decode_image(np.frombuffer(read_whole(path), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: unreadable ({error}). Copy or export the file again.") from None
