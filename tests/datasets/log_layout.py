"""A layout that the package does not have, in one file: `log/<frame>/` with arrays as a recorder leaves them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.images import read_depth
from selfpose6d.datasets.inputs import FrameInput, InputFile
from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.masks import MaskEntry, MaskSource
from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey


class LabelImages(MaskSource):
    """Instances from `labels.npy`, object ids per pixel."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """One instance an object."""
        labels = np.load(self.root / "log" / str(frame_id.im_id) / "labels.npy")
        return [MaskEntry(int(obj_id), 0) for obj_id in np.unique(labels[labels > 0])]

    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> np.ndarray:
        """Where the label is."""
        return np.load(self.root / "log" / str(frame_id.im_id) / "labels.npy") == entry.obj_id

    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """The label array."""
        return (InputFile(self.root / "log" / str(frame_id.im_id), ("labels.npy",)),)


class LogDataset(Dataset):
    """One scene; `rgb.png`, `depth.png` (millimetres) and `K.npy` a frame."""

    layout = "log"

    def __init__(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> None:
        super().__init__(root, split, selection, models, masks or LabelImages(root))

    def scene_ids(self) -> Sequence[int]:
        """The one scene."""
        return (0,)

    def list_scene(self, scene_id: int) -> Sequence[int]:
        """The folders' names."""
        return sorted(int(path.name) for path in (self.root / "log").iterdir())

    def rgb_path(self, frame_id: FrameId) -> Path:
        """The colour image."""
        return self.root / "log" / str(frame_id.im_id) / "rgb.png"

    def image_inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """The frame's three files."""
        folder = self.rgb_path(frame_id).parent
        return [InputFile(folder, (name,)) for name in ("rgb.png", "depth.png", "K.npy")]

    def read_depth(self, frame_id: FrameId) -> np.ndarray:
        """Millimetres to metres."""
        return read_depth(self.rgb_path(frame_id).with_name("depth.png"), 1e-3)

    def read_intrinsics(self, frame_id: FrameId) -> np.ndarray:
        """The frame's own camera."""
        return np.load(self.rgb_path(frame_id).with_name("K.npy"))


def read_poses(
    root: Path, split: str, selection: Selection, targets: Targets | None
) -> Iterator[Sequence[GroundTruthPose]]:
    """`poses.json`: a 4x4 matrix an object."""
    for path in sorted((root / "log").iterdir(), key=lambda path: int(path.name)):
        poses = json.loads((path / "poses.json").read_text())
        key = InstanceKey(split, 0, int(path.name), 0, 0)
        yield [GroundTruthPose(key._replace(obj_id=int(i)), np.array(T)) for i, T in poses.items()]


LOG = Layout(
    LogDataset.layout,
    "a recorder's log (log/)",
    matches=lambda root: (root / "log").is_dir(),
    open=LogDataset,
    true_poses=read_poses,
)
