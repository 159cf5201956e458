"""The CUDA path against the CPU's: resolver, rendering with its gradient, a training step, annotation.

    python benchmarks/device_agreement.py data [--split test] [--frames 4] [--device cuda] [--json]

The CPU runs the compiled kernels, the device torch's own operations, on the same inputs, all drawn on the CPU. With
--device cpu the two back ends of resolver and renderer are compared on one machine. Exit code 1 where they differ by
more than the tolerances.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from provenance import print_provenance, provenance
from selfpose6d.backend import Backend
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.geometry.se3 import make_transform, transform_points
from selfpose6d.geometry.so3 import super_fibonacci
from selfpose6d.labeling.annotate import annotate
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.object_model import FINE_MESH, ObjectModel
from selfpose6d.objects.store import ObjectStore
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.reproduction.parts import Part
from selfpose6d.reproduction.training_step import OneStep
from selfpose6d.resolver.icp import ResolverOptions, resolve
from selfpose6d.selection import Selection

POSES = 64
TOLERANCES = {
    "resolver_median_mm": 0.1,  # single precision, and another order of sums
    "faces_differ": 0.002,  # pixels whose centre an edge crosses
    "gradient_relative": 0.02,
    "step_loss_relative": 1e-3,
    "step_gradient_relative": 0.02,
    "annotated_median_mm": 1.0,  # hundreds of thresholded choices lie between start and end
}
"""Least agreement that is expected, by measure."""


def moved(value: Any, device: str) -> Any:
    """A tensor, or a (named) tuple or dataclass of such, on a device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: moved(getattr(value, f.name), device) for f in fields(value)})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(part, device) for part in value))
    return value


def _sides(device: str) -> tuple[tuple[str, Backend], ...]:
    """Both sides' devices and back ends."""
    return ("cpu", "auto"), (device, "torch")


def resolver(model: ObjectModel, device: str) -> float:
    """Median distance of the resolved poses, millimetres."""
    R = super_fibonacci(POSES)
    start = make_transform(R, torch.tensor([0.0, 0.0, 0.8]).expand(POSES, 3) - R @ model.centre_m.cpu())
    points = model.grid.points_m[0].cpu()
    seen = points[torch.linspace(0, len(points) - 1, 500).long()]
    cloud = transform_points(start[POSES // 3], seen[(seen - seen.mean(0))[:, 0] > 0])
    zero = torch.zeros(POSES, dtype=torch.long)
    found = [
        resolve(
            start.to(where), cloud[None].to(where), zero.to(where), moved(model.grid, where), zero.to(where),
            ResolverOptions(iterations=20), backend=kernel,
        ).T_cam_obj.cpu()
        for where, kernel in _sides(device)
    ]  # fmt: skip
    placed = [transform_points(T, seen.expand(POSES, -1, -1)) for T in found]
    return 1e3 * float((placed[0] - placed[1]).norm(dim=-1).mean(1).median())


def rendering(model: ObjectModel, device: str) -> tuple[float, float]:
    """Fraction of the covered pixels that differ, and the relative difference of the poses' gradients."""
    R = super_fibonacci(8)
    distance_m = 4 * model.diameter_m
    T = make_transform(R, torch.tensor([0.0, 0.0, distance_m]).expand(8, 3) - R @ model.centre_m.cpu())
    K = torch.tensor([[480.0, 0, 63.5], [0, 480.0, 63.5], [0, 0, 1]])
    weights = torch.rand(8, 128, 128, 5, generator=torch.Generator().manual_seed(0))
    images, gradients = [], []
    for where, kernel in _sides(device):
        leaf = T.to(where).requires_grad_()
        posed = PosedMeshes.of_one(moved(model.packed, where), FINE_MESH, leaf, K.to(where), (128, 128))
        image = render(posed, backend=kernel)
        stacked = torch.cat([image.rgb, image.mask[..., None], image.depth_m[..., None]], -1)
        gradients.append(torch.autograd.grad((stacked * weights.to(where)).sum(), leaf)[0].cpu())
        images.append(image.depth_m.detach().cpu())
    covered = (images[0] > 0) | (images[1] > 0)
    differ = covered & ((images[0] - images[1]).abs() > 1e-4)
    relative = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    return float(differ.sum() / covered.sum()), float(relative)


def training_step(part: Part, device: str) -> tuple[float, float]:
    """Relative differences of a loss on both parts' poses, and of its gradient, for one batch."""
    values = []
    with tempfile.TemporaryDirectory() as cache:
        one = OneStep.prepare(part, "small", 8, Path(cache))
        batch = one.context.make_batch(one.records, torch.Generator().manual_seed(0), stage=None)
        for where in ("cpu", device):
            network = one.network.to(where).train()
            network.zero_grad()
            selected = torch.arange(32, device=where).expand(len(one.records), -1)
            inputs = moved(batch.inputs(network.config), where)
            surfaces = moved(one.context.shapes.surfaces, where)
            output = network(inputs, surfaces, selected, 2)
            assert output.refinement is not None
            T = torch.cat([output.prediction.T_crop_obj, output.refinement.T_crop_obj.flatten(1, 2)], 1)
            points = moved(one.context.shapes.points_m, where)[inputs.object_index]
            target = moved(batch.points_crop_m.mean(1), where)
            middle = transform_points(T, points[:, None].expand(-1, T.shape[1], -1, -1)).mean(2)
            loss = (middle - target[:, None]).norm(dim=-1).mean()
            loss.backward()
            gradient = torch.cat([p.grad.flatten().cpu() for p in network.parameters() if p.grad is not None])
            values.append((loss.item(), gradient))
    (loss, gradient), (other, other_gradient) = values
    return abs(loss - other) / loss, float((gradient - other_gradient).norm() / gradient.norm())


def annotation(dataset: Dataset, frames: int, device: str) -> tuple[float, float]:
    """Median distance of the annotated poses (millimetres) and the fraction of equal statuses."""
    ids = dataset.frame_ids()[:frames]
    labels = []
    for where in ("cpu", device):
        store = ObjectStore(dataset.object_ids, dataset.load_mesh, {}, default_cache_dir(), where)
        labels.append([label for i in ids for label in annotate(dataset.load_frame(i), store)])
    distances_mm, same = [], []
    for a, b in zip(*labels, strict=True):
        same.append(a.valid == b.valid and (not a.valid or a.certificate.status == b.certificate.status))
        if a.valid and b.valid:
            vertices = torch.from_numpy(dataset.load_mesh(a.key.obj_id).vertices_m[::50]).double()
            placed = [transform_points(torch.from_numpy(x.T_cam_obj), vertices) for x in (a, b)]
            distances_mm.append(1e3 * float((placed[0] - placed[1]).norm(dim=-1).mean()))
    return float(np.median(distances_mm)), float(np.mean(same))


def main() -> int:
    """Measure, print, and say whether everything agrees."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    part = Part(options.data, options.split, Selection())
    dataset = part.open()
    model = ObjectStore(dataset.object_ids, dataset.load_mesh, {}, default_cache_dir())[dataset.object_ids[0]]
    rows: dict[str, float] = {"resolver_median_mm": resolver(model, options.device)}
    rows["faces_differ"], rows["gradient_relative"] = rendering(model, options.device)
    rows["step_loss_relative"], rows["step_gradient_relative"] = training_step(part, options.device)
    rows["annotated_median_mm"], rows["annotated_same_status"] = annotation(
        dataset, options.frames, options.device
    )
    agrees = all(rows[name] <= most for name, most in TOLERANCES.items())
    if options.json:
        print(json.dumps(provenance() | {"device": options.device, "rows": rows, "agrees": agrees}))
    else:
        for name, value in rows.items():
            print(f"{name:24} {value:.5f}" + (f"  (<= {TOLERANCES[name]:g})" if name in TOLERANCES else ""))
        print_provenance()
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
