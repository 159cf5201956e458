"""Speed of the rasteriser, of rendering with texture, and of rendering with gradients to the pose.

    python benchmarks/renderer.py [--torch] [--json]

First row: 64 hypotheses of one object of 16,000 faces at 64x64 (target: rasterised in 25 ms or less on two cores).
Then batches of 1 and 8 crops of 128 and 160 px with 2,000, 10,000 and 16,000 faces, plain and with 2x2 samples a pixel
(targets for 8 crops of 128 px with 16,000 faces, forward and backward: 35 and 120 ms). The object fills 80 % of the
crop's width; `--torch` also times the reference back end, and where PyTorch3D can be imported its forward and backward
pass (hard colours and soft silhouette of 50 faces) is timed in the same run. Milliseconds a batch: median of several
runs, and the least, which other programs on the machine change less.
"""

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from provenance import print_provenance, provenance
from selfpose6d.backend import Backend
from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import super_fibonacci
from selfpose6d.meshes.decimate import decimate
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.render import render
from selfpose6d.types import Rendering

BOTTLE_ID = 4
DISTANCE_M = 0.8
FILL = 0.8


@dataclass(frozen=True)
class Case:
    """How many images of how many pixels, and the mesh's faces."""

    images: int
    side_px: int
    faces: int


CASES = (
    Case(64, 64, 16_000),
    *(Case(n, px, faces) for n in (1, 8) for px in (128, 160) for faces in (2_000, 10_000, 16_000)),
)


@dataclass(frozen=True)
class Scene:
    """One object from evenly spread directions."""

    meshes: PackedMeshes
    mesh_index: torch.Tensor
    T_cam_obj: torch.Tensor
    K: torch.Tensor
    side_px: int

    def rasterize(self, backend: Backend = "auto") -> None:
        rasterize(
            PosedMeshes(self.meshes, self.mesh_index, self.T_cam_obj, self.K, self.side_px, self.side_px),
            backend,
        )

    def render(self, T_cam_obj: torch.Tensor | None = None, supersample: int = 1) -> Rendering:
        T = self.T_cam_obj if T_cam_obj is None else T_cam_obj
        return render(
            PosedMeshes(self.meshes, self.mesh_index, T, self.K, self.side_px, self.side_px), supersample
        )

    def render_and_back(self, supersample: int = 1) -> None:
        """A loss on colour, mask and depth, and its gradient for the poses."""
        T = self.T_cam_obj.clone().requires_grad_()
        image = self.render(T, supersample)
        (image.rgb.square().mean() + image.mask.mean() + image.depth_m.mean()).backward()


def mesh_of(faces: int) -> Mesh:
    """The built-in bottle with this many faces: cut finer, then decimated."""
    mesh = CATALOGUE[BOTTLE_ID].mesh()
    while len(mesh.faces) < faces:
        mesh = subdivide(mesh)
    return decimate(mesh, faces)


def subdivide(mesh: Mesh) -> Mesh:
    """Four faces for every one, cut at the edges' middles."""
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    ends, middle_of = np.unique(edges, axis=0, return_inverse=True)
    middles_m = mesh.vertices_m[ends].mean(axis=1)
    faces = split(mesh.faces, middle_of.reshape(-1, 3) + len(mesh.vertices_m))
    corner_uv = None
    if mesh.corner_uv is not None:
        corner_uv = split(mesh.corner_uv, 0.5 * (mesh.corner_uv + np.roll(mesh.corner_uv, -1, axis=1)))
    vertices_m = np.concatenate([mesh.vertices_m, middles_m]).astype(np.float32)
    return Mesh(vertices_m, faces, corner_uv=corner_uv, texture=mesh.texture)


def split(corners: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Corner values of the four parts, from those at the corners and at the middles of edges 01, 12, 20."""
    a, b, c = np.moveaxis(corners, 1, 0)
    ab, bc, ca = np.moveaxis(middles, 1, 0)
    parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return np.concatenate([np.stack(part, axis=1) for part in parts])


def make_scene(mesh: Mesh, images: int, side_px: int) -> Scene:
    """The object's centre on the axis of every camera."""
    focal_px = FILL * side_px * DISTANCE_M / (2 * mesh.radius_m)
    centre_px = (side_px - 1) / 2
    K = torch.tensor([[focal_px, 0, centre_px], [0, focal_px, centre_px], [0, 0, 1]])
    R = super_fibonacci(images)
    t = torch.tensor([0.0, 0.0, DISTANCE_M]) - R @ torch.from_numpy(mesh.centre_m)
    mesh_index = torch.zeros(images, dtype=torch.int64)
    return Scene(
        pack_meshes([mesh]), mesh_index, make_transform(R, t), K.expand(images, 3, 3).contiguous(), side_px
    )


def times_ms(run: Callable[[], object], repeats: int) -> list[float]:
    """Wall times in rising order, after one run that compiles."""
    durations_s = []
    for _ in range(repeats + 1):
        start_s = time.perf_counter()
        run()
        durations_s.append(time.perf_counter() - start_s)
    return sorted(1e3 * duration_s for duration_s in durations_s[1:])


def has_pytorch3d() -> bool:
    """Whether PyTorch3D can be compared with."""
    return importlib.util.find_spec("pytorch3d") is not None


def pytorch3d_pass(mesh: Mesh, scene: Scene) -> Callable[[], None]:
    """Forward and backward of the same poses by PyTorch3D: depth and a soft silhouette, no colours."""
    from pytorch3d.renderer import (  # pyright: ignore[reportMissingImports]
        BlendParams,
        MeshRasterizer,
        RasterizationSettings,
        SoftSilhouetteShader,
    )
    from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]
    from pytorch3d.utils import cameras_from_opencv_projection  # pyright: ignore[reportMissingImports]

    images, size = len(scene.T_cam_obj), scene.side_px
    meshes = Meshes([torch.from_numpy(mesh.vertices_m)] * images, [torch.from_numpy(mesh.faces)] * images)
    settings = RasterizationSettings(size, blur_radius=1e-4, faces_per_pixel=50)
    shader = SoftSilhouetteShader(BlendParams(1e-4, 1e-4))

    def run() -> None:
        T = scene.T_cam_obj.clone().requires_grad_()
        cameras = cameras_from_opencv_projection(
            T[:, :3, :3], T[:, :3, 3], scene.K, torch.full((images, 2), size)
        )
        fragments = MeshRasterizer(cameras, settings)(meshes)
        (shader(fragments, meshes)[..., 3].mean() + fragments.zbuf[..., 0].mean()).backward()

    return run


def measure(case: Case, mesh: Mesh, with_torch: bool) -> dict[str, int | float]:
    """One row of the table."""
    scene = make_scene(mesh, case.images, case.side_px)
    raster_ms, render_ms = times_ms(scene.rasterize, 15), times_ms(scene.render, 15)
    both_ms, fine_ms = times_ms(scene.render_and_back, 15), times_ms(lambda: scene.render_and_back(2), 15)
    row: dict[str, int | float] = {
        "images": case.images,
        "side_px": case.side_px,
        "faces": len(mesh.faces),
        "raster_ms": statistics.median(raster_ms),
        "raster_least": raster_ms[0],
        "render_ms": statistics.median(render_ms),
        "render_least": render_ms[0],
        "both_ms": statistics.median(both_ms),
        "both_least": both_ms[0],
        "both_2x2_ms": statistics.median(fine_ms),
        "both_2x2_least": fine_ms[0],
    }
    if has_pytorch3d():
        row["pytorch3d_both"] = times_ms(pytorch3d_pass(mesh, scene), 1)[0]
    if with_torch:
        row["torch_raster"] = times_ms(lambda: scene.rasterize("torch"), 1)[0]
    return row


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch", action="store_true", help="also time the reference back end")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    meshes = {faces: mesh_of(faces) for faces in sorted({case.faces for case in CASES})}
    rows = [measure(case, meshes[case.faces], options.torch) for case in CASES]
    if options.json:
        print(json.dumps(provenance() | {"pytorch3d": has_pytorch3d(), "rows": rows}))
        return
    print_provenance()
    if not has_pytorch3d():
        print("PyTorch3D is not installed: not compared")
    print(*(f"{name:>14}" for name in rows[0]))
    for row in rows:
        print(*(f"{value:14.1f}" if isinstance(value, float) else f"{value:14}" for value in row.values()))


if __name__ == "__main__":
    main()
