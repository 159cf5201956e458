"""Which pairs of a recording become frames: every n-th, sharp ones preferred, unreadable ones counted."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from selfpose6d.errors import DataError
from selfpose6d.recordings.depth_units import DepthImage
from selfpose6d.recordings.image_messages import ColourImage
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.pairing import RecordedPair
from selfpose6d.recordings.recording import Recording


@dataclass(frozen=True)
class ChosenFrame:
    """A pair that becomes a frame, decoded."""

    pair: RecordedPair
    colour: ColourImage
    depth: DepthImage
    sharpness: float


class FrameChoice:
    """Of every `every` pairs the sharpest that can be read, `max_frames` at most; iterated once."""

    def __init__(
        self, recording: Recording, options: RecordingOptions, on_pair: Callable[[int | None], object]
    ) -> None:
        """`on_pair` is called for every pair, with how many there may be."""
        self.skipped: Counter[str] = Counter()
        self._recording, self._options, self._on_pair = recording, options, on_pair
        self._shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def __iter__(self) -> Iterator[ChosenFrame]:
        """In the order of time."""
        steps = _steps(self._recording.pairs, self._options.every)
        readable = (best for best in map(self._best_of, steps) if best is not None)
        return itertools.islice(readable, self._options.max_frames)

    def _best_of(self, step: Iterable[RecordedPair]) -> ChosenFrame | None:
        best = None
        for pair in step:
            self._on_pair(self._recording.num_pairs)
            if best is not None and not self._options.sharpest:
                continue
            try:
                colour = pair.colour.load()
                assert isinstance(colour, ColourImage)
                score = sharpness(colour.rgb)
                if best is None or score > best.sharpness:
                    best = self._decoded(pair, colour, score)
            except DataError as error:
                self.skipped[str(error)] += 1
        return best

    def _decoded(self, pair: RecordedPair, colour: ColourImage, score: float) -> ChosenFrame:
        depth = pair.depth.load()
        assert isinstance(depth, DepthImage)
        shapes = colour.rgb.shape[:2], depth.values.shape
        if self._shapes is None:
            self._shapes = shapes
        if shapes != self._shapes:
            raise DataError(f"images of another size: {shapes} among {self._shapes} (rows, columns)")
        return ChosenFrame(pair, colour, depth, score)


def sharpness(rgb: UInt8[np.ndarray, "height width 3"]) -> float:
    """The variance of the Laplacian of the grey image: motion blur and defocus lower it."""
    return float(cv2.Laplacian(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def _steps(pairs: Iterator[RecordedPair], every: int) -> Iterator[Iterator[RecordedPair]]:
    """Runs of `every` pairs, each to be used up before the next is taken."""
    for first in pairs:
        yield itertools.chain((first,), itertools.islice(pairs, every - 1))
