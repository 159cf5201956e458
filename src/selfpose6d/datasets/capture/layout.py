"""Capture folders as a layout: `rgb/`, `depth/`, `masks/` and `camera.json`."""

from collections.abc import Iterator
from pathlib import Path

from selfpose6d.datasets.capture.dataset import SPLIT, CaptureDataset
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.doctor.problems import Problem, check_duplicates, warning
from selfpose6d.datasets.images import list_images
from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.masks import NoMasks
from selfpose6d.datasets.model_files import list_some


def _check_names(dataset: Dataset, scene_id: int | None) -> Iterator[Problem]:
    for name in ("rgb", "depth") if scene_id is None else ():
        yield from check_duplicates(dataset.root / name)
    if scene_id is None and not isinstance(dataset.masks, DetectionMasks | NoMasks):
        yield from _check_orphans(dataset)


def _check_orphans(dataset: Dataset) -> Iterator[Problem]:
    """Masks under names that no frame has: they would go unread without a word."""
    frames = {Path(name).stem for name in dataset.frame_names().values()}
    folder = dataset.root / "masks"
    of_objects = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    for masks in sorted(of_objects) or [folder]:
        stems = sorted(path.stem for path in list_images(masks))
        if orphans := [stem for stem in stems if not {stem, stem.rpartition("_")[0]} & frames]:
            reason = f"masks {list_some(orphans, 5, ', ')} have the name of no image of rgb/"
            yield warning(masks, reason, "Give a mask the name of its image, digits included.")


CAPTURE = Layout(
    CaptureDataset.layout,
    "a capture folder (rgb/, depth/, masks/, camera.json)",
    matches=lambda root: (root / "rgb").is_dir(),
    open=CaptureDataset,
    only_split=SPLIT,
    checks=_check_names,
)
