"""The refinement network: the observed points, moved into the object's frame by the pose so far, tell what is left.

At a perfect pose they lie on the model; how they miss it, and which colour lies where, says how to correct the pose.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.errors import UsageError
from selfpose6d.geometry.nearest import NearestGrid, nearest_index
from selfpose6d.geometry.se3 import inverse, rotation_taking, transform_points
from selfpose6d.geometry.so3 import quaternion_to_matrix
from selfpose6d.network.config import DenseFusionConfig
from selfpose6d.network.fusion import DenseFusion
from selfpose6d.network.initialise import initialise
from selfpose6d.network.interface import ObjectTable

RESIDUAL_GAIN = 10.0
"""Residuals are small beside the points' coordinates, both in diameters: enlarged, they are of like size."""
MAX_RESIDUAL = 0.2
"""Diameters; points farther from the model than that (of a loose mask, say) count as this far."""


class PoseRefiner(nn.Module):
    """Predicts one correction of each pose; it starts as the identity and has no confidence.

    Reference: paper III-C, Iterative Refinement Network.
    """

    diameter_m: Tensor
    centre_m: Tensor

    def __init__(self, config: DenseFusionConfig, objects: ObjectTable) -> None:
        super().__init__()
        self.residuals = config.refiner_residuals
        self.fusion = DenseFusion(config, point_channels=6 if self.residuals else 3)
        count = len(objects.obj_ids)
        self.rotation = CorrectionHead(config, count, 4)
        self.translation = CorrectionHead(config, count, 3)
        self.register_buffer("diameter_m", torch.tensor(objects.diameter_m), persistent=False)
        self.register_buffer("centre_m", torch.tensor(objects.centre_m), persistent=False)
        initialise(self)

    @property
    def trained(self) -> bool:
        """Whether it has learnt anything: at the start its corrections are nil."""
        heads = (self.rotation, self.translation)
        return any(bool(weight.any()) for head in heads for weight in (head.output_weight, head.output_bias))

    def forward(
        self,
        colour: Float[Tensor, "batch points channels"],
        points_cam_m: Float[Tensor, "batch points 3"],
        T_cam_obj: Float[Tensor, "batch 4 4"],
        object_index: Int[Tensor, " batch"],
        grid: NearestGrid | None,
        steps: int,
    ) -> Float[Tensor, "batch steps 4 4"]:
        """The pose after each step, T_k = T_{k-1} Delta_k; a step's gradient does not reach the steps before it.

        `colour` is the estimator's embedding of the points, `grid` holds the objects' shapes in the order of the
        channels (needed with `refiner_residuals`). The frame called `cam` may be any that the points are in.

        Reference: paper Eq. (5).
        """
        poses = []
        for _ in range(steps):
            T_cam_obj = T_cam_obj.detach()
            with torch.autocast(points_cam_m.device.type, enabled=False):  # half precision is for layers
                points_obj_m = transform_points(inverse(T_cam_obj), points_cam_m)
                geometry = self.geometry(points_obj_m, object_index, grid)
            quat_wxyz, shift = self.correction(colour, geometry, object_index)
            with torch.autocast(points_cam_m.device.type, enabled=False):
                T_cam_obj = T_cam_obj @ self.about_centre(quat_wxyz, shift, object_index)
            poses.append(T_cam_obj)
        return torch.stack(poses, 1)

    def geometry(
        self,
        points_obj_m: Float[Tensor, "batch points 3"],
        object_index: Int[Tensor, " batch"],
        grid: NearestGrid | None,
    ) -> Float[Tensor, "batch points p"]:
        """Each point about the centre, in diameters, and (enlarged) how far the nearest model point is from it."""
        scale_m, centre = self.diameter_m[object_index][:, None, None], self.centre_m[object_index][:, None]
        centred = (points_obj_m - centre) / scale_m
        if not self.residuals:
            return centred
        if grid is None:
            raise UsageError("the refinement network needs the objects' meshes: pass models (--models DIR).")
        nearest = nearest_index(grid, object_index, points_obj_m)
        residual = (grid.points_m[object_index[:, None], nearest] - points_obj_m) / scale_m
        return torch.cat([centred, RESIDUAL_GAIN * residual.clamp(-MAX_RESIDUAL, MAX_RESIDUAL)], -1)

    def correction(
        self,
        colour: Float[Tensor, "batch points channels"],
        geometry: Float[Tensor, "batch points p"],
        object_index: Int[Tensor, " batch"],
    ) -> tuple[Float[Tensor, "batch 4"], Float[Tensor, "batch 3"]]:
        """A quaternion (w, x, y, z, of any length) and a shift in diameters."""
        fused = self.fusion(colour, geometry)
        identity = torch.tensor([1.0, 0.0, 0.0, 0.0], device=fused.whole.device)
        quat_wxyz = identity + self.rotation(fused.whole, object_index).float()
        return quat_wxyz, self.translation(fused.whole, object_index).float()

    def about_centre(
        self,
        quat_wxyz: Float[Tensor, "batch 4"],
        shift: Float[Tensor, "batch 3"],
        object_index: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch 4 4"]:
        """Delta: a rotation about the object's centre and a shift, in the object's frame."""
        R, centre = quaternion_to_matrix(quat_wxyz), self.centre_m[object_index]
        shift_m = shift * self.diameter_m[object_index][:, None]
        return rotation_taking(R, centre, centre + shift_m)


class CorrectionHead(nn.Module):
    """One regression branch: the instance's global feature to its object's output channels, 0 at the start."""

    def __init__(self, config: DenseFusionConfig, objects: int, outputs: int) -> None:
        super().__init__()
        first, second = config.refiner_channels
        self.hidden = nn.Sequential(
            nn.Linear(config.global_channels[1], first),
            nn.ReLU(inplace=True),
            nn.Linear(first, second),
            nn.ReLU(inplace=True),
        )
        self.output_weight = nn.Parameter(torch.zeros(objects, second, outputs))
        self.output_bias = nn.Parameter(torch.zeros(objects, outputs))

    def forward(
        self, whole: Float[Tensor, "batch channels"], object_index: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch outputs"]:
        """Outputs of each instance's own object."""
        weighted = torch.einsum("bc,bco->bo", self.hidden(whole), self.output_weight[object_index])
        return weighted + self.output_bias[object_index]
