"""Finds objects in a data set's frames one by one, and makes the journal's records of them."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from selfpose6d.datasets.bop.targets import TargetCounts
from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError
from selfpose6d.finding.finder import Counts, Finder
from selfpose6d.finding.found import Attempt, Finding
from selfpose6d.finding.promptable import PromptableModel
from selfpose6d.finding.prompts import Prompt, Prompts
from selfpose6d.runs.journal import JournalRecord, finished_record, unreadable_record
from selfpose6d.segmentation.segmenter import Segmenter
from selfpose6d.selection import FrameId


@dataclass(frozen=True)
class FrameFinder:
    """What makes the journal's record of a frame."""

    dataset: Dataset
    """Opened without masks."""
    finder: Finder
    counts: "FrameCounts"
    """What may be there."""
    prompts: Prompts | None = None
    """Where a user says that objects are."""
    segmenter: Segmenter | None = None
    """A network that sees objects in the image: one more source of pieces."""
    promptable: PromptableModel | None = None
    """A model that says what lies under a point: another one."""

    def __call__(self, frame_id: FrameId) -> JournalRecord:
        """The frame's record. A frame of which it is known that none of the objects is there is not read."""
        counts = self.counts.of(frame_id)
        if not counts:
            return JournalRecord(frame_id)
        try:
            frame = self.dataset.load_frame(frame_id)
            prompts = [] if self.prompts is None else self.prompts.of(frame_id, frame.depth_m.shape)
        except DataError as error:
            return unreadable_record(frame_id, (), str(error))
        start_s = time.perf_counter()
        if self.segmenter is not None:
            seen = self.segmenter(frame, counts)
            prompts += [Prompt(one.mask, "mask", "segmented", one.obj_id) for one in seen]
        if self.promptable is not None:
            prompts += self.promptable(frame)
        finding = self.finder(frame, counts, prompts)
        record = record_of(frame_id, self.finder, finding, time.perf_counter() - start_s)
        return replace(record, turned_away=(*record.turned_away, *_untried_rows(frame_id, finding, counts)))


@dataclass(frozen=True)
class FrameCounts:
    """What may be in each frame: `objects`, in any number, once each, or as often as `targets` says of the frame."""

    objects: tuple[int, ...]
    known: bool = False
    targets: TargetCounts | None = None

    def of(self, frame_id: FrameId) -> Counts:
        """Of one frame."""
        if not self.known:
            return dict.fromkeys(self.objects, None)
        if self.targets is None:
            return dict.fromkeys(self.objects, 1)
        return {
            obj_id: count
            for obj_id in self.objects
            if (count := self._by_frame.get(frame_id, {}).get(obj_id))
        }

    @cached_property
    def _by_frame(self) -> dict[FrameId, dict[int, int]]:
        by_frame: dict[FrameId, dict[int, int]] = defaultdict(dict)
        for (scene_id, im_id, obj_id), count in (self.targets or {}).items():
            by_frame[FrameId(scene_id, im_id)][obj_id] = count
        return by_frame


def record_of(frame_id: FrameId, finder: Finder, finding: Finding, time_s: float) -> JournalRecord:
    """Poses and masks of what was found, and what was turned away."""
    record = finished_record(frame_id, [one.pose for one in finding.found], (), time_s)
    return JournalRecord(
        frame_id,
        record.labels,
        time_s=time_s,
        detections=tuple(
            {"bbox": list(finder.box_of(one.pose, finding.scene)), "segmentation": encode_mask(one.visible)}
            for one in finding.found
        ),
        turned_away=tuple(_turned_away_row(one, finding) for one in finding.turned_away),
    )


def _untried_rows(frame_id: FrameId, finding: Finding, counts: Counts) -> Iterator[dict[str, Any]]:
    """Of objects that are there, as somebody says, but were found nowhere to be tried: why."""
    surface = finding.scene.surface
    blind = not surface.known.any()
    tried = {one.obj_id for one in (*finding.found, *finding.turned_away)}
    height, width = surface.image_shape
    for obj_id, count in counts.items():
        if obj_id not in tried and (blind or count is not None):
            yield {
                "scene_id": frame_id.scene_id,
                "im_id": frame_id.im_id,
                "obj_id": obj_id,
                "status": "rejected",
                "confidence": 0.0,
                "reason": "the frame has no depth"
                if blind
                else "no piece of the surface has its size and fits",
                "piece": "none",
                "bbox": [0, 0, width, height],
            }


def _turned_away_row(one: Attempt, finding: Finding) -> dict[str, Any]:
    key, certificate = one.pose.key, one.pose.certificate
    x, y, width, height = cv2.boundingRect(finding.scene.surface.to_image(one.proposal.mask).astype(np.uint8))
    return {
        "scene_id": key.scene_id,
        "im_id": key.im_id,
        "obj_id": key.obj_id,
        "status": certificate.status,
        "confidence": float(one.pose.confidence),
        "reason": one.turned_away,
        "piece": one.proposal.source,
        "bbox": [x, y, width, height],
    }
