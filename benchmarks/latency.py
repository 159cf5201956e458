"""Time of `estimate` per instance, by stage, for both architectures and sizes, alone and with the refinement network.

    python benchmarks/latency.py ../shared/data/ycbv-sample [--model RUN] [--batch 1] [--device cpu] [--json]

Without --model the weights are random. The time of a comparison network depends on them: it stops where corrections do
not matter any more, which random ones never do. Medians over the instances of the data set, one instance (or
--batch of them) a call, after a warm-up; reading images is not part of it.
"""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from provenance import print_provenance, provenance
from selfpose6d.backend import resolve_device
from selfpose6d.datasets.options import DataOptions
from selfpose6d.inference.options import PredictOptions, use_bf16
from selfpose6d.inference.predictor import Predictor
from selfpose6d.network.config import SIZES, Architecture, network_config
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.types import Frame

WARM_UP = 5
NOISE = 0.002
"""Of weights, besides their start."""


def frames_of(data: Path, split: str, batch: int, most: int) -> list[Frame]:
    """Frames with so many instances each; those that a frame lacks are its others once more."""
    dataset = DataOptions(data, split).open()
    found = []
    for frame in (dataset.load_frame(frame_id) for frame_id in dataset.frame_ids()):
        count, step = len(frame.instances), min(batch, len(frame.instances))
        for first in range(0, count, step):
            chosen = [frame.instances[(first + k) % count] for k in range(batch)]
            keyed = [replace(one, key=one.key._replace(inst_id=k)) for k, one in enumerate(chosen)]
            found.append(replace(frame, instances=tuple(keyed)))
    return found[:most]


def measure(predictor: Predictor, frames: list[Frame]) -> dict[str, float]:
    """Median milliseconds an instance of each stage and of all together."""
    for frame in frames[:WARM_UP]:
        predictor.predict(frame)
    rows = []
    for frame in frames:
        predictor.times_s.clear()
        predictor.predict(frame)
        rows.append(
            np.array([*predictor.times_s.values(), sum(predictor.times_s.values())]) / len(frame.instances)
        )
    stages = [*predictor.times_s, "all"]
    return dict(zip(stages, (1e3 * np.median(rows, axis=0)).tolist(), strict=True))


def main() -> None:
    """Measure every network; print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--most", type=int, default=50, help="most instances to time")
    parser.add_argument("--batch", type=int, default=1, help="instances a call")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", type=Path, help="a training run or checkpoint of the data set's objects")
    options = parser.parse_args()
    device = resolve_device(options.device)
    half = use_bf16(device, options.precision)
    frames = frames_of(options.data, options.split, options.batch, options.most)
    dataset = DataOptions(options.data, options.split).open()
    meshes = [*map(dataset.load_mesh, dataset.object_ids)]
    objects, shapes = object_table(dataset.object_ids, meshes), build_object_shapes(meshes).to(device)
    found = {}
    if options.model is not None:
        for refine in ("none", "network"):
            chosen = PredictOptions(refine, bf16=half)
            predictor = Predictor.load(options.model, dataset.models, chosen, device=device)
            found[f"{options.model.name}, refine {refine}"] = measure(predictor, frames)
        print_times(found, half, options.json)
        return
    for architecture, size, refine in product(get_args(Architecture), SIZES, ("none", "network")):
        torch.manual_seed(0)
        network = PoseNetwork(network_config(architecture, size), objects, shapes.surfaces).to(device)
        with torch.no_grad():  # corrections of a new network are nil, and none would be looked at
            for parameter in network.parameters():
                parameter.add_(NOISE * torch.randn_like(parameter))
        predictor = Predictor(network, PredictOptions(refine, bf16=half), shapes)
        found[f"{architecture} {size}, refine {refine}"] = measure(predictor, frames)
    print_times(found, half, options.json)


def print_times(found: dict[str, dict[str, float]], half: bool, as_json: bool) -> None:
    """As a table, or as JSON."""
    if as_json:
        print(json.dumps(provenance() | {"bf16": half, "ms_per_instance": found}))
        return
    print_provenance()
    print(f"bf16: {half}")
    for name, times in found.items():
        print(f"{name:36}", ", ".join(f"{stage} {time_ms:.1f} ms" for stage, time_ms in times.items()))


if __name__ == "__main__":
    main()
