"""What the resolver's matching direction does to poses: perturbed, resolved, scored; several seeds, mean and spread.

    python benchmarks/direction.py data [--split test] [--seeds 0 1 2] [--instances 64] [--json]

Each instance starts 5 degrees and 5 mm off its true pose (which serves to perturb and to score only) and takes the
resolver's 20 iterations on its visible points. ADD-S and ADD AUC (exact) before and after, by direction. A training by
`model-to-observed` (`benchmarks/ablation.py --variants "paper, model-to-observed"`) takes many seconds a step on CPUs.
"""

import json
import math

import numpy as np
import torch

from joint_loss import NUM_POINTS, Setting, aucs, parse, perturbation, prepare
from provenance import print_provenance, provenance
from selfpose6d.crops.batch import sample_batch
from selfpose6d.geometry.se3 import inverse
from selfpose6d.resolver.icp import ResolverOptions, resolve

ROTATION_RAD, SHIFT_M = math.radians(5), 0.005
START, FORWARD, BACKWARD = "start", "observed-to-model", "model-to-observed"


def measure(setting: Setting, seed: int) -> dict[str, tuple[float, float]]:
    """Scores at the start and after the resolver in each direction."""
    generator = torch.Generator().manual_seed(seed)
    batch = sample_batch(setting.images, setting.index_by_id, setting.diameter_m, NUM_POINTS, generator)
    index = batch.object_index
    off = perturbation(setting, index, ROTATION_RAD, SHIFT_M, generator)
    truth = inverse(batch.T_cam_crop) @ setting.T_true
    points_m = setting.shapes.grid.points_m[index][:, ::4]
    found = {START: aucs(points_m, truth @ off, truth)}
    for options in (ResolverOptions(direction=FORWARD), ResolverOptions(direction=BACKWARD)):
        clouds = torch.arange(len(index))
        result = resolve(truth @ off, batch.points_crop_m, clouds, setting.shapes.grid, index, options)
        found[options.direction] = aucs(points_m, result.T_cam_obj, truth)
    return found


def main() -> None:
    """Measure every seed; print a table or JSON."""
    options = parse(__doc__)
    setting = prepare(options.data, options.split, options.instances)
    found = [measure(setting, seed) for seed in options.seeds]
    rows = {}
    for name in found[0]:
        values = np.array([row[name] for row in found])
        rows[name] = {"mean": values.mean(0).tolist(), "spread": values.std(0).tolist()}
    if options.json:
        print(json.dumps(provenance() | {"columns": ["adds_auc", "add_auc"], "rows": rows}))
        return
    print_provenance()
    for name, row in rows.items():
        (adds, add), (adds_spread, add_spread) = row["mean"], row["spread"]
        print(f"{name:18} ADD-S {adds:.1f} +- {adds_spread:.1f}  ADD {add:.1f} +- {add_spread:.1f}")


if __name__ == "__main__":
    main()
