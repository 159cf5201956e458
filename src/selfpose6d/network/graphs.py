"""The networks as graphs for export: named tensors in and out, any batch, nothing that only torch computes.

An estimator and one step of its refiner are two graphs; who runs them repeats the step as often as wanted. Objects'
sizes, and the meshes that a refiner compares with, are inside.
"""

from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from selfpose6d.geometry.rigid_fit import Rotation, best_rotation_by_products
from selfpose6d.network.comparison import PoseComparison, corrected
from selfpose6d.network.coordinates import CoordinateEstimator
from selfpose6d.network.estimator import PoseEstimator
from selfpose6d.network.evidence import Evidence
from selfpose6d.network.interface import CropView, NetworkInput, Surfaces
from selfpose6d.network.refiner import PoseRefiner


class CoordinatesGraph(nn.Module):
    """The coordinate estimator: a crop to several poses, the best supported first."""

    inputs: ClassVar = ("rgb", "surface", "mask", "points_crop_m", "pixel", "object_index")
    outputs: ClassVar = ("T_crop_obj", "logit", "offset", "centre")

    def __init__(
        self, estimator: CoordinateEstimator, rotation: Rotation = best_rotation_by_products
    ) -> None:
        """`rotation` is what fits poses to places."""
        super().__init__()
        self.estimator, self.rotation = estimator, rotation

    def forward(
        self,
        rgb: Float[Tensor, "batch 3 crop crop"],
        surface: Float[Tensor, "batch 5 crop crop"],
        mask: Bool[Tensor, "batch crop crop"],
        points_crop_m: Float[Tensor, "batch points 3"],
        pixel: Int[Tensor, "batch points"],
        object_index: Int[Tensor, " batch"],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Poses, and for who checks them the fragments that support them."""
        unused_depth, unused_K, unused_T = rgb[:, 0], rgb[:, 0, :3, :3], rgb[:, 0, :4, :4]
        view = CropView(surface, unused_depth, mask, unused_K, unused_T)
        inputs = NetworkInput(rgb, points_crop_m, pixel, object_index, view)
        found = self.estimator(inputs, rotation=self.rotation)
        assert found.fragments is not None
        return found.T_crop_obj, *found.fragments


class DenseFusionGraph(nn.Module):
    """The paper's estimator: a crop to one pose and one confidence for each sampled pixel."""

    inputs: ClassVar = ("rgb", "points_crop_m", "pixel", "object_index")
    outputs: ClassVar = ("T_crop_obj", "confidence", "colour")

    def __init__(self, estimator: PoseEstimator) -> None:
        super().__init__()
        self.estimator = estimator

    def forward(
        self,
        rgb: Float[Tensor, "batch 3 crop crop"],
        points_crop_m: Float[Tensor, "batch points 3"],
        pixel: Int[Tensor, "batch points"],
        object_index: Int[Tensor, " batch"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Poses, their confidence 0-1, and the colour embedding that the refiner takes."""
        found = self.estimator(NetworkInput(rgb, points_crop_m, pixel, object_index))
        assert found.colour is not None
        return found.T_crop_obj, found.confidence, found.colour


class ComparisonGraph(nn.Module):
    """The comparison network: rates poses by the meshes and makes one correction of each, any number of an instance."""

    inputs: ClassVar = (
        "rgb",
        "depth_m",
        "mask",
        "K_crop",
        "T_cam_crop",
        "points_crop_m",
        "pixel",
        "object_index",
        "T_crop_obj",
    )
    outputs: ClassVar = ("T_corrected", "sharpness", "right_logit")

    def __init__(self, comparison: PoseComparison, surfaces: Surfaces) -> None:
        super().__init__()
        self.comparison, self.surfaces = comparison, surfaces

    def forward(
        self,
        rgb: Float[Tensor, "batch 3 crop crop"],
        depth_m: Float[Tensor, "batch crop crop"],
        mask: Bool[Tensor, "batch crop crop"],
        K_crop: Float[Tensor, "batch 3 3"],
        T_cam_crop: Float[Tensor, "batch 4 4"],
        points_crop_m: Float[Tensor, "batch points 3"],
        pixel: Int[Tensor, "batch points"],
        object_index: Int[Tensor, " batch"],
        T_crop_obj: Float[Tensor, "batch starts 4 4"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The poses after one correction, and the rating of those before it."""
        unused_surface = rgb[:, [0, 0, 0, 0, 0]]
        view = CropView(unused_surface, depth_m, mask, K_crop, T_cam_crop)
        inputs = NetworkInput(rgb, points_crop_m, pixel, object_index, view)
        evidence = Evidence.of(inputs, self.surfaces, self.comparison.points)
        pooled = self.comparison.pooled(evidence.under(T_crop_obj))
        T = corrected(T_crop_obj, self.comparison.correction(pooled), self.surfaces, object_index)
        return T, *self.comparison.rating(pooled).unbind(-1)


class RefinerGraph(nn.Module):
    """The paper's refinement network: one correction of one pose of each instance."""

    inputs: ClassVar = ("colour", "points_crop_m", "object_index", "T_crop_obj")
    outputs: ClassVar = ("T_corrected",)

    def __init__(self, refiner: PoseRefiner, surfaces: Surfaces | None) -> None:
        super().__init__()
        self.refiner, self.grid = refiner, surfaces and surfaces.grid

    def forward(
        self,
        colour: Float[Tensor, "batch points channels"],
        points_crop_m: Float[Tensor, "batch points 3"],
        object_index: Int[Tensor, " batch"],
        T_crop_obj: Float[Tensor, "batch 4 4"],
    ) -> Tensor:
        """The poses after it."""
        return self.refiner(colour, points_crop_m, T_crop_obj, object_index, self.grid, 1)[:, 0]


Graph = CoordinatesGraph | DenseFusionGraph | ComparisonGraph | RefinerGraph
