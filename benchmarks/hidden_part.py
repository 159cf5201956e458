"""Poses of objects whose telling part is hidden, against all poses that the image allows (a mug without its handle).

    python benchmarks/hidden_part.py RUN ../shared/data/ycbv-sample --object 14 [--json]

From the true pose the object is turned along the motion that its visible surface does not notice. A turned pose is
allowed if it shows the same depth where the object is seen and nothing in front of what was measured elsewhere. Prints
the AUC of ADD to the true pose and of the least ADD to an allowed one, and how many degrees are allowed.
"""

import argparse
import json
import math
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from provenance import print_provenance, provenance
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.evaluation.model_points import load_model_points
from selfpose6d.geometry.camera import back_project
from selfpose6d.labeling import expand
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.metrics.auc import auc_exact
from selfpose6d.metrics.pose_errors import add
from selfpose6d.objects.object_model import ObjectModel, build_object_model
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.selection import FrameId
from selfpose6d.types import Frame, Instance

STEP_DEG = 2.0
SAME_DEPTH_M = 0.003
"""The sensor's noise at a metre."""
IN_FRONT_M = 0.01
LEAST_SAME, MOST_IN_FRONT = 0.98, 0.005
"""Of the mask's pixels."""


def allowed_poses(
    model: ObjectModel, frame: Frame, instance: Instance, T_cam_obj: torch.Tensor
) -> torch.Tensor:
    """`T_cam_obj` (1, 4, 4) and those that look the same."""
    packed, K = pack_meshes([model.mesh]), torch.from_numpy(frame.K).float()
    mask, measured_m = torch.from_numpy(instance.mask), torch.from_numpy(frame.depth_m)

    def depth_m(T: torch.Tensor) -> torch.Tensor:
        views = (PosedMeshes.of_one(packed, 0, some, K, frame.depth_m.shape) for some in T.split(16))
        return torch.cat([rasterize(posed).depth_m for posed in views])

    true_m = depth_m(T_cam_obj)[0]
    seen = mask & (true_m > 0)
    cloud_m = back_project(true_m, K)[seen]
    cloud_m = cloud_m[torch.linspace(0, len(cloud_m) - 1, 1000).long()]
    with mock.patch.object(expand, "STEP_RAD", math.radians(STEP_DEG)):
        turned = expand.sliding_poses(model, cloud_m, T_cam_obj, Lengths(model.diameter_m, 0.001))
    shown_m = depth_m(turned)
    same = ((shown_m - true_m).abs() < SAME_DEPTH_M)[:, seen].float().mean(1) >= LEAST_SAME
    in_front = (shown_m > 0) & ~mask & (measured_m > 0) & (measured_m > shown_m + IN_FRONT_M)
    hidden = in_front.sum((1, 2)) <= MOST_IN_FRONT * mask.sum()
    return torch.cat([T_cam_obj, turned[same & hidden]])


def measure(run: Path, dataset: Dataset, obj_id: int) -> dict[str, float]:
    """AUC of ADD and least ADD; an instance without a pose is as far off as can be."""
    model = build_object_model(dataset.load_mesh(obj_id))
    points_m = load_model_points(dataset.models, [obj_id])[obj_id].points_m
    found = {label.key: label for label in read_certificates(run / "certificates.jsonl")}
    errors_m, degrees = [], []
    for truth in load_ground_truth(dataset.root, dataset.split):
        if truth.key.obj_id != obj_id or not truth.counts:
            continue
        label = found.get(truth.key)
        if label is None or label.T_cam_obj is None:
            errors_m.append((np.inf, np.inf))
            continue
        frame = dataset.load_frame(FrameId(*truth.key[1:3]))
        (instance,) = (one for one in frame.instances if one.key == truth.key)
        allowed = allowed_poses(model, frame, instance, torch.from_numpy(truth.T_cam_obj).float()[None])
        T_est = np.broadcast_to(label.T_cam_obj, allowed.shape)
        add_m = add(T_est, allowed.double().numpy(), points_m)
        errors_m.append((add_m[0], add_m.min()))
        degrees.append(STEP_DEG * len(allowed))
    add_m, least_m = np.array(errors_m).T
    return {
        "instances": len(errors_m),
        "add_auc": auc_exact(add_m),
        "least_add_auc": auc_exact(least_m),
        "median_allowed_deg": float(np.median(degrees)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--object", type=int, required=True)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    statistics = measure(arguments.run, DataOptions(arguments.data).open("test"), arguments.object)
    if arguments.json:
        print(json.dumps(provenance() | statistics))
    else:
        print_provenance()
        print(*(f"{name:20} {value:.3f}" for name, value in statistics.items()), sep="\n")
