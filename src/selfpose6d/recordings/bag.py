"""Bags as recordings: topics chosen, cameras and transforms found, images paired as they come."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from selfpose6d.errors import DataError, SelfPose6DError
from selfpose6d.recordings.bag_messages import IMAGE_TYPES, INFO_TYPE, Bag, open_bag
from selfpose6d.recordings.camera import Camera, make_camera
from selfpose6d.recordings.camera_files import rigid_transform
from selfpose6d.recordings.depth_units import depth_image
from selfpose6d.recordings.image_messages import (
    ColourImage,
    colour_of,
    depth_of,
    encoding_of,
    is_colour,
    jpeg_of,
)
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.pairing import Pairing, RecordedImage, RecordedPair, Stream
from selfpose6d.recordings.realsense_bag import (
    is_realsense_topic,
    realsense_extrinsics,
    realsense_model,
    realsense_unit_m,
)
from selfpose6d.recordings.recording import FoundGeometry, Recording, resolve_rig
from selfpose6d.recordings.topics import ImageTopic, choose_image_topics, choose_info_topic
from selfpose6d.recordings.transforms import FrameTree, quaternion_transform

METRES_PER_UNIT = 0.001
"""Of 16-bit depth in ROS, by REP 118."""
_MAX_TRIES = 20
"""Messages of a topic that are tried until one can be read."""


@contextmanager
def open_bag_recording(path: Path, options: RecordingOptions) -> Iterator[Recording]:
    """A ROS 1 or ROS 2 bag, RealSense's own recordings among them.

    Raises:
        UsageError: a named topic does not exist.
        DataError: no bag, or no pair of colour and depth topics with all that is needed to use them.
    """
    with open_bag(path) as bag:
        topics = _image_topics(bag)
        if not topics:
            there = ", ".join(f"{c.topic} ({c.msgtype})" for c in bag.reader.connections) or "nothing"
            reasons = "; ".join(bag.unreadable)
            raise DataError(
                f"{path}: no images in this recording; it holds {there}. {reasons and f'Unreadable: {reasons}. '}"
                "Record the colour and depth images with their camera infos and /tf_static."
            )
        colour, depth = _choose(bag, topics, options)
        rig, unit_m = resolve_rig(_found_geometry(bag, colour, depth, options), options)
        pairing = Pairing(round(options.max_gap_ms * 1e6))
        pairs = _pairs(bag, pairing, (colour.name, depth.name), unit_m or METRES_PER_UNIT)
        streams = {"colour": colour.name, "depth": depth.name}
        num_pairs = min(colour.count, depth.count)
        yield Recording(path.name, rig, pairs, pairing.counts, streams, num_pairs, bag.unreadable)


def _image_topics(bag: Bag) -> list[ImageTopic]:
    topics = []
    for name, count in bag.topics_of(*IMAGE_TYPES).items():
        for tries, (_, message) in enumerate(bag.messages(name)):
            encoding = encoding_of(message)
            try:
                image = colour_of(message) if is_colour(encoding) else depth_of(message)
            except DataError as error:
                bag.unreadable[f"{name}: {error}"] += 1
                if tries + 1 >= _MAX_TRIES:
                    break
                continue
            size = image.shape[1], image.shape[0]
            topics.append(ImageTopic(name, encoding, message.header.frame_id, size, count))
            break
    return topics


def _choose(bag: Bag, topics: list[ImageTopic], options: RecordingOptions) -> tuple[ImageTopic, ImageTopic]:
    """The topics; what was unreadable while looking for them may be why there are none, else it is read in turn."""
    try:
        return choose_image_topics(topics, options.colour_topic, options.depth_topic)
    except SelfPose6DError as error:
        reasons = "; ".join(bag.unreadable)
        raise type(error)(f"{error} {reasons and f'Unreadable: {reasons}.'}") from None
    finally:
        bag.unreadable.clear()


def _found_geometry(
    bag: Bag, colour: ImageTopic, depth: ImageTopic, options: RecordingOptions
) -> FoundGeometry:
    infos = bag.topics_of(INFO_TYPE)
    names = (
        choose_info_topic(colour, infos, options.colour_info_topic, "colour"),
        choose_info_topic(depth, infos, options.depth_info_topic, "depth"),
    )
    # options overrule what the recording says, and may be there because that cannot be read
    colour_camera = None if options.camera is not None else _camera(bag, names[0], colour)
    depth_camera = (
        None if options.depth_camera is not None or options.aligned else _camera(bag, names[1], depth)
    )
    unit_m = realsense_unit_m(bag, depth.name)
    return FoundGeometry(colour_camera, depth_camera, _extrinsics(bag, colour, depth), unit_m)


def _camera(bag: Bag, info_topic: str | None, image: ImageTopic) -> Camera | None:
    if info_topic is None or (info := bag.first(info_topic)) is None:
        return None
    K = np.reshape(_field(info, "k"), (3, 3)).astype(np.float64)
    model = realsense_model(bag, image.name) or info.distortion_model
    coefficients = _field(info, "d")
    if image.is_rectified:
        P = np.reshape(_field(info, "p"), (3, 4))[:, :3].astype(np.float64)
        K, model, coefficients = P if P.any() else K, "none", ()
    binning = max(1, info.binning_x), max(1, info.binning_y)
    roi = info.roi
    if roi.width and roi.height and (roi.width, roi.height) != (info.width, info.height):
        K[0, 2], K[1, 2] = K[0, 2] - roi.x_offset, K[1, 2] - roi.y_offset
        size = roi.width // binning[0], roi.height // binning[1]
    else:
        size = info.width // binning[0], info.height // binning[1]
    if binning != (1, 1):
        # pixel centres are at integers: the first binned pixel covers those from -0.5 to binning - 0.5
        K[0] = K[0] / binning[0] + np.array([0, 0, 0.5 / binning[0] - 0.5])
        K[1] = K[1] / binning[1] + np.array([0, 0, 0.5 / binning[1] - 0.5])
    return make_camera(K, size if all(size) else None, model, coefficients, info_topic)


def _extrinsics(bag: Bag, colour: ImageTopic, depth: ImageTopic) -> tuple[np.ndarray, str] | None:
    """`T_colour_depth` and where it is from; identity for depth that is in the colour camera's frame."""
    if is_realsense_topic(depth.name) and bag.type_of("/tf_static") is None:
        return realsense_extrinsics(bag, colour.name, depth.name)
    if depth.is_registered:
        return np.eye(4), f"registered by the driver ({depth.name})"
    if depth.frame_id.lstrip("/") == colour.frame_id.lstrip("/") != "":
        return np.eye(4), f"one frame ({depth.frame_id})"
    broken: list[DataError] = []
    for topic in ("/tf_static", "/tf"):
        T = _transforms(bag, topic, broken).find(colour.frame_id, depth.frame_id)
        if T is not None:
            return T, f"{topic} ({depth.frame_id} to {colour.frame_id})"
    for topic, message_type in ((c.topic, c.msgtype) for c in bag.reader.connections):
        if message_type.endswith("/Extrinsics") and topic.endswith("depth_to_color"):
            message = bag.first(topic)
            if message is not None:
                R = np.reshape(message.rotation, (3, 3)).T  # librealsense writes it column by column
                return rigid_transform(R, message.translation), topic
    if broken:
        raise broken[0]
    return None


def _transforms(bag: Bag, topic: str, broken: list[DataError]) -> FrameTree:
    """Of `/tf`, which holds all that moves, only the first message of each pair of frames: a camera's are rigid.

    What is no transform is left out and goes to `broken`: other parts of a robot may send it.
    """
    tree, known = FrameTree(), set()
    for _, message in bag.messages(topic):
        for entry in message.transforms:
            frames = entry.header.frame_id, entry.child_frame_id
            if topic == "/tf" and frames in known:
                continue
            known.add(frames)
            q, t = entry.transform.rotation, entry.transform.translation
            name = f"{topic}: frame {frames[1]} in {frames[0]}"
            try:
                tree.add(*frames, quaternion_transform((q.x, q.y, q.z, q.w), (t.x, t.y, t.z), name))
            except DataError as error:
                broken.append(error)
    return tree


def _pairs(bag: Bag, pairing: Pairing, topics: tuple[str, str], unit_m: float) -> Iterator[RecordedPair]:
    for topic, stamp_ns, raw, message_type in bag.raw_messages(*topics):
        stream: Stream = "colour" if topic == topics[0] else "depth"
        load = _loader(bag, stream, raw, message_type, unit_m)
        yield from pairing.add(stream, RecordedImage(stamp_ns, topic, len(raw), load))
    yield from pairing.finish()


def _loader(bag: Bag, stream: Stream, raw: bytes, message_type: str, unit_m: float) -> Callable[[], object]:
    def load() -> object:
        message = bag.parse(raw, message_type)
        if stream == "colour":
            return ColourImage(colour_of(message), jpeg_of(message))
        return depth_image(depth_of(message), unit_m, "depth")

    return load


def _field(info: Any, name: str) -> Any:
    """ROS 1 writes the matrices with capitals."""
    return getattr(info, name, None) if hasattr(info, name) else getattr(info, name.upper())
