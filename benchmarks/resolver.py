"""Speed and accuracy of the Iterative Annotation Resolver against brute force and exact search, in one run.

    python benchmarks/resolver.py [--poses 500] [--points 500] [--samples 2000] [--iterations 20] [--json]

One half-visible built-in object, poses spread evenly over all rotations, no early stop. `grid` is what the package
runs; `torch` its reference back end; `brute force` pairs by `torch.cdist`; `KD-tree` is SciPy's exact search.
Residuals of all are measured alike, with exact search at the final poses. Targets: grid in 200 ms or less on two
cores, 100 times faster than brute force, median residual within 6 % of the KD-tree's.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.spatial import KDTree

from provenance import print_provenance, provenance
from selfpose6d.backend import Backend
from selfpose6d.geometry.nearest import NearestGrid, build_nearest_grid
from selfpose6d.geometry.rigid_fit import rigid_fit
from selfpose6d.geometry.se3 import inverse, make_transform, transform_points
from selfpose6d.geometry.so3 import random_rotations, super_fibonacci
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.resolver.icp import ResolverOptions, resolve

REPEATS = 9
MAX_DISTANCES = 32_000_000
Search = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Problem:
    """Start poses, one observed cloud, the model's samples and their grid."""

    starts: torch.Tensor
    cloud_m: torch.Tensor
    grid: NearestGrid
    iterations: int

    @property
    def samples_m(self) -> torch.Tensor:
        return self.grid.points_m[0]


@dataclass(frozen=True)
class Row:
    """One method's statistics; residuals are the median and the tenth percentile over poses of the rms distance."""

    method: str
    duration_ms: float
    median_mm: float
    best_tenth_mm: float


def make_problem(obj_id: int, poses: int, points: int, samples: int, iterations: int) -> Problem:
    """The object 0.8 m ahead, seen from one side; starts at the cloud's centroid, pushed back by half its depth."""
    mesh, generator = CATALOGUE[obj_id].mesh(), np.random.default_rng(0)
    surface = sample_surface(mesh, samples, generator)
    grid = build_nearest_grid(surface.points_m, surface.normals)
    R = random_rotations(1, torch.Generator().manual_seed(0))
    T_cam_obj = make_transform(R, torch.tensor([[0.0, 0.0, 0.8]]))[0]
    seen = sample_surface(mesh, 20 * points, generator)
    cloud_m = transform_points(T_cam_obj, torch.from_numpy(seen.points_m))
    facing = torch.nonzero(((torch.from_numpy(seen.normals) @ R[0].T) * cloud_m).sum(-1) < 0)[:, 0]
    cloud_m = cloud_m[facing[torch.from_numpy(generator.choice(len(facing), points, replace=False))]]
    rotations = super_fibonacci(poses)
    middle_m = cloud_m.mean(0) + torch.tensor([0.0, 0.0, 0.5 * mesh.radius_m])
    starts = make_transform(rotations, middle_m - rotations @ torch.from_numpy(mesh.centre_m))
    return Problem(starts, cloud_m, grid, iterations)


def run_package(problem: Problem, backend: Backend) -> torch.Tensor:
    """Final poses of `resolve`; tolerance 0 makes it spend every iteration."""
    zero = torch.zeros(len(problem.starts), dtype=torch.int64)
    options = ResolverOptions(problem.iterations, tolerance_m=0.0)
    cloud_m = problem.cloud_m[None]
    return resolve(problem.starts, cloud_m, zero, problem.grid, zero, options, backend).T_cam_obj


def run_exact(problem: Problem, search: Search) -> torch.Tensor:
    """The same iterations with another nearest-neighbour search."""
    T, observed = problem.starts, problem.cloud_m.expand(len(problem.starts), -1, -1)
    for _ in range(problem.iterations):
        index = search(transform_points(inverse(T), observed))
        T = rigid_fit(problem.samples_m[index], observed)
    return T


def brute_force_search(samples_m: torch.Tensor) -> Search:
    """All distances, a part of the poses at a time to bound memory."""

    def search(points_obj_m: torch.Tensor) -> torch.Tensor:
        poses = max(1, MAX_DISTANCES // (points_obj_m.shape[1] * len(samples_m)))
        return torch.cat([torch.cdist(part, samples_m).argmin(-1) for part in points_obj_m.split(poses)])

    return search


def tree_search(samples_m: torch.Tensor) -> Search:
    """Exact search on every core."""
    tree = KDTree(samples_m.numpy())
    return lambda points_obj_m: torch.from_numpy(tree.query(points_obj_m.numpy(), workers=-1)[1])


def residuals_mm(problem: Problem, T_cam_obj: torch.Tensor) -> np.ndarray:
    """Each pose's rms distance to the exactly nearest samples."""
    points_obj_m = transform_points(inverse(T_cam_obj), problem.cloud_m.expand(len(T_cam_obj), -1, -1))
    distance_m, _ = KDTree(problem.samples_m.numpy()).query(points_obj_m.numpy(), workers=-1)
    return 1e3 * np.sqrt(np.square(distance_m).mean(-1))


def measure(problem: Problem, method: str, run: Callable[[], torch.Tensor], repeats: int = 1) -> Row:
    """Median wall time of `repeats` runs (the first of several is left out: it compiles) and the residual."""
    durations_s, T_cam_obj = [], problem.starts
    for _ in range(repeats):
        start_s = time.perf_counter()
        T_cam_obj = run()
        durations_s.append(time.perf_counter() - start_s)
    duration_s = float(np.median(durations_s[1:] or durations_s))
    residual_mm = residuals_mm(problem, T_cam_obj)
    return Row(method, 1e3 * duration_s, float(np.median(residual_mm)), float(np.percentile(residual_mm, 10)))


def measure_all(problem: Problem) -> list[Row]:
    """Fast to slow."""
    samples_m = problem.samples_m
    return [
        measure(problem, "grid", lambda: run_package(problem, "auto"), REPEATS),
        measure(problem, "torch", lambda: run_package(problem, "torch"), 2),
        measure(problem, "KD-tree", lambda: run_exact(problem, tree_search(samples_m))),
        measure(problem, "brute force", lambda: run_exact(problem, brute_force_search(samples_m))),
    ]


def compare(rows: list[Row]) -> dict[str, float]:
    """What the targets are about."""
    grid, _, tree, brute = rows
    return {
        "times_faster_than_brute_force": brute.duration_ms / grid.duration_ms,
        "median_residual_over_kd_tree": grid.median_mm / tree.median_mm,
        "best_tenth_residual_over_kd_tree": grid.best_tenth_mm / tree.best_tenth_mm,
    }


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--object", type=int, default=1, choices=sorted(CATALOGUE), help="built-in object")
    parser.add_argument("--poses", type=int, default=500)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    size = parser.parse_args()
    rows = measure_all(make_problem(size.object, size.poses, size.points, size.samples, size.iterations))
    statistics = compare(rows)
    if size.json:
        print(json.dumps(provenance() | statistics | {"rows": [asdict(row) for row in rows]}))
        return
    print_provenance()
    print(f"{size.poses} poses x {size.points} points x {size.iterations} iterations, {size.samples} samples")
    print(f"{'method':12} {'ms':>9} {'residual mm: median':>20} {'best tenth':>11}")
    for row in rows:
        print(f"{row.method:12} {row.duration_ms:9.1f} {row.median_mm:20.3f} {row.best_tenth_mm:11.3f}")
    print(*(f"{name}: {value:.3f}" for name, value in statistics.items()), sep="\n")


if __name__ == "__main__":
    main()
