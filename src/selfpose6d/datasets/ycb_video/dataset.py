"""YCB-Video in its original layout: `data/0001/000001-{color,depth,label}.png`, `-meta.mat`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.images import DEPTH_SUFFIXES, data_error, read_depth
from selfpose6d.datasets.inputs import FrameInput, InputFile, image_input, image_path
from selfpose6d.datasets.masks import LabelImageMasks, MaskSource
from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.datasets.ycb_video.files import YcbVideoFrames
from selfpose6d.selection import FrameId, Selection


class YcbVideoDataset(Dataset):
    """A split of YCB-Video: frames of `image_sets/`, or `data_syn`, or `all` that is there."""

    layout = "ycb-video"

    def __init__(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> None:
        """`masks` None takes the label images.

        Raises:
            UsageError: no such split, or none of its frames is there.
        """
        self.frames = YcbVideoFrames(root, split)
        masks = LabelImageMasks(self.frames.label_image, self.frames.object_ids) if masks is None else masks
        super().__init__(root, split, selection, models, masks)

    def scene_ids(self) -> Sequence[int]:
        """The split's scene folders."""
        return tuple(self.frames.by_scene)

    def list_scene(self, scene_id: int) -> Sequence[int]:
        """The split's frames in one scene."""
        return self.frames.by_scene[scene_id]

    def rgb_path(self, frame_id: FrameId) -> Path:
        """`NNNNNN-color.png` (or `.jpg`)."""
        return image_path(image_input(*self.frames.file(frame_id, "-color")))

    def image_inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """The two images and `-meta.mat`."""
        meta = self.frames.meta_path(frame_id)
        rgb = image_input(*self.frames.file(frame_id, "-color"))
        return rgb, self._depth_image(frame_id), InputFile(meta.parent, (meta.name,))

    def read_depth(self, frame_id: FrameId) -> Float[np.ndarray, "height width"]:
        """The depth image in metres, by the frame's `factor_depth`."""
        return read_depth(*self.depth_source(frame_id))

    def depth_source(self, frame_id: FrameId) -> tuple[Path, float]:
        """`NNNNNN-depth.png` and the frame's `factor_depth`."""
        factor = float(self.frames.meta(frame_id)["factor_depth"].reshape(-1)[0])
        if not factor > 0:
            reason = f"factor_depth must be positive, got {factor}"
            raise data_error(self.frames.meta_path(frame_id), reason, "Restore it from the data set.")
        return image_path(self._depth_image(frame_id)), 1.0 / factor

    def read_intrinsics(self, frame_id: FrameId) -> Float[np.ndarray, "3 3"]:
        """The frame's `intrinsic_matrix`; scenes from 60 on have another camera."""
        return self.frames.meta(frame_id)["intrinsic_matrix"].reshape(3, 3).astype(np.float64)

    def _depth_image(self, frame_id: FrameId) -> InputFile:
        return image_input(*self.frames.file(frame_id, "-depth"), suffixes=DEPTH_SUFFIXES)
