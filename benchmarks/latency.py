"""Time of `estimate` per instance at batch 1, by stage, for both network sizes; refinement off.

    python benchmarks/latency.py ../shared/data/ycbv-sample [--split test] [--device cpu] [--json]

The weights are random: time does not depend on them. Medians over the instances of the data set, one instance a
call, after a warm-up; reading images is not part of it.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from provenance import print_provenance, provenance
from selfpose6d.backend import resolve_device
from selfpose6d.datasets.options import DataOptions
from selfpose6d.inference.options import PredictOptions, use_bf16
from selfpose6d.inference.predictor import Predictor
from selfpose6d.network.config import SIZES
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.table import object_table
from selfpose6d.types import Frame

WARM_UP = 5


def single_instance_frames(data: Path, split: str, most: int) -> list[Frame]:
    """Frames with one instance each."""
    dataset = DataOptions(data, split).open()
    frames = (dataset.load_frame(frame_id) for frame_id in dataset.frame_ids())
    single = [replace(frame, instances=(item,)) for frame in frames for item in frame.instances]
    return single[:most]


def measure(predictor: Predictor, frames: list[Frame]) -> dict[str, float]:
    """Median milliseconds of each stage and of all together."""
    for frame in frames[:WARM_UP]:
        predictor.predict(frame)
    rows = []
    for frame in frames:
        predictor.times_s.clear()
        predictor.predict(frame)
        rows.append([*predictor.times_s.values(), sum(predictor.times_s.values())])
    stages = [*predictor.times_s, "all"]
    return dict(zip(stages, (1e3 * np.median(rows, axis=0)).tolist(), strict=True))


def main() -> None:
    """Measure both sizes; print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--most", type=int, default=50, help="most instances to time")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    device = resolve_device(options.device)
    half = use_bf16(device, options.precision)
    frames = single_instance_frames(options.data, options.split, options.most)
    dataset = DataOptions(options.data, options.split).open()
    objects = object_table(dataset.object_ids, map(dataset.load_mesh, dataset.object_ids))
    found = {}
    for size, config in SIZES.items():
        torch.manual_seed(0)
        network = PoseNetwork(config, objects).to(device)
        found[size] = measure(Predictor(network, PredictOptions(bf16=half)), frames)
    if options.json:
        print(json.dumps(provenance() | {"bf16": half, "ms_per_instance": found}))
        return
    print_provenance()
    print(f"bf16: {half}")
    for size, times in found.items():
        print(f"{size:6}", ", ".join(f"{stage} {time_ms:.1f} ms" for stage, time_ms in times.items()))


if __name__ == "__main__":
    main()
