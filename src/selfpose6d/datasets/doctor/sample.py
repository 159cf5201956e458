"""What is wrong with a data set as a whole, seen from a few of its frames: for commands that work on all of them."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from selfpose6d.checks import SIZE_RATIO_BOUNDS
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.doctor.problems import Problem
from selfpose6d.datasets.doctor.validate import check_sizes
from selfpose6d.errors import DataError
from selfpose6d.selection import spread_evenly

SAMPLED_FRAMES = 5
"""A quarter of a second to read; the median of their masks' sizes shows a wrong unit."""
MIN_SIZES = 3
"""Of masks: with fewer a hidden object looks like a wrong unit. Nothing makes one look larger."""


def check_sample(dataset: Dataset) -> Iterator[Problem]:
    """Whether the masks of some frames are as large as models and depth make them, as `validate` asks of all frames.

    Frames that cannot be read are left to whoever works on them.
    """
    ratios: defaultdict[int, list[float]] = defaultdict(list)
    for frame_id in spread_evenly(dataset.frame_ids(), SAMPLED_FRAMES):
        with suppress(DataError):
            for obj_id, ratio in dataset.size_ratios(dataset.load_frame(frame_id)):
                ratios[obj_id].append(ratio)
    pooled = [ratio for of_object in ratios.values() for ratio in of_object]
    if len(pooled) >= MIN_SIZES or min(pooled, default=0.0) > SIZE_RATIO_BOUNDS[1]:
        yield from check_sizes(ratios)
