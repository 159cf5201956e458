"""Time of one instance by ONNX Runtime beside torch, from image to pose, on one core; and how far the poses are apart.

    python benchmarks/onnx_latency.py ../shared/data/ycbv-sample [--model RUN] [--size small] [--most 30] [--json]

Both run in turns on the same instances. Times are processor time of the one thread, which a busy machine changes
little: medians and fastest tenths. torch is `Predictor`, ONNX Runtime the code of `examples/onnx_inference.py`. Without
--model the weights are random, as time does not depend on them, and the poses say nothing.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from provenance import print_provenance, provenance
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.options import DataOptions
from selfpose6d.inference.onnx_export import export_network
from selfpose6d.inference.options import PredictOptions
from selfpose6d.inference.predictor import Predictor
from selfpose6d.network.checkpoint import load_network, save_network
from selfpose6d.network.config import Architecture, Size, network_config
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.runs.files import find_checkpoint
from selfpose6d.types import Frame, Instance

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import onnx_inference  # pyright: ignore[reportMissingImports]

WARM_UP = 3
NOISE = 0.002
"""Added to new weights: corrections are nil at the start, and a network that corrects nothing has no refiner."""


def random_checkpoint(folder: Path, architecture: Architecture, size: Size, dataset: Dataset) -> Path:
    """A network of the objects in the frames that has learnt nothing."""
    torch.manual_seed(0)
    seen = sorted({one.key.obj_id for _, one in _instances(dataset, set(dataset.object_ids))})
    meshes = [*map(dataset.load_mesh, seen)]
    objects, surfaces = object_table(seen, meshes), build_object_shapes(meshes).surfaces
    network = PoseNetwork(network_config(architecture, size), objects, surfaces)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(NOISE * torch.randn(parameter.shape))
    save_network(folder / "network.safetensors", network, {})
    return folder / "network.safetensors"


def measure(checkpoint: Path, folder: Path, dataset: Dataset, most: int) -> dict[str, Any]:
    """Milliseconds of both, alone and from image to pose, and the poses' differences."""
    exported = export_network(checkpoint, folder / "network.onnx", dataset.models)
    alone = {graph.path.stem: (graph.torch_ms, graph.onnx_ms) for graph in exported.graphs}
    refine = "network" if exported.metadata["refine_steps"] else "none"
    predictor = Predictor.load(checkpoint, dataset.models, PredictOptions(refine))
    network = onnx_inference.load_network(folder / "network.onnx")
    known, times, off = set(predictor.network.objects.obj_ids), [], []
    for frame, instance in _instances(dataset, known)[: most + WARM_UP]:
        given = frame.rgb, frame.depth_m, frame.K
        obj_id = instance.key.obj_id
        torch_s, (estimate,) = _timed(lambda: predictor(*given, [instance.mask], [obj_id]))  # noqa: B023
        onnx_s, pose = _timed(lambda: onnx_inference.estimate_pose(network, *given, instance.mask, obj_id))  # noqa: B023
        times.append((1e3 * torch_s, 1e3 * onnx_s))
        off.append(_difference(estimate.T_cam_obj, pose.T_cam_obj))
    kept = np.array(times[WARM_UP:])
    return {
        "alone_ms": alone,
        "median_ms": np.median(kept, 0).tolist(),
        "fastest_tenth_ms": np.quantile(kept, 0.1, 0).tolist(),
        "median_off_rad_mm": np.median(off, 0).tolist(),
        "worst_off_rad_mm": np.max(off, 0).tolist(),
        "instances": len(kept),
    }


def _instances(dataset: Dataset, known: set[int]) -> list[tuple[Frame, Instance]]:
    frames = map(dataset.load_frame, dataset.frame_ids())
    return [(frame, one) for frame in frames for one in frame.instances if one.key.obj_id in known]


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start_s = time.thread_time()
    result = call()
    return time.thread_time() - start_s, result


def _difference(T_one: np.ndarray, T_other: np.ndarray) -> tuple[float, float]:
    """Radians (small ones) and millimetres."""
    R = T_one[:3, :3].T @ T_other[:3, :3]
    return float(np.linalg.norm(R - np.eye(3)) / 2**0.5), 1e3 * float(
        np.linalg.norm((T_one - T_other)[:3, 3])
    )


def main() -> None:
    """Measure both architectures, or one trained network; print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, help="a training run or checkpoint")
    parser.add_argument("--size", choices=get_args(Size), default="small")
    parser.add_argument("--most", type=int, default=30, help="most instances to time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = DataOptions(options.data).open()
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.model is not None:
            checkpoint = find_checkpoint(options.model)
            architecture = load_network(checkpoint)[0].config.architecture
            found[architecture] = measure(checkpoint, folder, dataset, options.most)
        else:
            for architecture in get_args(Architecture):
                checkpoint = random_checkpoint(folder, architecture, options.size, dataset)
                found[f"{architecture} {options.size}"] = measure(checkpoint, folder, dataset, options.most)
    if options.json:
        print(json.dumps(provenance() | found))
        return
    print_provenance()
    for network, rows in found.items():
        print(network)
        for row, value in rows.items():
            print(f"  {row:20} {json.dumps(value)}")
    print("pairs of times: torch, ONNX Runtime")


if __name__ == "__main__":
    main()
