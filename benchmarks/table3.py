"""The paper's Table III: a training step with the resolver against one with the renderer, time and memory.

    python benchmarks/table3.py [--batch 8] [--size small] [--json]

One built-in object, crops in memory, the same batch for both: the estimator's step by the Iterative Annotation Resolver
(decode, augment, forward, 20 iterations, backward, Adam) and the refiner's by the joint loss (decode, estimator and
refiner forward, render, compare, backward, Adam). Also the target alone, forward and backward: resolving a batch's
poses (32 an instance: 256) against rendering and comparing the refiner's (2 an instance: 16). Each in a process of its
own; memory is the peak resident set, whole and above that right after import. The paper (PyTorch3D, RTX 2080 Ti): 0.049
and 0.300 ms, 2,061 and 6,385 MB, ratios 6.1 and 3.1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from annotate import peak_mb, resident_mb
from provenance import print_provenance, provenance
from selfpose6d.crops.store import CacheOptions, open_crop_store
from selfpose6d.datasets.options import DataOptions
from selfpose6d.network.config import SIZES, Size
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.rendered import build_rendered_objects
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.training.loader import ProcessPart, Samples, step_generator
from selfpose6d.training.recipe import ESTIMATOR, JOINT_LOSS, find_recipe
from selfpose6d.training.render_loss import rendered_joint_loss
from selfpose6d.training.step import StepContext, step_loss
from selfpose6d.training.targets import IterativeAnnotationResolver

KINDS = ("resolver", "renderer")
PAPER = {"time_ms": (0.049, 0.300), "memory_mb": (2061, 6385)}
WARM_UP, MEASURED = 5, 30


@dataclass(frozen=True)
class Setting:
    """A network, what a step needs, and one batch's records."""

    network: PoseNetwork
    context: StepContext
    records: np.ndarray

    def step(self, kind: str, optimiser: torch.optim.Optimizer, step: int) -> None:
        """A whole training step."""
        stage = ESTIMATOR if kind == "resolver" else JOINT_LOSS
        samples = Samples(np.arange(len(self.records)), self.records)
        generator = step_generator(0, step, ProcessPart(), "cpu")
        step_loss(self.network, self.context, stage, samples, generator).total.backward()
        optimiser.step()
        optimiser.zero_grad()

    def target(self, kind: str) -> Callable[[], object]:
        """Resolving the batch's poses, or rendering and comparing them, with gradient."""
        context, rows = self.context, torch.arange(len(self.records))
        batch = context.make_batch(self.records, step_generator(0, 0, ProcessPart(), "cpu"), augmented=False)
        with torch.no_grad():
            selected = torch.arange(context.recipe.num_poses).expand(len(rows), -1)
            T = self.network(batch.inputs, context.shapes.grid, selected, 2)
        if kind == "resolver":
            return lambda: context.source.targets(batch, rows, T.prediction.T_crop_obj)
        assert context.rendered is not None
        objects, joint = context.rendered, context.recipe.joint
        leaf = T.T_refined.clone().requires_grad_()
        return lambda: (
            rendered_joint_loss(objects, batch, leaf, context.shapes.grid, joint).terms.total.sum().backward()
        )


def render_frames(frames: int, folder: Path) -> None:
    """A few frames of the box, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "selfpose6d.cli.main",
        "synth",
        str(folder),
        "--preset",
        "single-upright",
    ]
    subprocess.run([*command, "--frames", str(frames), "--test-frames", "0"], stdout=sys.stderr, check=True)


def prepare(size: Size, folder: Path) -> Setting:
    """Cut crops, build the network."""
    dataset = DataOptions(folder, "train").open()
    config, recipe = SIZES[size], find_recipe("paper")
    store = open_crop_store(dataset, config.crop_px, CacheOptions(folder / "cache"))
    meshes = [dataset.load_mesh(i) for i in store.obj_ids]
    shapes, objects = build_object_shapes(meshes), object_table(store.obj_ids, meshes)
    torch.manual_seed(0)
    network = PoseNetwork(config, objects)
    source = IterativeAnnotationResolver(shapes, ResolverOptions(iterations=recipe.resolver_iterations))
    rendered, device = build_rendered_objects(meshes, "cpu"), torch.device("cpu")
    context = StepContext(recipe, config, objects, source, shapes, device, rendered)
    return Setting(network, context, store.read(np.arange(len(store))))


def median_ms(run: Callable[[int], object]) -> float:
    """Median time of a call, after some to warm up."""
    times_s = []
    for index in range(WARM_UP + MEASURED):
        start_s = time.perf_counter()
        run(index)
        times_s.append(time.perf_counter() - start_s)
    return 1e3 * float(np.median(times_s[WARM_UP:]))


def measure(kind: str, size: Size, folder: Path) -> dict[str, float]:
    """Times of one kind in this process, and its memory."""
    imported_mb = resident_mb()
    setting = prepare(size, folder)
    optimiser = torch.optim.Adam(setting.network.parameters(), lr=1e-4, fused=True)
    step_ms = median_ms(lambda step: setting.step(kind, optimiser, step))
    step_peak_mb = peak_mb()
    run = setting.target(kind)
    target_ms = median_ms(lambda _: run())
    return {
        "step_ms": step_ms,
        "target_ms": target_ms,
        "peak_mb": step_peak_mb,
        "above_import_mb": step_peak_mb - imported_mb,
    }


def main() -> None:
    """Measure both kinds, each in its own process; print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", default="small", choices=list(SIZES))
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.size, options.data)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "data"
        render_frames(options.batch, folder)
        for kind in KINDS:
            command = [sys.executable, __file__, "--one", kind, "--size", options.size, "--data", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[kind] = json.loads(done.stdout.splitlines()[-1])
    resolver, renderer = found["resolver"], found["renderer"]
    ratios = {
        "time_ratio": renderer["step_ms"] / resolver["step_ms"],
        "memory_ratio": renderer["peak_mb"] / resolver["peak_mb"],
        "memory_above_import_ratio": renderer["above_import_mb"] / resolver["above_import_mb"],
        "target_time_ratio": renderer["target_ms"] / resolver["target_ms"],
    }
    if options.json:
        print(json.dumps(provenance() | ratios | {"measured": found, "paper": PAPER}))
        return
    print_provenance()
    for kind, row in found.items():
        print(f"{kind:9}", ", ".join(f"{name} {value:.1f}" for name, value in row.items()))
    print(", ".join(f"{name} {value:.2f}" for name, value in ratios.items()), "(the paper: 6.1 and 3.1)")


if __name__ == "__main__":
    main()
