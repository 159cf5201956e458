"""Capture folders as a layout: `rgb/`, `depth/`, `masks/` and `camera.json`."""

from collections.abc import Iterator

from selfpose6d.datasets.capture.dataset import SPLIT, CaptureDataset
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.doctor.problems import Problem, check_duplicates
from selfpose6d.datasets.layout import Layout


def _check_names(dataset: Dataset, scene_id: int | None) -> Iterator[Problem]:
    for name in ("rgb", "depth") if scene_id is None else ():
        yield from check_duplicates(dataset.root / name)


CAPTURE = Layout(
    CaptureDataset.layout,
    "a capture folder (rgb/, depth/, masks/, camera.json)",
    matches=lambda root: (root / "rgb").is_dir(),
    open=CaptureDataset,
    only_split=SPLIT,
    checks=_check_names,
)
