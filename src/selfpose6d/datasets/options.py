"""Which data set a command works on, and which part of it: the same options everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import OmitArgPrefixes, Positional

from selfpose6d.errors import UsageError
from selfpose6d.meshes.units import Unit
from selfpose6d.options import Unset
from selfpose6d.runs.config import DataConfig, RunConfig
from selfpose6d.selection import Selection

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset


@dataclass(frozen=True)
class DataOptions:
    """A data set of any layout, seen from its files; never written to."""

    dataset: Positional[Path]
    """BOP root, YCB-Video root or capture folder."""
    split: Unset[str] = None
    """Split to work on (default: test, or the only one there is; train takes train)."""
    selection: OmitArgPrefixes[Selection] = field(default_factory=Selection)
    models: Unset[Path] = None
    """Folder of mesh files, instead of the data set's own models/."""
    model_unit: Unset[Unit] = None
    """Unit of the mesh files, where the layout does not say it."""
    detections: Unset[Path] = None
    """Masks that are taken instead of the data set's: BOP's or COCO's result rows, or a COCO file of annotations, whose
    images go by file name and categories by the models' names; a row with a box only is a region."""

    def open(
        self, default_split: str = "test", require_model_files: bool = True, without_masks: bool = False
    ) -> "Dataset":
        """Open it.

        Args:
            default_split: taken where neither the options nor the layout say one; instead of `test` the only one that
                there is, but nothing instead of `train`: nobody trains on test data by accident.
            require_model_files: refuse a data set without a single mesh.
            without_masks: its frames have no instances, and no mask of it is read.

        Raises:
            UsageError: no such folder, an unknown layout, no such split, nothing selected, or no models.
            NoMasksError: no masks, where they are not to be left out.
            DataError: no frames, or a file that all frames need is missing or broken.
        """
        from selfpose6d.checks import require_existing
        from selfpose6d.datasets.detection_ids import DetectionIds
        from selfpose6d.datasets.detections import DetectionMasks
        from selfpose6d.datasets.layouts import detect_layout
        from selfpose6d.datasets.masks import NoMasks
        from selfpose6d.datasets.model_files import require_models

        root = require_existing(self.dataset, "data set", "Correct the path.")
        masks = NoMasks() if without_masks or self.detections is not None else None
        if self.detections is not None:
            require_existing(self.detections, "detections file", "Correct --detections.")
        if self.models is not None:
            require_existing(self.models, "models folder", "Correct --models.")
        layout = detect_layout(root)
        if self.selection.sensor is not None and not layout.has_sensors:
            raise UsageError(
                f"--sensor {self.selection.sensor}: layout {layout.name} has one sensor only. Leave --sensor out."
            )
        split = self.split or layout.only_split or _present_split(layout.splits(root), default_split)
        models = layout.models(root, self.models, self.model_unit)
        dataset = layout.open(root, split, self.selection, models, masks)
        if require_model_files:
            require_models(dataset.models)
        if self.detections is not None and not without_masks:
            dataset.masks = DetectionMasks(self.detections, DetectionIds(dataset))
        return _require_selected(dataset)

    def config(self, dataset: "Dataset") -> DataConfig:
        """What a run's `config.yaml` says of it."""
        models, detections = (path and path.resolve() for path in (self.models, self.detections))
        options = self.selection, models, self.model_unit, detections
        return DataConfig(dataset.split, dataset.fingerprint(), *options, meshes=dataset.models.content)

    @classmethod
    def of_run(cls, config: RunConfig) -> "DataOptions":
        """What a run was made on; it may be gone by now."""
        data = config.data
        return cls(
            config.context.dataset, data.split, data.selection, data.models, data.model_unit, data.detections
        )


def _present_split(splits: Sequence[str], default: str) -> str:
    return splits[0] if default == "test" and len(splits) == 1 else default


def _require_selected(dataset: "Dataset") -> "Dataset":
    from selfpose6d.datasets.model_files import list_some

    missing = [i for i in dataset.selection.objects if i not in dataset.models.files]
    if missing and dataset.models.files:
        raise UsageError(
            f"--objects {' '.join(map(str, missing))}: no such model in {dataset.models.folder}, "
            f"which has {' '.join(map(str, dataset.models.object_ids))}. Choose among these."
        )
    if dataset.frame_ids():
        return dataset
    frame_ids = list(dataset.all_frame_ids())
    scenes = sorted({frame_id.scene_id for frame_id in frame_ids})
    raise UsageError(
        f"no frames in split {dataset.split} of {dataset.root} with {dataset.selection.describe() or 'no selection'}: "
        f"the split has {len(frame_ids)} frames in scenes {list_some(scenes)}. Correct the options."
    )
