"""Average precision of detections, as COCO and BOP measure it: boxes of whole objects, masks of their visible parts.

Of the images that have a target every annotated instance counts; those less visible than a tenth are neither wanted nor
wrong. Per object, averaged over objects and IoU thresholds 0.5 to 0.95. Source: BOP Challenge 2022, COCO.
"""

import contextlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.evaluation.instances import Truths, image_keys
from selfpose6d.geometry.camera import projected_box
from selfpose6d.selection import FrameId

Kind = Literal["bbox", "segm"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MIN_VISIBLE = 0.1
"""Of its silhouette, of an instance that is wanted (BOP)."""
AT_50, AT_75 = 0, 5
"""Indices of COCO's thresholds 0.5, 0.55, ... 0.95."""
VerticesOf = Mapping[int, Float[np.ndarray, "vertices 3"]]
"""Of a mesh in metres, by object id."""


@dataclass(frozen=True)
class AveragePrecision:
    """0-100: the mean over the thresholds, at an IoU of 0.5 and of 0.75, and the mean of the recalls."""

    ap: float
    ap50: float
    ap75: float
    ar: float


DetectionScores = Mapping[Kind, AveragePrecision]


def detection_scores(
    detections: Path, dataset: Dataset, truths: Truths, vertices_m: VerticesOf
) -> DetectionScores:
    """Score a detections file; the true masks are those of `dataset`.

    Raises:
        DataError: the file, an image or a camera is missing or broken.
    """
    wanted = sorted({key for key, counts in zip(image_keys(truths), truths.counts, strict=True) if counts})
    frame_ids = [FrameId(*key) for key in wanted]
    image_ids = {frame_id: index for index, frame_id in enumerate(frame_ids, start=1)}
    shapes = {frame_id: dataset.read_rgb(frame_id).shape[:2] for frame_id in frame_ids}
    annotations = list(_annotations(dataset, truths, vertices_m, shapes))
    found = list(_detections(DetectionMasks(detections), shapes))
    for row in (*annotations, *found):
        row["image_id"] = image_ids[row["image_id"]]
    images = [
        {"id": image_id, "height": shapes[frame_id][0], "width": shapes[frame_id][1]}
        for frame_id, image_id in image_ids.items()
    ]
    return {kind: _evaluate(kind, annotations, found, images) for kind in KINDS}


def _annotations(
    dataset: Dataset, truths: Truths, vertices_m: VerticesOf, shapes: Mapping[FrameId, tuple[int, int]]
) -> Iterable[dict[str, Any]]:
    rows = {
        (FrameId(scene, image), int(obj), int(inst)): index
        for index, (scene, image, obj, inst) in enumerate(
            zip(truths.scene_id, truths.im_id, truths.obj_id, truths.inst_id, strict=True)
        )
    }
    for frame_id, shape in shapes.items():
        K = dataset.read_intrinsics(frame_id)
        for instance in dataset.read_instances(frame_id, shape)[0]:
            row = rows.get((frame_id, instance.key.obj_id, instance.key.inst_id))
            if row is None:
                continue
            visible = truths.visible_fraction[row]
            yield {
                "image_id": frame_id,
                "category_id": instance.key.obj_id,
                "bbox": list(projected_box(vertices_m[instance.key.obj_id], truths.T_cam_obj[row], K)),
                "segmentation": encode_mask(instance.mask),
                "area": int(instance.mask.sum()),
                "iscrowd": 0,
                "unwanted": bool(visible < MIN_VISIBLE),
            }


def _detections(masks: DetectionMasks, shapes: Mapping[FrameId, tuple[int, int]]) -> Iterable[dict[str, Any]]:
    for frame_id, shape in shapes.items():
        for entry in masks.entries(frame_id):
            row = masks.read(frame_id, entry.inst_id)
            mask = masks.load(frame_id, entry, shape)
            encoded = encode_mask(mask)
            yield {
                "image_id": frame_id,
                "category_id": entry.obj_id,
                "score": float(row.get("score", 1.0)),
                "bbox": [float(number) for number in row.get("bbox") or _box_of(encoded)],
                "segmentation": encoded,
            }


def _box_of(encoded: Any) -> list[float]:
    from pycocotools import mask as coco

    return [float(number) for number in coco.toBbox(encoded)]


def _evaluate(
    kind: Kind, annotations: list[dict[str, Any]], found: list[dict[str, Any]], images: list[dict[str, int]]
) -> AveragePrecision:
    import pycocotools.coco as coco  # its types say little of what it takes
    import pycocotools.cocoeval as cocoeval

    base: Any = cocoeval.COCOeval

    class BopEval(base):
        """COCO's, but for instances that are neither wanted nor wrong: COCO takes crowds only for these."""

        def _prepare(self) -> None:
            super()._prepare()
            for group in self._gts.values():
                for row in group:
                    row["ignore"] = row["_ignore"] = int(row["unwanted"])

    categories = sorted({row["category_id"] for row in annotations})
    known: Any = coco.COCO()
    known.dataset = {
        "images": images,
        "categories": [{"id": obj_id} for obj_id in categories],
        "annotations": [dict(row, id=index) for index, row in enumerate(annotations, start=1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        among = [row for row in found if row["category_id"] in categories]
        if not among:
            return AveragePrecision(0.0, 0.0, 0.0, 0.0)
        guesses = known.loadRes([dict(row) for row in among])
        evaluation = BopEval(known, guesses, kind)
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"][..., 0, -1], evaluation.eval["recall"][..., 0, -1]
    means = (_mean(precision), _mean(precision[AT_50]), _mean(precision[AT_75]), _mean(recall))
    return AveragePrecision(*means)


def _mean(values: np.ndarray) -> float:
    """In per cent, of what was measured: COCO writes -1 for objects without a wanted instance."""
    measured = values[values > -1]
    return 100 * float(measured.mean()) if measured.size else float("nan")
