"""Checks a whole data set and reports every problem, one frame in memory at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from selfpose6d.checks import SIZE_RATIO_BOUNDS
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.doctor.frame import check_frame
from selfpose6d.datasets.doctor.models import ObjectWarnings, check_models
from selfpose6d.datasets.doctor.problems import Problem, error, warning
from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.datasets.masks import REMEDY_NO_INSTANCE, NoMasks, no_instance
from selfpose6d.selection import FrameId

OBJECT_SIZE_RATIO = (0.3, 1.4)
"""Bounds of the median mask size over one model's diameter: more of it may be hidden than of all
(`SIZE_RATIO_BOUNDS`)."""
MAX_SIZES_AN_OBJECT = 2000
"""For its median; bounds the memory."""


class Validation:
    """One pass over a data set. The counts are complete when `run` has ended."""

    def __init__(self, dataset: Dataset, object_warnings: ObjectWarnings | None = None) -> None:
        self.dataset, self._layout = dataset, detect_layout(dataset.root)
        self._object_warnings = object_warnings
        self.frames = self.instances = self.errors = self.warnings = 0
        self._reported: set[int] = set()
        self._cameras: set[tuple[int, tuple[bytes, tuple[int, int]] | None]] = set()
        self._size_ratios: defaultdict[int, list[float]] = defaultdict(list)
        self._diameters_m: dict[int, float] = {}

    def run(self) -> Iterator[tuple[Problem, ...]]:
        """The new problems of the models, then of each frame, then of the whole; a message is given once."""
        problems, self._diameters_m = check_models(
            self.dataset.models, self.dataset.object_ids, self._object_warnings
        )
        yield self._new([*problems, *self._check_split()])
        for _, frame_ids in groupby(self.dataset.frame_ids(), key=lambda frame_id: frame_id.scene_id):
            for index, frame_id in enumerate(frame_ids):
                found = self._layout.checks(self.dataset, frame_id.scene_id) if index == 0 else ()
                yield self._new([*found, *self._check_frame(frame_id)])
        yield self._new([*self._check_instances(), *check_sizes(self._size_ratios)])

    def summary(self) -> str:
        """One line: what was checked and what was found."""
        counts = (("error", self.errors), ("warning", self.warnings))
        seen = (("frame", self.frames), ("instance", self.instances), ("model", len(self._diameters_m)))
        found, where = (", ".join(_plural(count, noun) for noun, count in pairs) for pairs in (counts, seen))
        return f"{'failed' if self.errors else 'ok'}: {found} in {where} ({self.dataset.layout} layout)"

    def _new(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        by_hash = {hash(problem.message): problem for problem in problems}
        new = tuple(problem for key, problem in by_hash.items() if key not in self._reported)
        self._reported.update(by_hash)
        self.errors += sum(problem.level == "error" for problem in new)
        self.warnings += sum(problem.level == "warning" for problem in new)
        return new

    def _check_split(self) -> Iterator[Problem]:
        yield from self._layout.checks(self.dataset, None)

    def _check_instances(self) -> Iterator[Problem]:
        """A data set in which nothing can be labelled passes no check."""
        if not self.instances and not isinstance(self.dataset.masks, NoMasks):
            yield error(self.dataset.root, no_instance(self.frames), REMEDY_NO_INSTANCE)

    def _check_frame(self, frame_id: FrameId) -> Iterator[Problem]:
        report = check_frame(self.dataset, frame_id)
        self.frames += 1
        self.instances += report.instances
        yield from report.problems
        camera = (frame_id.scene_id, report.camera)
        if camera not in self._cameras:  # once a scene, not once a frame
            self._cameras.add(camera)
            yield from report.of_camera
        for obj_id in report.without_model:
            yield error(
                self.dataset.models.folder,
                f"object {obj_id} has masks but no mesh file",
                f"Add obj_{obj_id:06d}.ply, or leave it out with --objects.",
            )
        for size in report.sizes:
            ratios = self._size_ratios[size.obj_id]
            if size.obj_id in self._diameters_m and len(ratios) < MAX_SIZES_AN_OBJECT:
                ratios.append(size.diameter_m / self._diameters_m[size.obj_id])


def check_sizes(size_ratios: dict[int, list[float]]) -> Iterator[Problem]:
    """Whether masks are as large as models and depth make them, without any pose: medians over the data set.

    `size_ratios` are mask size over model diameter, by object id.
    """
    pooled = [ratio for ratios in size_ratios.values() for ratio in ratios]
    if not pooled:
        return
    if not SIZE_RATIO_BOUNDS[0] <= (median := float(np.median(pooled))) <= SIZE_RATIO_BOUNDS[1]:
        yield warning(
            "masks",
            f"at their depth they are {median:.3g} times as large as the models (median of {len(pooled)})",
            "Check the model unit (--model-unit), depth_scale and cam_K; 0.75 to 1 is usual.",
        )
        return
    for obj_id, ratios in sorted(size_ratios.items()):
        low, high = OBJECT_SIZE_RATIO
        if ratios and not low <= (median := float(np.median(ratios))) <= high:
            yield warning(
                f"object {obj_id}",
                f"its masks are {median:.3g} times as large as its model (median of {len(ratios)})",
                "Check that the id names this model and that its unit is that of the others.",
            )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
