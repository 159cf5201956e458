"""What a segmentation network sees: average precision of its masks as COCO and BOP have it, and milliseconds a frame.

    python benchmarks/segmentation.py MODEL DATASET [--objects 2 5 14 15 19]

Times are of whole calls (grid, network, instances, masks) after a first one, on the cores that are there.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.options import DataOptions
from selfpose6d.evaluation.detection_ap import detection_scores
from selfpose6d.evaluation.inputs import ReferenceOptions, load_reference
from selfpose6d.segmentation.segmenter import Segmenter
from selfpose6d.selection import Selection


def main() -> None:
    """Print the scores of masks and the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--objects", type=int, nargs="*", default=[])
    options = parser.parse_args()
    segmenter = Segmenter.load(options.model)
    objects = tuple(options.objects or segmenter.obj_ids)
    data = DataOptions(options.dataset, "test", Selection(objects=objects))
    dataset, reference = data.open(), load_reference(ReferenceOptions(data))
    rows, times_s = [], []
    for frame_id in dataset.frame_ids():
        frame = dataset.load_frame(frame_id)
        if not times_s:
            segmenter(frame, objects)
        start_s = time.perf_counter()
        seen = segmenter(frame, objects)
        times_s.append(time.perf_counter() - start_s)
        rows += [
            {
                "scene_id": frame_id.scene_id,
                "image_id": frame_id.im_id,
                "category_id": one.obj_id,
                "score": one.score,
                "bbox": [0, 0, 1, 1],
                "segmentation": encode_mask(one.mask),
                "time": times_s[-1],
            }
            for one in seen
        ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "detections.json"
        file.write_text(json.dumps(rows))
        vertices_m = {obj_id: dataset.load_mesh(obj_id).vertices_m for obj_id in reference.points}
        masks = detection_scores(file, dataset, reference.truths, vertices_m)["segm"]
    print(
        f"{len(times_s)} frames, {len(rows)} instances seen: AP {masks.ap:.1f}, AP50 {masks.ap50:.1f}, AP75 "
        f"{masks.ap75:.1f}, AR {masks.ar:.1f}; {1e3 * np.median(times_s):.0f} ms a frame (median) with "
        f"{torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
