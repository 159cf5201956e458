"""Poses of frames without masks: a segmentation network says where the objects are, the predictor how they lie."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

import cv2
import numpy as np

from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError, UsageError
from selfpose6d.inference.predictor import Predictor
from selfpose6d.runs.journal import JournalRecord, finished_record, unreadable_record
from selfpose6d.segmentation.segmenter import Segmenter
from selfpose6d.selection import FrameId
from selfpose6d.types import LabeledPose, PoseEstimate


@dataclass
class SegmentedFrames:
    """Makes the journal's record of a frame: poses and masks of what both networks know."""

    dataset: Dataset
    """Opened without masks."""
    segmenter: Segmenter
    predictor: Predictor
    objects: Collection[int] = ()
    """Which objects to look for; default: all that the predictor knows."""

    def __post_init__(self) -> None:
        known = self.predictor.network.objects.obj_ids
        wanted = self.objects or known
        self.objects = [obj_id for obj_id in wanted if obj_id in self.segmenter.obj_ids]
        missing = [obj_id for obj_id in wanted if obj_id not in self.segmenter.obj_ids]
        if missing:
            raise UsageError(
                f"--segmenter: its network knows objects {' '.join(map(str, self.segmenter.obj_ids))}, not "
                f"{' '.join(map(str, missing))}. Choose among these with --objects, or train it for all: selfpose6d "
                "train --task segment."
            )

    def __call__(self, frame_id: FrameId) -> JournalRecord:
        """The frame's record. A pose's confidence is that of the pose times that of the object being there."""
        try:
            frame = self.dataset.load_frame(frame_id)
        except DataError as error:
            return unreadable_record(frame_id, (), str(error))
        start_s = time.perf_counter()
        frame, scores = self.segmenter.segmented(frame, self.objects)
        poses = [_if_there(pose, scores[pose.key.inst_id]) for pose in self.predictor.predict(frame)]
        time_s = time.perf_counter() - start_s
        masks = {instance.key: instance.mask for instance in frame.instances}
        seen = tuple(
            {
                "bbox": list(cv2.boundingRect(masks[pose.key].astype(np.uint8))),
                "segmentation": encode_mask(masks[pose.key]),
            }
            for pose in poses
            if pose.valid
        )
        return replace(finished_record(frame_id, poses, frame.skipped, time_s), detections=seen)


def _if_there(pose: PoseEstimate, probability: float) -> PoseEstimate:
    """A pose that is as probable as before where the object is there, which has this probability."""
    confidence = pose.confidence * probability
    if not isinstance(pose, LabeledPose):
        return replace(pose, confidence=confidence)
    certificate = replace(pose.certificate, confidence=confidence)
    return replace(pose, confidence=confidence, certificate=certificate)
