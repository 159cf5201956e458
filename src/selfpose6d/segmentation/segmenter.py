"""A trained segmentation network at work: `Segmenter.load(run)(frame)` gives a frame's instances, no mask needed."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool

from selfpose6d.errors import UsageError
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.network.checkpoint import load_segmentation
from selfpose6d.network.segmentation import STRIDE, SegmentationNetwork, lay_out_as_images, padded
from selfpose6d.runs.files import find_checkpoint
from selfpose6d.segmentation.grid import grid_image, network_input, to_image
from selfpose6d.segmentation.instances import Segment, split_instances
from selfpose6d.types import Frame, Instance, InstanceKey

SAME_SIZE = 0.02
"""Of its size, by which an object's mesh may differ from that of the training: another scan of it."""
MASK_PROBABILITY = 0.5
"""Of an object, that a pixel of its mask has."""


def box_diagonal_m(mesh: Mesh) -> float:
    """An object's size as the network knows it: the diagonal of its box."""
    return float(np.linalg.norm(np.ptp(mesh.vertices_m, axis=0)))


@dataclass(frozen=True)
class SegmentedInstance:
    """One object that the network sees in a frame."""

    obj_id: int
    score: float
    """Mean probability of its pixels."""
    mask: Bool[np.ndarray, "height width"]


class Segmenter:
    """Finds the instances of the objects that its network knows. `time_s` and `frames` add up."""

    def __init__(self, network: SegmentationNetwork) -> None:
        self.network = network.eval()
        lay_out_as_images(network)
        self.device = next(network.parameters()).device
        self.time_s, self.frames = 0.0, 0

    @classmethod
    def load(cls, model: Path | str, device: torch.device | str = "cpu") -> "Segmenter":
        """From a training run's folder or a checkpoint file.

        Raises:
            CheckpointError: no checkpoint, a corrupt one, or one of a pose network.
        """
        return cls(load_segmentation(find_checkpoint(Path(model)), device)[0])

    @property
    def obj_ids(self) -> tuple[int, ...]:
        """The objects that it knows."""
        return self.network.obj_ids

    def require_objects(self, meshes: Mapping[int, Mesh]) -> None:
        """Refuse a network that knows none of these objects, or others by their ids.

        Raises:
            UsageError: which.
        """
        known = dict(zip(self.obj_ids, self.network.diameters_m, strict=True))
        common = [obj_id for obj_id in meshes if obj_id in known]
        if not common:
            raise UsageError(
                f"--segmenter: its network knows objects {' '.join(map(str, known))}, looked for are "
                f"{' '.join(map(str, meshes))}. Train it for these: selfpose6d train --task segment."
            )
        for obj_id in common:
            size_m = box_diagonal_m(meshes[obj_id])
            if abs(size_m - known[obj_id]) > SAME_SIZE * known[obj_id]:
                raise UsageError(
                    f"--segmenter: its network learned an object {obj_id} of {1e3 * known[obj_id]:.0f} mm, the mesh "
                    f"has {1e3 * size_m:.0f} mm. Train it for these meshes: selfpose6d train --task segment."
                )

    def __call__(self, frame: Frame, objects: Collection[int] = ()) -> list[SegmentedInstance]:
        """The frame's instances of `objects` (default: all that are known), the most probable first."""
        start_s = time.perf_counter()
        seen = grid_image(frame)
        wanted = set(objects or self.obj_ids)
        segments = [
            one for one in self._segments(seen.rgb, seen.depth_m, seen.focal_px)
            if self.obj_ids[one.label - 1] in wanted
        ]  # fmt: skip
        # a place stands for the pixel that its target was taken at
        shape, step = frame.depth_m.shape, seen.step_px
        spacing_px, first_px = STRIDE * step, STRIDE // 2 * step + step // 2
        found = [
            SegmentedInstance(
                self.obj_ids[one.label - 1],
                one.score,
                to_image(one.own, MASK_PROBABILITY, spacing_px, first_px, shape),
            )
            for one in segments
        ]
        self.time_s += time.perf_counter() - start_s
        self.frames += 1
        return [one for one in found if one.mask.any()]

    def segmented(self, frame: Frame, objects: Collection[int] = ()) -> tuple[Frame, list[float]]:
        """The frame with what the network sees as its instances, numbered in their order, and their scores. Its own
        instances are dropped.
        """
        seen = self(frame, objects)
        instances = tuple(
            Instance(InstanceKey(frame.split, frame.scene_id, frame.im_id, one.obj_id, index), one.mask)
            for index, one in enumerate(seen)
        )
        return replace(frame, instances=instances, skipped=()), [one.score for one in seen]

    @torch.inference_mode()
    def _segments(self, rgb: np.ndarray, depth_m: np.ndarray, focal_px: float) -> list[Segment]:
        colours = torch.from_numpy(rgb).to(self.device).permute(2, 0, 1)[None].float() / 255
        depth = torch.from_numpy(depth_m).to(self.device)[None]
        image = padded(network_input(colours, depth, torch.tensor([focal_px], device=self.device)))
        answer = self.network(image.contiguous(memory_format=torch.channels_last))
        rows, columns = -(-depth_m.shape[0] // STRIDE), -(-depth_m.shape[1] // STRIDE)
        probability = answer.logits[0, :, :rows, :columns].softmax(0)
        votes = answer.votes_px[0, :, :rows, :columns]
        width_m = STRIDE * depth_m[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE] / focal_px
        width_m = np.pad(width_m, ((0, rows - len(width_m)), (0, columns - width_m.shape[1])))
        return split_instances(
            probability.cpu().numpy(), votes.cpu().numpy(), width_m, self.network.diameters_m
        )
