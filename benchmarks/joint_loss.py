"""The joint loss's terms, window and forms: poses are perturbed, then improved by the loss alone, and scored.

    python benchmarks/joint_loss.py data [--split test] [--seeds 0 1 2] [--instances 64] [--json]

Each instance starts 8 degrees and 8 % of its diameter off and takes 40 Adam steps on the joint loss, without a network:
with every term, with each left out, with windows of 0, 1, 2 and 4 pixels, with the paper's weights; and in the
occlusion-aware and the paper's literal form, while an occluder (nearer, so that depth tells it) hides none or a
fraction of the mask. True poses serve to perturb and to score only. Prints the median error in degrees, and ADD-S and
ADD AUC (exact) of the poses, mean and spread over the seeds.
"""

import argparse
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import roma
import torch
from torch import Tensor

from provenance import print_provenance, provenance
from selfpose6d.crops.batch import CropBatch, CropImages, decode_records, sample_batch
from selfpose6d.crops.store import CacheOptions, open_crop_store
from selfpose6d.datasets.options import DataOptions
from selfpose6d.geometry.se3 import inverse, make_transform, transform_points
from selfpose6d.losses.joint import BALANCED, JointLossOptions
from selfpose6d.metrics.auc import auc_exact
from selfpose6d.objects.rendered import RenderedObjects, build_rendered_objects
from selfpose6d.objects.shapes import ObjectShapes, build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.training.known_poses import ground_truth_poses
from selfpose6d.training.render_loss import rendered_joint_loss

CROP_PX, NUM_POINTS, STEPS, RATE = 96, 256, 40, 0.02
ROTATION_RAD, SHIFT_RATIO = math.radians(8), 0.08
VARIANTS = {
    "all terms": BALANCED,
    "without colour": replace(BALANCED, colour=0.0),
    "without IoU": replace(BALANCED, iou=0.0),
    "without geometry": replace(BALANCED, geometry=0.0),
    **{f"window {px}": replace(BALANCED, window_px=px) for px in (0, 1, 2, 4)},
    "the paper's weights": JointLossOptions(),
    "geometry model-to-observed": replace(BALANCED, direction="model-to-observed"),
}
OCCLUSIONS = {"none": (0.0, 0.0), "0-20 %": (0.0, 0.2), "20-40 %": (0.2, 0.4), "40-60 %": (0.4, 0.6)}


@dataclass(frozen=True)
class Setting:
    """Crops with what is needed to perturb, improve and score poses."""

    images: CropImages
    index_by_id: dict[int, int]
    diameter_m: Tensor
    centre_m: Tensor
    T_true: Tensor
    shapes: ObjectShapes
    objects: RenderedObjects


def prepare(data: Path, split: str, instances: int) -> Setting:
    """The first instances of a split, evenly spread."""
    dataset = DataOptions(data, split).open()
    store = open_crop_store(dataset, CROP_PX, CacheOptions())
    T_members, known = ground_truth_poses(dataset, store.keys)
    T_true = T_members[:, 0]
    rows = np.flatnonzero(known.numpy())
    rows = rows[np.linspace(0, len(rows) - 1, min(instances, len(rows))).round().astype(int)]
    meshes = [dataset.load_mesh(i) for i in store.obj_ids]
    table = object_table(store.obj_ids, meshes)
    return Setting(
        decode_records(store.read(rows)),
        {i: k for k, i in enumerate(store.obj_ids)},
        torch.tensor(table.diameter_m),
        torch.tensor(table.centre_m),
        T_true[rows],
        build_object_shapes(meshes),
        build_rendered_objects(meshes, "cpu"),
    )


def occlude(images: CropImages, least: float, most: float, generator: torch.Generator) -> CropImages:
    """Put a nearer grey surface over a fraction of each mask, from a random side."""
    if most == 0:
        return images
    count, size = len(images.rgb), images.rgb.shape[-1]
    angle = 2 * math.pi * torch.rand(count, 1, 1, generator=generator)
    fraction = least + (most - least) * torch.rand(count, generator=generator)
    v, u = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    along = angle.cos() * u + angle.sin() * v
    border = torch.stack([a[m].quantile(s) for a, m, s in zip(along, images.mask, fraction, strict=True)])
    hidden = along < border[:, None, None]
    nearer_m = (images.middle_m - 0.15)[:, None, None].clamp_min(0.1)
    return replace(
        images,
        rgb=torch.where(hidden[:, None], 0.5, images.rgb),
        depth_m=torch.where(hidden, nearer_m, images.depth_m),
        mask=images.mask & ~hidden,
    )


def improve(setting: Setting, batch: CropBatch, options: JointLossOptions, start: Tensor) -> Tensor:
    """Where the joint loss leads poses (crop frame)."""
    radius_m, centre = 0.5 * setting.diameter_m[batch.object_index], setting.centre_m[batch.object_index]
    motion = torch.zeros(len(start), 6, requires_grad=True)
    optimiser = torch.optim.Adam([motion], betas=(0.9, 0.99))

    def posed(motion: Tensor) -> Tensor:
        R = roma.rotvec_to_rotmat(motion[:, 3:])
        shift = radius_m[:, None] * motion[:, :3]
        return start @ make_transform(R, centre + shift - (R @ centre[..., None]).squeeze(-1))

    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
        found = rendered_joint_loss(
            setting.objects, batch, posed(motion)[:, None], setting.shapes.grid, options
        )
        optimiser.zero_grad()
        found.terms.total.sum().backward()
        optimiser.step()
    return posed(motion.detach())


def perturbation(
    setting: Setting, index: Tensor, rotation_rad: float, shift_m: float | Tensor, generator: torch.Generator
) -> Tensor:
    """Of objects `index`, rotations about the centre and shifts of a given size, in random directions."""
    way = torch.nn.functional.normalize(torch.randn(2, len(index), 3, generator=generator), dim=-1)
    R_offset, centre = roma.rotvec_to_rotmat(rotation_rad * way[0]), setting.centre_m[index]
    shift = torch.as_tensor(shift_m).reshape(-1, 1) * way[1]
    return make_transform(R_offset, centre + shift - (R_offset @ centre[..., None]).squeeze(-1))


def aucs(points_obj_m: Tensor, T: Tensor, truth: Tensor) -> tuple[float, float]:
    """ADD-S and ADD AUC (exact) of poses."""
    placed, expected = transform_points(T, points_obj_m), transform_points(truth, points_obj_m)
    middle = expected.mean(1, keepdim=True)  # cdist squares coordinates: near 0 they keep their digits
    adds_m = torch.cdist(expected - middle, placed - middle).amin(-1).mean(-1)
    return auc_exact(adds_m.numpy()), auc_exact((placed - expected).norm(dim=-1).mean(-1).numpy())


def measure(
    setting: Setting, options: JointLossOptions, occlusion: tuple[float, float], seed: int
) -> np.ndarray:
    """Median error (degrees), ADD-S and ADD AUC."""
    generator = torch.Generator().manual_seed(seed)
    images = occlude(setting.images, *occlusion, generator)
    batch = sample_batch(images, setting.index_by_id, setting.diameter_m, NUM_POINTS, generator)
    index = batch.object_index
    off = perturbation(setting, index, ROTATION_RAD, SHIFT_RATIO * setting.diameter_m[index], generator)
    truth = inverse(batch.T_cam_crop) @ setting.T_true
    T = improve(setting, batch, options, truth @ off)
    angle_rad = roma.rotmat_to_rotvec(truth[:, :3, :3].mT @ T[:, :3, :3]).norm(dim=-1)
    return np.array([math.degrees(angle_rad.median()), *aucs(setting.shapes.points_m[index], T, truth)])


def parse(description: str | None) -> argparse.Namespace:
    """The command line of benchmarks on perturbed poses."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--instances", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def main() -> None:
    """Measure every variant; print a table or JSON."""
    options = parse(__doc__)
    setting = prepare(options.data, options.split, options.instances)
    cases = {name: (loss, OCCLUSIONS["none"]) for name, loss in VARIANTS.items()}
    for name, fraction in OCCLUSIONS.items():
        cases[f"occlusion {name}, aware"] = (BALANCED, fraction)
        cases[f"occlusion {name}, literal"] = (replace(BALANCED, occlusion_aware=False), fraction)
    rows = {}
    for name, (loss, occlusion) in cases.items():
        found = np.stack([measure(setting, loss, occlusion, seed) for seed in options.seeds])
        rows[name] = {"mean": found.mean(0).tolist(), "spread": found.std(0).tolist()}
        if not options.json:
            angle, adds, add = zip(rows[name]["mean"], rows[name]["spread"], strict=True)
            text = "  ".join(
                f"{label} {m:.2f} +- {s:.2f}"
                for label, (m, s) in zip(("degrees", "ADD-S", "ADD"), (angle, adds, add), strict=True)
            )
            print(f"{name:28} {text}", flush=True)
    if options.json:
        print(json.dumps(provenance() | {"columns": ["degrees", "adds_auc", "add_auc"], "rows": rows}))
    else:
        print_provenance()


if __name__ == "__main__":
    main()
