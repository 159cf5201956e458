"""Opens any data set that we can read; the layout is seen from the files."""

from pathlib import Path

from selfpose6d.checks import require_existing
from selfpose6d.datasets.bop.scene import scene_folders
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.masks import MaskSource
from selfpose6d.datasets.model_files import Unit, describe_folder, find_model_files, require_models
from selfpose6d.errors import UsageError
from selfpose6d.selection import FrameId, Selection

__all__ = ["Dataset", "FrameId", "Selection", "detect_layout", "open_dataset"]


def open_dataset(
    root: Path | str,
    split: str = "test",
    selection: Selection | None = None,
    models_dir: Path | str | None = None,
    model_unit: Unit | None = None,
    detections: Path | str | None = None,
    require_model_files: bool = True,
) -> Dataset:
    """Open a BOP root, a YCB-Video root in its original layout, or a capture folder.

    Args:
        root: the data set's folder; never written to.
        split: a split of the layout; a capture folder has one, `all`.
        selection: the part to work on (default: everything).
        models_dir: mesh files, instead of the data set's own `models/`.
        model_unit: the unit of the mesh files where the layout does not say it.
        detections: a BOP detections file whose masks are taken instead of the data set's.
        require_model_files: refuse a data set without a single mesh.

    Raises:
        UsageError: no such folder, an unknown layout, no such split, nothing selected, or no models.
        DataError: no frames, no masks, or a file that all frames need is missing or broken.
    """
    root = require_existing(Path(root), "data set", "Correct the path.")
    masks = _detections(detections)
    selection = selection or Selection()
    if models_dir is not None:
        models_dir = require_existing(Path(models_dir), "models folder", "Correct --models.")
    dataset = _open(detect_layout(root), root, split, selection, models_dir, model_unit, masks)
    if require_model_files:
        require_models(dataset.models)
    return _require_selected(dataset)


def detect_layout(root: Path) -> str:
    """`bop`, `ycb-video` or `capture`.

    Raises:
        UsageError: it is none of them; says what was looked for and what is there.
    """
    if (root / "data").is_dir() and (
        (root / "image_sets").is_dir() or any((root / "data").glob("*/*-meta.mat"))
    ):
        return "ycb-video"
    if (root / "rgb").is_dir():
        return "capture"
    if root.is_dir() and any(path.is_dir() and scene_folders(path) for path in root.iterdir()):
        return "bop"
    raise UsageError(
        f"{root} is no data set that can be read: looked for a BOP root (models/, <split>/NNNNNN/), "
        "YCB-Video's layout (data/NNNN/NNNNNN-meta.mat, image_sets/) and a capture folder "
        f"(rgb/, depth/, masks/, camera.json), found {describe_folder(root)}. Pass a folder that holds one."
    )


def _open(
    layout: str,
    root: Path,
    split: str,
    selection: Selection,
    models_dir: Path | None,
    model_unit: Unit | None,
    masks: MaskSource | None,
) -> Dataset:
    if layout == "bop":
        from selfpose6d.datasets.bop.dataset import BopDataset

        models = find_model_files(models_dir or root / "models", model_unit)
        return BopDataset(root, split, selection, models, masks)
    if layout == "ycb-video":
        from selfpose6d.datasets.ycb_video.dataset import YcbVideoDataset
        from selfpose6d.datasets.ycb_video.files import find_ycb_models

        return YcbVideoDataset(root, split, selection, find_ycb_models(root, models_dir, model_unit), masks)
    from selfpose6d.datasets.capture.dataset import CaptureDataset

    models = find_model_files(models_dir or root / "models", model_unit)
    return CaptureDataset(root, split, selection, models, masks)


def _detections(path: Path | str | None) -> MaskSource | None:
    if path is None:
        return None
    from selfpose6d.datasets.detections import DetectionMasks

    return DetectionMasks(require_existing(Path(path), "detections file", "Correct --detections."))


def _require_selected(dataset: Dataset) -> Dataset:
    missing = [i for i in dataset.selection.objects if i not in dataset.models.files]
    if missing and dataset.models.files:
        raise UsageError(
            f"--objects {' '.join(map(str, missing))}: no such model in {dataset.models.folder}, "
            f"which has {' '.join(map(str, dataset.models.object_ids))}. Choose among these."
        )
    if dataset.frame_ids():
        return dataset
    chosen = dataset.selection.describe() or "no selection"
    raise UsageError(
        f"no frames in split {dataset.split} of {dataset.root} with {chosen}: the split has "
        f"{_count(dataset)}. Correct the options."
    )


def _count(dataset: Dataset) -> str:
    frame_ids = list(dataset.all_frame_ids())
    scenes = sorted({frame_id.scene_id for frame_id in frame_ids})
    shown = " ".join(map(str, scenes[:8])) + (" ..." if len(scenes) > 8 else "")
    return f"{len(frame_ids)} frames in scenes {shown or 'none'}"
