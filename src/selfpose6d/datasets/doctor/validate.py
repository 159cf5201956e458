"""Looks at a whole data set and reports every problem, one frame in memory at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.doctor.frame import FrameReport, SizeEvidence, check_frame, check_intrinsics
from selfpose6d.datasets.doctor.models import check_models
from selfpose6d.datasets.doctor.problems import Problem, error, warning
from selfpose6d.datasets.layouts import find_layout
from selfpose6d.selection import FrameId

POOLED_SHARE = (0.55, 1.25)
OBJECT_SHARE = (0.3, 1.4)
"""Bounds of the median mask size over the model's diameter: 0.75 to 1 where little is hidden."""
MAX_SIZES_AN_OBJECT = 2000


class Validation:
    """One pass over a data set. The counts are complete when `run` has ended."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self._layout = dataset, find_layout(dataset.layout)
        self.frames = self.instances = self.errors = self.warnings = 0
        self._reported: set[int] = set()
        self._cameras: set[tuple[int, bytes, tuple[int, int]]] = set()
        self._shares: defaultdict[int, list[float]] = defaultdict(list)
        self._diameters_m: dict[int, float] = {}

    def run(self) -> Iterator[tuple[Problem, ...]]:
        """The new problems of the models, then of each frame, then of the whole; a message is given once."""
        problems, self._diameters_m = check_models(self.dataset.models, self.dataset.object_ids)
        yield self._new([*problems, *self._check_split()])
        scene_id = None
        for frame_id in self.dataset.frame_ids():
            is_new = frame_id.scene_id != scene_id
            found = list(self._layout.checks(self.dataset, frame_id.scene_id)) if is_new else []
            scene_id = frame_id.scene_id
            yield self._new([*found, *self._check_frame(frame_id)])
        yield self._new(check_sizes(self._shares))

    def summary(self) -> str:
        """One line: what was looked at and what was found."""
        counts = (("error", self.errors), ("warning", self.warnings))
        seen = (("frame", self.frames), ("instance", self.instances), ("model", len(self._diameters_m)))
        found, looked_at = (
            ", ".join(_plural(count, noun) for noun, count in pairs) for pairs in (counts, seen)
        )
        return f"{'failed' if self.errors else 'ok'}: {found} in {looked_at} ({self.dataset.layout} layout)"

    def _new(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        new = []
        for problem in problems:
            if hash(problem.message) not in self._reported:
                self._reported.add(hash(problem.message))
                self.errors += problem.level == "error"
                self.warnings += problem.level == "warning"
                new.append(problem)
        return tuple(new)

    def _check_split(self) -> Iterator[Problem]:
        dataset = self.dataset
        yield from self._layout.checks(dataset, None)
        if isinstance(dataset.masks, DetectionMasks):
            unknown = set(dataset.masks.frame_ids()) - set(dataset.all_frame_ids())
            if unknown:
                scene_id, im_id = min(unknown)
                yield warning(
                    dataset.masks.path,
                    f"{len(unknown)} frames are not in the split, first scene {scene_id} image {im_id}",
                    "Check that the file belongs to this data set and split.",
                )

    def _check_frame(self, frame_id: FrameId) -> Iterator[Problem]:
        report = check_frame(self.dataset, frame_id)
        self.frames += 1
        self.instances += report.instances
        yield from report.problems
        yield from self._check_camera(frame_id, report)
        for obj_id in report.without_model:
            yield error(
                self.dataset.models.folder,
                f"object {obj_id} has masks but no mesh file",
                f"Add obj_{obj_id:06d}.ply, or leave it out with --objects.",
            )
        self._collect(report.sizes)

    def _check_camera(self, frame_id: FrameId, report: FrameReport) -> Iterator[Problem]:
        """Each camera of a scene once, not once a frame."""
        if report.camera is not None:
            K, shape = report.camera
            camera = (frame_id.scene_id, K.tobytes(), shape)
            if camera not in self._cameras:
                self._cameras.add(camera)
                yield from check_intrinsics(K, shape, f"camera of {self.dataset.rgb_path(frame_id)}")

    def _collect(self, sizes: Iterable[SizeEvidence]) -> None:
        for size in sizes:
            shares = self._shares[size.obj_id]
            if size.obj_id in self._diameters_m and len(shares) < MAX_SIZES_AN_OBJECT:
                shares.append(size.diameter_m / self._diameters_m[size.obj_id])


def check_sizes(shares: dict[int, list[float]]) -> Iterator[Problem]:
    """Whether masks are as large as models and depth make them, without any pose: medians over the data set.

    `shares` are mask size over model diameter, by object id.
    """
    pooled = [share for of_object in shares.values() for share in of_object]
    if not pooled:
        return
    if not POOLED_SHARE[0] <= (median := float(np.median(pooled))) <= POOLED_SHARE[1]:
        yield warning(
            "masks",
            f"at their depth they are {median:.3g} times as large as the models (median of {len(pooled)})",
            "Check the model unit (--model-unit), depth_scale and cam_K; 0.75 to 1 is usual.",
        )
        return
    for obj_id, of_object in sorted(shares.items()):
        if of_object and not OBJECT_SHARE[0] <= (median := float(np.median(of_object))) <= OBJECT_SHARE[1]:
            yield warning(
                f"object {obj_id}",
                f"its masks are {median:.3g} times as large as its model (median of {len(of_object)})",
                "Check that the id names this model and that its unit is that of the others.",
            )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
