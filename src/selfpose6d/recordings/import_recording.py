"""A whole recording to a capture folder: pairs read in order, frames made and written by threads."""

import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfpose6d.errors import DataError, UsageError
from selfpose6d.image_files import to_png
from selfpose6d.meshes.units import METRES_PER_MM
from selfpose6d.processes import available_cores
from selfpose6d.recordings.bag import open_bag_recording
from selfpose6d.recordings.bag_messages import BAG_SUFFIXES, DAMAGED
from selfpose6d.recordings.capture_writer import (
    NewCapture,
    new_capture,
    source_hash,
    write_camera,
    write_image,
    write_record,
)
from selfpose6d.recordings.choice import ChosenFrame, FrameChoice
from selfpose6d.recordings.files import is_image_folder, open_files
from selfpose6d.recordings.frames import FrameMaker, make_frame_maker
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.pairing import Stream
from selfpose6d.recordings.realsense import LIVE, open_live
from selfpose6d.recordings.recording import CameraRig, Recording
from selfpose6d.recordings.videos import VIDEO_SUFFIXES

_MAX_WORKERS = 4
_SAMPLED = 8
"""The median depth is taken of every eighth row and column."""


@dataclass(frozen=True)
class ImportSummary:
    """What was imported, and what was not."""

    num_frames: int
    size: tuple[int, int]
    depth_scale_mm: float
    median_depth_m: float
    rig: CameraRig
    streams: dict[str, str]
    alignment: str
    num_alone: dict[Stream, int]
    """Images of each stream without a partner."""
    skipped: dict[str, int]
    """What could not be read, by reason."""
    num_pairs: int

    @property
    def much_is_unreadable(self) -> bool:
        """Whether a tenth of the pairs or more could not be read, or the recording is damaged from some place on."""
        damaged = any(reason.startswith(DAMAGED) for reason in self.skipped)
        return damaged or 10 * sum(self.skipped.values()) >= max(1, self.num_pairs)


def open_recording(source: Path, options: RecordingOptions) -> contextlib.AbstractContextManager[Recording]:
    """The recording that `source` is, by its name; `realsense` is a live camera.

    Raises:
        UsageError: there is no such file, or it is none that can be read.
    """
    if str(source) == LIVE and not source.exists():
        _require_fitting("live", options)
        return open_live(options)
    if not source.exists():
        raise UsageError(f"{source} does not exist. Pass a recording, or {LIVE} for a live camera.")
    if source.is_dir() and not (source / "metadata.yaml").is_file():
        if is_image_folder(source):
            _require_fitting("files", options)
            return open_files(source, options)
        bags = sorted(path.name for path in source.iterdir() if path.suffix in BAG_SUFFIXES)
        raise UsageError(
            f"{source} is no recording: neither rosbag2's metadata.yaml nor a folder rgb/ or color/ is there. "
            + (
                f"Pass one of its bags: {', '.join(bags)}."
                if bags
                else "Pass a bag, a video or an image folder."
            )
        )
    if source.is_dir() or source.suffix.lower() in BAG_SUFFIXES:
        _require_fitting("bag", options)
        return open_bag_recording(source, options)
    if source.suffix.lower() in VIDEO_SUFFIXES:
        _require_fitting("files", options)
        return open_files(source, options)
    raise UsageError(
        f"{source}: expected a bag ({', '.join(BAG_SUFFIXES)} or a rosbag2 folder), a video "
        f"({', '.join(VIDEO_SUFFIXES)}), a folder with rgb/ and depth/, or {LIVE}."
    )


def _require_fitting(kind: str, options: RecordingOptions) -> None:
    """Refuse an option that is of another kind of recording: it would be without effect."""
    topics = ("colour_topic", "depth_topic", "colour_info_topic", "depth_info_topic")
    of_kind = {"bag": topics, "live": ("serial", "size", "fps"), "files": ("depth",)}
    defaults = RecordingOptions()
    for other, names in of_kind.items():
        given = [name for name in names if getattr(options, name) != getattr(defaults, name)]
        if other != kind and given:
            what = {"bag": "a bag", "live": "a live camera", "files": "a video or an image folder"}
            flag = f"--{given[0].replace('_', '-')}"
            raise UsageError(f"{flag} is for {what[other]}, got {what[kind]}. Leave it out.")


def import_recording(
    source: Path,
    out: Path,
    options: RecordingOptions,
    on_pair: Callable[[int | None], object] = lambda _: None,
) -> ImportSummary:
    """Write the recording as a capture folder; `out` appears when all is written.

    Stopped midway, the same call goes on: it reads the recording again, but makes no frame twice. Where `out` was made
    by the same call, nothing is written.

    `on_pair` is called for every pair that was read, with how many there may be.

    Raises:
        UsageError: `out` is not empty, or an option does not fit the recording.
        DataError: the recording gives no frame.
    """
    made_from = source_hash(source, options) if source.exists() else None
    with new_capture(out, made_from) as capture, open_recording(source, options) as recording:
        choice = FrameChoice(recording, options, on_pair)
        writer = _FrameWriter(capture, recording)
        writer.write_all(choice)
        if writer.maker is None:
            raise DataError(f"{source}: {_why_nothing(recording, choice, options)}")
        size, unit_m, alignment = writer.maker.size, writer.maker.unit_m, _alignment(recording.rig)
        if not capture.is_complete:
            write_camera(capture.folder, recording.rig.colour.K, size, unit_m)
            streams = {f"{stream}_from": name for stream, name in recording.streams.items()}
            whole = {"source": recording.name, **streams, "alignment": alignment}
            whole |= {} if made_from is None else {"made_from": made_from}
            write_record(capture.folder, whole, writer.entries)
    return ImportSummary(
        len(writer.entries),
        size,
        unit_m / METRES_PER_MM,
        float(np.median([entry["median_depth_m"] for entry in writer.entries.values()])),
        recording.rig,
        recording.streams,
        alignment,
        dict(recording.counts.alone),
        dict(choice.skipped + recording.unreadable),
        recording.counts.paired,
    )


class _FrameWriter:
    """Frames on their way to the folder; what a thread makes is written before the next but few are begun."""

    def __init__(self, capture: NewCapture, recording: Recording) -> None:
        self.maker: FrameMaker | None = None
        self.entries: dict[str, dict[str, Any]] = {}
        self._capture, self._recording = capture, recording

    def write_all(self, frames: FrameChoice) -> None:
        workers = min(_MAX_WORKERS, available_cores())
        under_way: deque[Future[None]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for frame in frames:
                if self.maker is None:
                    self.maker = make_frame_maker(self._recording.rig, frame.colour.rgb, frame.depth)
                stem = f"{len(self.entries):06d}"
                entry = self.entries[stem] = _entry(frame, self._recording.has_stamps)
                if (median_m := self._known_median_m(stem, entry)) is not None:
                    entry["median_depth_m"] = median_m
                    continue
                under_way.append(pool.submit(self._write, stem, self.maker, frame, entry))
                if len(under_way) > 2 * workers:
                    under_way.popleft().result()
            for future in under_way:
                future.result()

    def _known_median_m(self, stem: str, entry: dict[str, Any]) -> float | None:
        """Of a frame that an earlier call has finished; None: it is to be made."""
        noted = self._capture.finished.get(stem, {})
        return noted.get("median_depth_m") if noted | entry == noted else None

    def _write(self, stem: str, maker: FrameMaker, frame: ChosenFrame, entry: dict[str, Any]) -> None:
        entry["median_depth_m"] = round(_write_frame(self._capture.folder, stem, maker, frame), 6)
        self._capture.note(stem, entry)


def _write_frame(folder: Path, stem: str, maker: FrameMaker, frame: ChosenFrame) -> float:
    """Returns the median depth in metres, 0 where none is known. A JPEG file that needs no change is kept as it is."""
    depth = maker.depth(frame.depth)
    jpeg = frame.colour.jpeg if maker.maps is None else None
    write_image(
        folder / "rgb",
        f"{stem}.jpg" if jpeg else f"{stem}.png",
        jpeg or to_png(maker.colour(frame.colour.rgb)),
    )
    write_image(folder / "depth", f"{stem}.png", to_png(depth))
    known = depth[::_SAMPLED, ::_SAMPLED]
    known = known[known > 0]
    return float(np.median(known)) * maker.unit_m if len(known) else 0.0


def _entry(frame: ChosenFrame, has_stamps: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for stream, image in (("colour", frame.pair.colour), ("depth", frame.pair.depth)):
        entry[stream] = image.origin
        if has_stamps:
            entry[f"{stream}_stamp_ns"] = image.stamp_ns
    return {**entry, "sharpness": round(frame.sharpness, 3)}


def _alignment(rig: CameraRig) -> str:
    if rig.depth is None:
        return f"in the colour image's pixels: {rig.extrinsics_from}"
    baseline_mm = np.linalg.norm(rig.T_colour_depth[:3, 3]) / METRES_PER_MM
    return f"aligned by {rig.extrinsics_from}, {baseline_mm:.1f} mm apart"


def _why_nothing(recording: Recording, choice: FrameChoice, options: RecordingOptions) -> str:
    alone, closest_ns = recording.counts.alone, recording.counts.closest_ns
    skipped = choice.skipped + recording.unreadable
    if skipped:
        reasons = "; ".join(f"{count}x {reason}" for reason, count in skipped.most_common(3))
        return f"no frame could be read: {reasons}."
    if closest_ns is None:
        missing = [stream for stream, count in alone.items() if not count]
        return f"no frames: the recording is empty, or has no {' and no '.join(missing)} images."
    return (
        f"no colour image has a depth image within {options.max_gap_ms:g} ms ({alone['colour']} colour, "
        f"{alone['depth']} depth images, the closest {closest_ns / 1e6:.1f} ms apart). Pass a larger --max-gap-ms "
        "where that is the cameras' offset; else their clocks differ."
    )
