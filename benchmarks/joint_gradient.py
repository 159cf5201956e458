"""Gradient of the joint loss's colour term against the true one, and what a step of the joint loss costs.

    python benchmarks/joint_gradient.py data [--split test] [--instances 24] [--seeds 0 1 2] [--json]

Poses are 3 degrees and 2 % of the diameter off. The true gradient: central differences of the same loss on renderings
of 6 x 6 samples a pixel, steps of 0.3 pixels, for the six motions about the object's centre in pixels of its rim.
Cosine and length of the analytic gradient over all instances and motions (and the median cosine of an instance), and
the time of the loss with its gradient in units of one sample a pixel, measured in turn.
"""

import json
import math
import time
from dataclasses import replace

import numpy as np
import roma
import torch
from torch import Tensor

from joint_loss import CROP_PX, NUM_POINTS, Setting, parse, perturbation, prepare
from provenance import print_provenance, provenance
from selfpose6d.crops.batch import CropBatch, sample_batch
from selfpose6d.geometry.se3 import inverse, make_transform
from selfpose6d.losses.joint import JointLossOptions
from selfpose6d.training.render_loss import rendered_joint_loss

STEP_PX, TRUE_SAMPLES, ROUNDS = 0.3, 6, 5
SAMPLES = (1, 2, 3, 4)
COLOUR = JointLossOptions(colour=1.0, iou=0.0, geometry=0.0)
"""The paper's form, its colour term alone."""


def motions(setting: Setting, batch: CropBatch, T: Tensor) -> Tensor:
    """(batch, 6): metres and radians that move the object's rim by a pixel of the crop."""
    depth_m = (batch.T_cam_crop @ T)[:, 2, 3]
    px_m = depth_m / batch.images.K_crop[:, 0, 0]
    radius_m = 0.5 * setting.diameter_m[batch.object_index]
    along_m = torch.stack([px_m, px_m, px_m * depth_m / radius_m], -1)
    return torch.cat([along_m, (px_m / radius_m)[:, None].expand(-1, 3)], -1)


def moved(setting: Setting, batch: CropBatch, T: Tensor, motion: Tensor) -> Tensor:
    """Poses (crop frame) after a motion (batch, 6) about the object's centre, in the crop's axes."""
    centre = setting.centre_m[batch.object_index]
    at = T[:, :3, :3] @ centre[..., None] + T[:, :3, 3:]
    R = roma.rotvec_to_rotmat(motion[:, 3:])
    about = make_transform(R, (at - R @ at).squeeze(-1) + motion[:, :3])
    return about @ T


def loss_at(setting: Setting, batch: CropBatch, T: Tensor, options: JointLossOptions) -> Tensor:
    """The colour term of every instance."""
    return rendered_joint_loss(setting.objects, batch, T[:, None], setting.shapes.grid, options).terms.total


def true_gradient(setting: Setting, batch: CropBatch, T: Tensor, units: Tensor) -> Tensor:
    """(batch, 6) by central differences."""
    fine, columns = replace(COLOUR, samples=TRUE_SAMPLES), []
    for axis in range(6):
        step = torch.zeros_like(units)
        step[:, axis] = STEP_PX * units[:, axis]
        up, down = (loss_at(setting, batch, moved(setting, batch, T, sign * step), fine) for sign in (1, -1))
        columns.append((up - down) / (2 * STEP_PX))
    return torch.stack(columns, -1)


def analytic_gradient(setting: Setting, batch: CropBatch, T: Tensor, units: Tensor, samples: int) -> Tensor:
    """(batch, 6) through the renderer."""
    motion = torch.zeros_like(units, requires_grad=True)
    total = loss_at(
        setting, batch, moved(setting, batch, T, motion * units), replace(COLOUR, samples=samples)
    )
    return torch.autograd.grad(total.sum(), motion)[0]


def main() -> None:
    """Measure every number of samples; print lines or JSON."""
    options = parse(__doc__)
    setting = prepare(options.data, options.split, options.instances)
    true, found = [], {s: [] for s in SAMPLES}
    times_s: dict[int, list[float]] = {s: [] for s in SAMPLES}
    for seed in options.seeds:
        generator = torch.Generator().manual_seed(seed)
        batch = sample_batch(setting.images, setting.index_by_id, setting.diameter_m, NUM_POINTS, generator)
        diameter_m = setting.diameter_m[batch.object_index]
        off = perturbation(setting, batch.object_index, math.radians(3), 0.02 * diameter_m, generator)
        T = inverse(batch.T_cam_crop) @ setting.T_true @ off
        units = motions(setting, batch, T)
        with torch.no_grad():
            true.append(true_gradient(setting, batch, T, units))
        for s in SAMPLES:
            found[s].append(analytic_gradient(setting, batch, T, units, s))
        for _ in range(ROUNDS):
            for s in SAMPLES:
                start_s = time.perf_counter()
                analytic_gradient(setting, batch, T, units, s)
                times_s[s].append(time.perf_counter() - start_s)
    expected = torch.cat(true)
    rows = {}
    for s in SAMPLES:
        gradient = torch.cat(found[s])
        cosine = torch.nn.functional.cosine_similarity(gradient, expected, dim=-1)
        ratio = float((gradient * expected).sum() / expected.square().sum())
        rows[s] = {
            "cosine_overall": float(
                torch.nn.functional.cosine_similarity(gradient.flatten(), expected.flatten(), dim=0)
            ),
            "cosine_median": float(cosine.median()),
            "of_true": ratio,
            "time_ratio": float(np.median(np.array(times_s[s]) / np.array(times_s[SAMPLES[0]]))),
        }
        if not options.json:
            print(f"{s} x {s}: " + "  ".join(f"{name} {value:.3f}" for name, value in rows[s].items()))
    if options.json:
        print(json.dumps(provenance() | {"crop_px": CROP_PX, "rows": rows}))
    else:
        print_provenance()


if __name__ == "__main__":
    main()
