"""Which topics of a bag are the colour and the depth images, and which hold their cameras."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from selfpose6d.errors import DataError, UsageError
from selfpose6d.recordings.camera import Size
from selfpose6d.recordings.image_messages import DEPTH_ENCODINGS, GREY_ENCODINGS, is_colour
from selfpose6d.recordings.pairing import Stream

_TRANSPORTS = ("compressed", "compressedDepth")
_REGISTERED_NAMES = ("aligned_depth_to_color", "depth_registered", "depth_to_rgb", "depth_to_color")
_NO_DEPTH_NAMES = re.compile(r"(^|[/_])(ir|infra(red)?\d*|confidence|disparity)([/_]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class ImageTopic:
    """A topic of images, by its first readable message."""

    name: str
    encoding: str
    frame_id: str
    size: Size
    count: int

    @property
    def stream(self) -> str:
        """The topic without its transport: `/x/image_raw` of `/x/image_raw/compressed`."""
        head, _, tail = self.name.rpartition("/")
        return head if tail in _TRANSPORTS else self.name

    @property
    def is_compressed(self) -> bool:
        """Whether the messages are `CompressedImage`."""
        return self.stream != self.name

    @property
    def is_rectified(self) -> bool:
        """Whether the images are undistorted already, by the naming of image_proc and iai_kinect2."""
        return "rect" in self.stream.rpartition("/")[2].split("_")

    @property
    def is_registered(self) -> bool:
        """Whether the driver names the depth as one that is in the colour camera's frame."""
        return any(name in self.name for name in _REGISTERED_NAMES)

    @property
    def is_depth(self) -> bool:
        """Whether the images hold depth, by encoding and name."""
        return self.encoding in DEPTH_ENCODINGS and not _NO_DEPTH_NAMES.search(self.name)

    @property
    def is_grey(self) -> bool:
        """Whether they show grey values, as infrared cameras do."""
        return self.encoding in GREY_ENCODINGS

    @property
    def is_colour(self) -> bool:
        """Whether they show colours."""
        return is_colour(self.encoding) and not self.is_grey

    def __str__(self) -> str:
        return f"{self.name} ({self.encoding} {self.size[0]}x{self.size[1]}, {self.count} messages)"


def choose_image_topics(
    topics: Sequence[ImageTopic], colour_name: str | None, depth_name: str | None
) -> tuple[ImageTopic, ImageTopic]:
    """The colour and the depth topic, as named or as the only ones that fit.

    Of one stream the raw images are taken before compressed ones; of several depth streams the one that is registered
    to the colour camera; of one camera's colour streams the undistorted one; grey images where there is no colour.

    Raises:
        UsageError: a named topic does not exist or is of the other kind.
        DataError: there is none, or several fit.
    """
    depth = _choose("depth", [topic for topic in topics if topic.is_depth], topics, depth_name)
    colours = [topic for topic in topics if topic.is_colour] or [topic for topic in topics if topic.is_grey]
    return _choose("colour", colours, topics, colour_name), depth


def choose_info_topic(
    image: ImageTopic, infos: Iterable[str], named: str | None, stream: Stream
) -> str | None:
    """The CameraInfo topic of an image topic: as named, else the one beside it; None where there is none.

    Raises:
        UsageError: the named topic does not exist.
    """
    infos = sorted(infos)
    if named is not None:
        if named not in infos:
            raise UsageError(
                f"--{stream}-info-topic: no CameraInfo topic {named}. The recording has: {', '.join(infos) or 'none'}."
            )
        return named
    camera, _, _ = image.stream.rpartition("/")
    above = camera.rpartition("/")[0]
    # RealSense's own recordings: /device_0/sensor_1/Color_0/image/data and .../Color_0/info/camera_info
    beside = (
        f"{camera}/camera_info",
        f"{image.stream}/camera_info",
        f"{above}/info/camera_info" if camera.endswith("/image") else "",
    )
    return next((name for name in beside if name in infos), None)


def _choose(
    stream: Stream, fitting: Sequence[ImageTopic], topics: Sequence[ImageTopic], named: str | None
) -> ImageTopic:
    there = ", ".join(map(str, topics)) or "none"
    if named is not None:
        exact = [topic for topic in topics if topic.name == named]
        found = exact or [topic for topic in topics if topic.stream == named.rstrip("/")]
        if not found:
            raise UsageError(f"--{stream}-topic: no image topic {named}. The recording has: {there}.")
        kind = [t for t in found if (t.encoding in DEPTH_ENCODINGS) == (stream == "depth")]
        if not kind:
            raise UsageError(
                f"--{stream}-topic: {found[0]} holds no {stream} images. The recording has: {there}."
            )
        return _preferred(kind)[0]
    if not fitting:
        raise DataError(
            f"no {stream} topic. Image topics of the recording: {there}. Name one with --{stream}-topic."
        )
    chosen = _preferred(fitting)
    if len(chosen) > 1:
        raise DataError(
            f"several {stream} topics fit: {', '.join(map(str, chosen))}. Name one with --{stream}-topic."
        )
    return chosen[0]


def _preferred(topics: Sequence[ImageTopic]) -> list[ImageTopic]:
    """One topic of each stream, the raw images first; then registered depth, and undistorted images of one camera."""
    streams: dict[str, ImageTopic] = {}
    for topic in sorted(topics, key=lambda topic: (topic.is_compressed, topic.name)):
        streams.setdefault(topic.stream, topic)
    chosen = list(streams.values())
    registered = [topic for topic in chosen if topic.is_depth and topic.is_registered]
    chosen = registered or chosen
    if len({topic.stream.rpartition("/")[0] for topic in chosen}) == 1:
        chosen = [topic for topic in chosen if topic.is_rectified] or chosen
    return chosen
