"""Time of calls from Python: `annotate(frame, meshes)` the first time and again, and a `Predictor`.

    python benchmarks/python_calls.py ../shared/data/ycbv-sample [--split test] [--profile] [--json]

Every frame of the data set is annotated in turn, first by meshes that the process has not seen, then by the same
meshes. Wall time, and processor time, which hardly depends on how busy the machine is. The predictor's weights are
random: time does not depend on them. Reading images is not part of it.
"""

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np

from provenance import print_provenance, provenance
from selfpose6d import Frame, Mesh, Predictor, annotate
from selfpose6d.datasets.options import DataOptions
from selfpose6d.network.config import Architecture, network_config
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table


def time_s(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall_s, processor_s = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall_s, time.process_time() - processor_s


def annotate_times(frames: list[Frame], meshes: dict[int, Mesh]) -> dict[str, list[float]]:
    """Wall and processor seconds of the first call, and medians and maxima of the later ones: calls and instances."""
    first_s = time_s(lambda: annotate(frames[0], meshes))
    for frame in frames:  # every object once
        annotate(frame, meshes)
    again_s = np.array([time_s(lambda frame=frame: annotate(frame, meshes)) for frame in frames])
    counts = np.array([[len(frame.instances)] for frame in frames])
    return {
        "annotate, first call": list(first_s),
        "annotate, later call (median)": np.median(again_s, axis=0).tolist(),
        "annotate, later call, an instance (median)": np.median(again_s / counts, axis=0).tolist(),
        "annotate, later call, an instance (max)": (again_s / counts).max(axis=0).tolist(),
    }


def predictor_times(frames: list[Frame], meshes: dict[int, Mesh]) -> dict[str, list[float]]:
    """Wall and processor seconds of a call with all instances of a frame."""
    objects = object_table(tuple(meshes), list(meshes.values()))
    shapes = build_object_shapes(list(meshes.values()))
    found = {}
    for architecture in get_args(Architecture):
        network = PoseNetwork(network_config(architecture, "small"), objects, shapes.surfaces)
        predictor = Predictor(network, shapes=shapes)
        found[f"Predictor, {architecture} small, call (median)"] = call_times(predictor, frames)
    return found


def call_times(predictor: Predictor, frames: list[Frame]) -> list[float]:
    """Medians of a predictor's calls, after a warm-up."""

    def call(frame: Frame) -> object:
        masks, obj_ids = zip(*((i.mask, i.key.obj_id) for i in frame.instances), strict=True)
        return predictor(frame.rgb, frame.depth_m, frame.K, masks, obj_ids)

    for frame in frames[:5]:
        call(frame)
    rows = [time_s(lambda frame=frame: call(frame)) for frame in frames]
    return np.median(rows, axis=0).tolist()


def main() -> None:
    """Measure; print lines or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--profile", action="store_true", help="print where a later call spends its time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    dataset = DataOptions(options.data, options.split).open()
    frames = [dataset.load_frame(frame_id) for frame_id in dataset.frame_ids()]
    obj_ids = sorted({instance.key.obj_id for frame in frames for instance in frame.instances})
    meshes = {obj_id: dataset.load_mesh(obj_id) for obj_id in obj_ids}
    found = annotate_times(frames, meshes) | predictor_times(frames, meshes)
    if options.json:
        print(json.dumps(provenance() | {"seconds_wall_and_processor": found}))
        return
    print_provenance()
    for name, (wall_s, processor_s) in found.items():
        print(f"{name:44} {wall_s:.3f} s, {processor_s:.3f} s of processors")
    if options.profile:
        with cProfile.Profile() as profile:
            for frame in frames:
                annotate(frame, meshes)
        pstats.Stats(profile).sort_stats("tottime").print_stats(12)


if __name__ == "__main__":
    main()
