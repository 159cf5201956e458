"""Messages of a bag: any version read alike, what cannot be read skipped and counted with its reason."""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfpose6d.errors import DataError
from selfpose6d.extras import missing_extra
from selfpose6d.files import require_files

DAMAGED = "the file is damaged from here on"
"""How the reason begins where nothing behind a place could be read."""

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

NS_PER_S = 10**9
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
INFO_TYPE = "sensor_msgs/msg/CameraInfo"
BAG_SUFFIXES = (".bag", ".db3", ".mcap")
# realsense2_camera's, for rosbag2 files that hold no message definitions
_EXTRINSICS_TYPE = "realsense2_camera_msgs/msg/Extrinsics"
_EXTRINSICS_DEFINITION = "float64[9] rotation\nfloat64[3] translation\n"


@dataclass
class Bag:
    """An open bag: its topics and messages."""

    reader: "AnyReader"
    unreadable: Counter[str] = field(default_factory=Counter)

    def topics_of(self, *types: str) -> dict[str, int]:
        """Message counts by topic, of the topics of these types."""
        counts: Counter[str] = Counter()
        for connection in self.reader.connections:
            if connection.msgtype in types:
                counts[connection.topic] += connection.msgcount
        return dict(sorted(counts.items()))

    def type_of(self, topic: str) -> str | None:
        """The message type of a topic; None where there is no such topic."""
        return next((c.msgtype for c in self.reader.connections if c.topic == topic), None)

    def raw_messages(self, *topics: str) -> Iterator[tuple[str, int, bytes, str]]:
        """Topic, time in nanoseconds, bytes and type of the messages of these topics, in the order of recording.

        The time is the header's stamp, or that of recording where the header has none.
        """
        connections = [c for c in self.reader.connections if c.topic in topics]
        if not connections:
            return
        messages = self.reader.messages(connections=connections)
        while True:
            try:
                connection, recorded_ns, raw = next(messages)
            except StopIteration:
                return
            except Exception as error:  # the file ends early or is damaged: what came before counts
                self.unreadable[f"{DAMAGED} ({_reason(error)})"] += 1
                return
            yield connection.topic, self._stamp_ns(raw) or recorded_ns, raw, connection.msgtype

    def parse(self, raw: bytes, message_type: str) -> Any:
        """A message from its bytes.

        Raises:
            DataError: it cannot be read.
        """
        try:
            return self.reader.deserialize(raw, message_type)
        except Exception as error:  # rosbags lets errors of all kinds through for cut off messages
            raise DataError(f"unreadable message ({_reason(error)})") from error

    def messages(self, *topics: str) -> Iterator[tuple[str, Any]]:
        """Topic and message of those that can be read."""
        for topic, _, raw, message_type in self.raw_messages(*topics):
            try:
                yield topic, self.parse(raw, message_type)
            except DataError as error:
                self.unreadable[f"{topic}: {error}"] += 1

    def first(self, *topics: str) -> Any | None:
        """The first readable message of these topics."""
        return next((message for _, message in self.messages(*topics)), None)

    def _stamp_ns(self, raw: bytes) -> int:
        """Of messages that begin with a header: ROS 1 has its number before the stamp, ROS 2 four bytes of encoding."""
        if len(raw) < 12:
            return 0
        is_big_endian = self.reader.is2 and raw[1] == 0
        seconds, nanoseconds = struct.unpack_from(">II" if is_big_endian else "<II", raw, 4)
        return seconds * NS_PER_S + nanoseconds


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """Open a ROS 1 bag, a rosbag2 folder, or a single .db3 or .mcap file.

    Raises:
        UsageError: the package rosbags is not installed.
        DataError: it is no bag, or damaged.
    """
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError:
        raise missing_extra("record", "rosbags", needed_by="a bag") from None
    types = get_typestore(Stores.LATEST)
    types.register(get_types_from_msg(_EXTRINSICS_DEFINITION, _EXTRINSICS_TYPE))
    try:
        require_files(path)
        reader = AnyReader([path], default_typestore=types)
        reader.open()
    except (
        Exception
    ) as error:  # readers of three formats, with errors of their own and of sqlite, yaml and struct
        raise DataError(f"{path}: no readable bag ({_reason(error)}). {_remedy(path)}") from error
    try:
        yield Bag(reader)
    finally:
        reader.close()


def _remedy(path: Path) -> str:
    if path.suffix == ".bag":
        return "A recording that was cut off: rosbag reindex FILE."
    if path.suffix == ".mcap":
        return "A recording that was cut off: mcap recover FILE."
    return "A recording that was cut off: ros2 bag reindex FOLDER."


def _reason(error: Exception) -> str:
    return " ".join(f"{error}".split()).rstrip(".") or type(error).__name__
