"""Colour and depth images of two streams, paired by time stamp as they come; memory stays flat."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Stream = Literal["colour", "depth"]
MAX_WAITING_BYTES = 256 * 10**6
"""Of images that wait for a partner: two seconds of 640x480 colour and depth at 30 Hz, uncompressed, take 92 MB."""


@dataclass(frozen=True)
class RecordedImage:
    """One image of a stream, decoded when it is needed.

    `load` gives a `ColourImage` or a `DepthImage`, and raises `DataError` where it cannot.
    """

    stamp_ns: int
    origin: str
    num_bytes: int
    load: Callable[[], object] = field(repr=False)


@dataclass(frozen=True)
class RecordedPair:
    """A colour image and the depth image taken with it."""

    colour: RecordedImage
    depth: RecordedImage


@dataclass
class PairCounts:
    """What became of the images of both streams."""

    paired: int = 0
    alone: dict[Stream, int] = field(default_factory=lambda: {"colour": 0, "depth": 0})
    closest_ns: int | None = None
    """The least distance of a colour image to a depth image that was seen."""


class Pairing:
    """Each image goes with the nearest of the other stream, and no image twice; the stamps of a stream rise."""

    def __init__(self, tolerance_ns: int) -> None:
        """`tolerance_ns`: images farther apart are no pair."""
        self.counts = PairCounts()
        self._tolerance_ns = tolerance_ns
        self._waiting: dict[Stream, deque[RecordedImage]] = {"colour": deque(), "depth": deque()}
        self._waiting_bytes = 0

    def add(self, stream: Stream, image: RecordedImage) -> Iterator[RecordedPair]:
        """Take the next image of a stream; yields the pairs that are certain now."""
        self._waiting[stream].append(image)
        self._waiting_bytes += image.num_bytes
        yield from self._certain(is_last=False)
        if self._waiting_bytes > MAX_WAITING_BYTES:  # one stream pauses or ended
            yield from self._certain(is_last=True)
        while self._waiting_bytes > MAX_WAITING_BYTES:
            self._drop(max(self._waiting, key=lambda name: len(self._waiting[name])))

    def finish(self) -> Iterator[RecordedPair]:
        """No image comes any more."""
        yield from self._certain(is_last=True)
        for stream, images in self._waiting.items():
            for _ in range(len(images)):
                self._drop(stream)

    def _certain(self, is_last: bool) -> Iterator[RecordedPair]:
        colours, depths = self._waiting["colour"], self._waiting["depth"]
        while colours and depths:
            gap_ns = depths[0].stamp_ns - colours[0].stamp_ns
            closest = self.counts.closest_ns
            self.counts.closest_ns = abs(gap_ns) if closest is None else min(closest, abs(gap_ns))
            older: Stream = "colour" if gap_ns > 0 else "depth"
            other: Stream = "depth" if gap_ns > 0 else "colour"
            if abs(gap_ns) > self._tolerance_ns:
                self._drop(older)
                continue
            if len(self._waiting[older]) < 2 and gap_ns and not is_last:
                return  # the next one of this stream may be nearer
            if len(self._waiting[older]) > 1:
                next_ns = self._waiting[older][1].stamp_ns
                if abs(next_ns - self._waiting[other][0].stamp_ns) < abs(gap_ns):
                    self._drop(older)
                    continue
            self.counts.paired += 1
            yield RecordedPair(self._take("colour"), self._take("depth"))

    def _drop(self, stream: Stream) -> None:
        self._take(stream)
        self.counts.alone[stream] += 1

    def _take(self, stream: Stream) -> RecordedImage:
        image = self._waiting[stream].popleft()
        self._waiting_bytes -= image.num_bytes
        return image


def pair_by_stamp(
    colours: list[RecordedImage], depths: list[RecordedImage], tolerance_ns: int
) -> tuple[list[RecordedPair], PairCounts]:
    """Both streams at once, for images that are cheap to list."""
    pairing, pairs = Pairing(tolerance_ns), []
    order = np.argsort([image.stamp_ns for image in (*colours, *depths)], kind="stable")
    for index in order.tolist():
        stream: Stream = "colour" if index < len(colours) else "depth"
        pairs += pairing.add(stream, (*colours, *depths)[index])
    pairs += pairing.finish()
    return pairs, pairing.counts
