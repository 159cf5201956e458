"""The comparison network: what is seen against what a pose says should be seen, both ways and without rendering.

Every sampled pixel is looked up on the mesh where the pose puts it (how far off is the surface, does its colour fit?),
and points of the mesh are looked up in the crop where the pose projects them (is the mask there, what was measured?).
From these a small network for sets tells how far off the pose is, and corrects it. It knows meshes, no object by heart:
all objects teach the same weights.

Reference: Qi et al., PointNet, 2017 (sets); Li et al., DeepIM, 2018 (matching what is seen with what is expected);
Wen et al., FoundationPose, 2024 (one network family that refines and ranks).
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.errors import UsageError
from selfpose6d.geometry.nearest import nearest_index
from selfpose6d.geometry.se3 import inverse, rotation_taking, transform_point, transform_points
from selfpose6d.geometry.so3 import quaternion_to_matrix
from selfpose6d.network.colours import colours_at, relative_rgb
from selfpose6d.network.config import CoordinatesConfig
from selfpose6d.network.initialise import initialise
from selfpose6d.network.interface import (
    CropView,
    NetworkInput,
    Rating,
    Refinement,
    Surfaces,
)

RESIDUAL_GAIN = 10.0
"""Distances to the surface are small beside positions, both in diameters: enlarged, they are of like size."""
MAX_RESIDUAL = 0.2
"""Diameters; what is farther off counts as this far: it is of something else, or the pose is plainly wrong."""
POSITION_GAIN = 2.0
"""Positions about the centre reach half a diameter."""
MEASURED_CHANNELS, EXPECTED_CHANNELS = 22, 20
Light = tuple[Float[Tensor, "batch poses 1 3"], Float[Tensor, "batch poses 1 1"]]
"""Mean of some colours and their deviation about it."""


class PoseComparison(nn.Module):
    """Rates poses and corrects them, several of each instance at once; corrections are nil at the start."""

    def __init__(self, config: CoordinatesConfig) -> None:
        super().__init__()
        self.points = config.compared_points
        channels = config.comparison_channels
        self.measured, self.expected = (
            _shared_layers(count, channels) for count in (MEASURED_CHANNELS, EXPECTED_CHANNELS)
        )
        self.correction, self.rating = (
            _branch(4 * channels[-1], config.refiner_channels, outputs) for outputs in (7, 2)
        )
        initialise(self)
        for branch in (self.correction, self.rating):
            for parameter in branch[-1].parameters():
                nn.init.zeros_(parameter)

    @property
    def trained(self) -> bool:
        """Whether it has learnt anything: at the start its corrections are nil."""
        return any(bool(parameter.any()) for parameter in self.correction[-1].parameters())

    def forward(
        self,
        inputs: NetworkInput,
        T_crop_obj: Float[Tensor, "batch starts 4 4"],
        surfaces: Surfaces | None,
        steps: int,
        frozen: bool = False,
    ) -> Refinement:
        """Each start after 0 to `steps` corrections, all of them rated; a step's gradient does not reach those before.

        `frozen` leaves all but the corrections' own layers as they are.

        Raises:
            UsageError: there are no meshes.
        """
        if surfaces is None:
            raise UsageError(
                "the network compares its poses with the objects' meshes: pass models (--models DIR)."
            )
        poses, ratings, T = [T_crop_obj], [], T_crop_obj
        evidence = Evidence.of(inputs, surfaces, self.points)
        for step in range(steps + 1):
            T = T.detach()
            with torch.autocast(T.device.type, enabled=False):  # half precision is for layers
                compared = evidence.under(T)
            with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
                pooled = self.pooled(compared)
                ratings.append(self.rating(pooled).float())
            if step < steps:
                change = self.correction(pooled).float()
                with torch.autocast(T.device.type, enabled=False):
                    T = corrected(T, change, surfaces, inputs.object_index)
                poses.append(T)
        return Refinement(torch.stack(poses, 2), Rating(*torch.stack(ratings, 2).unbind(-1)))

    def pooled(self, compared: "Comparison") -> Float[Tensor, "batch starts channels"]:
        """Mean and maximum over each of the two sets."""
        # all points in one list: layers of matrices with two axes are faster in an exported graph
        measured, expected = (
            layers(points.flatten(0, 2)).unflatten(0, points.shape[:3])
            for layers, points in ((self.measured, compared.measured), (self.expected, compared.expected))
        )
        # max's gradient is twice as cheap as amax's, which shares it among equals
        largest, expected_largest = measured.max(2).values, expected.max(2).values
        return torch.cat([measured.mean(2), largest, expected.mean(2), expected_largest], -1)


def corrected(
    T_crop_obj: Float[Tensor, "batch starts 4 4"],
    change: Float[Tensor, "batch starts 7"],
    surfaces: Surfaces,
    object_index: Int[Tensor, " batch"],
) -> Float[Tensor, "batch starts 4 4"]:
    """Turned about the object's centre and shifted, both along the crop's axes; shifts are in diameters."""
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0], device=change.device)
    R = quaternion_to_matrix(identity + change[..., :4]) @ T_crop_obj[..., :3, :3]
    centre_m = surfaces.centre_m[object_index][:, None]
    shift_m = change[..., 4:] * surfaces.diameter_m[object_index][:, None, None]
    return rotation_taking(R, centre_m, transform_point(T_crop_obj, centre_m) + shift_m)


class Comparison(NamedTuple):
    """What is known of each measured point under a pose, and of each point of the mesh."""

    measured: Float[Tensor, "batch poses points measured"]
    expected: Float[Tensor, "batch poses points expected"]


class Evidence(NamedTuple):
    """What of each instance is the same under every pose, looked up once: it has an axis of poses, of length 1.

    Lengths are in metres, directions along the crop frame's axes. Colours are kept as they are and relative to their
    mean and deviation over the measured points, so that light matters little; those of meshes without any are 0.
    """

    inputs: NetworkInput
    view: CropView
    surfaces: Surfaces
    diameter_m: Float[Tensor, "batch 1 1 1"]
    coloured: Float[Tensor, "batch 1 1 1"]
    measured_m: Float[Tensor, "batch 1 points 3"]
    seen: Float[Tensor, "batch 1 points 3"]
    """Colours of the measured points, -1 to 1."""
    seen_pattern: Float[Tensor, "batch 1 points 3"]
    """The same, relative to their light."""
    seen_light: Light
    expected_m: Float[Tensor, "batch 1 points 3"]
    """Points of the mesh, with their normals and colours."""
    normal: Float[Tensor, "batch 1 points 3"]
    rgb: Float[Tensor, "batch 1 points 3"]

    @classmethod
    def of(cls, inputs: NetworkInput, surfaces: Surfaces, points: int) -> "Evidence":
        """Of `points` of the measured points, and of as many of the meshes' points."""
        index, grid = inputs.object_index, surfaces.grid
        assert inputs.view is not None, "made by CropBatch.inputs where the configuration needs it"
        seen = colours_at(inputs.rgb, inputs.pixel[:, :points])[:, None]
        light = _light(seen)
        every = max(1, grid.points_m.shape[1] // points)
        mesh = (
            values[:, ::every][:, :points][index][:, None]
            for values in (grid.points_m, grid.normals, surfaces.rgb)
        )
        return cls(
            inputs,
            inputs.view,
            surfaces,
            surfaces.diameter_m[index][:, None, None, None],
            surfaces.coloured[index][:, None, None, None].to(seen),
            inputs.points_crop_m[:, None, :points],
            2 * seen - 1,
            relative_rgb(seen, *light),
            light,
            *mesh,
        )

    def under(self, T_crop_obj: Float[Tensor, "batch poses 4 4"]) -> "Comparison":
        """The measured points on the meshes where the poses put them, and the meshes' points in the crops."""
        centre_m = self.surfaces.centre_m[self.inputs.object_index][:, None]
        centre_m = transform_point(T_crop_obj, centre_m)[:, :, None]
        measured, mesh_light = self._measured(T_crop_obj, centre_m)
        return Comparison(measured, self._expected(T_crop_obj, centre_m, mesh_light))

    def _measured(
        self, T_crop_obj: Float[Tensor, "batch poses 4 4"], centre_m: Float[Tensor, "batch poses 1 3"]
    ) -> tuple[Float[Tensor, "batch poses points measured"], Light]:
        index, R, grid = self.inputs.object_index, T_crop_obj[..., :3, :3], self.surfaces.grid
        points_m = self.measured_m.expand(-1, T_crop_obj.shape[1], -1, -1)
        points_obj_m = transform_points(inverse(T_crop_obj), points_m)
        nearest = nearest_index(grid, index, points_obj_m.flatten(1, 2)).unflatten(1, points_m.shape[1:3])
        model = index[:, None, None]
        rgb = self.surfaces.rgb[model, nearest]
        mesh_light = _light(rgb)
        measured = [
            POSITION_GAIN * (points_m - centre_m) / self.diameter_m,
            _enlarged((grid.points_m[model, nearest] - points_obj_m) / self.diameter_m) @ R.mT,
            grid.normals[model, nearest] @ R.mT,
            self.seen.expand_as(points_m),
            (2 * rgb - 1) * self.coloured,
            self.seen_pattern.expand_as(points_m),
            relative_rgb(rgb, *mesh_light) * self.coloured,
            self.coloured.expand_as(points_m)[..., :1],
        ]
        return torch.cat(measured, -1), mesh_light

    def _expected(
        self,
        T_crop_obj: Float[Tensor, "batch poses 4 4"],
        centre_m: Float[Tensor, "batch poses 1 3"],
        mesh_light: Light,
    ) -> Float[Tensor, "batch poses points expected"]:
        poses = T_crop_obj.shape[1]
        points_m = transform_points(T_crop_obj, self.expected_m.expand(-1, poses, -1, -1))
        pixel, found = _looked_up(self.view, points_m, self.diameter_m)
        seen = colours_at(self.inputs.rgb, pixel.flatten(1)).unflatten(1, (poses, -1))
        expected = [
            POSITION_GAIN * (points_m - centre_m) / self.diameter_m,
            self.normal @ T_crop_obj[..., :3, :3].mT,
            2 * seen - 1,
            relative_rgb(seen, *self.seen_light),
            relative_rgb(self.rgb, *mesh_light) * self.coloured,
            found,
        ]
        return torch.cat(expected, -1)


def _looked_up(
    view: CropView,
    points_m: Float[Tensor, "batch poses points 3"],
    diameter_m: Float[Tensor, "batch 1 1 1"],
) -> tuple[Int[Tensor, "batch poses points"], Float[Tensor, "batch poses points 5"]]:
    """The crop's pixel at each point (crop frame), and what is measured there.

    That is: how far behind the point it was measured (enlarged, 0 if nothing was), whether anything was, whether it is
    of the mask, whether the point is in the crop, and whether a measured pixel of the mask is meant.
    """
    poses, size = points_m.shape[1], view.mask.shape[-1]
    T_cam_crop = view.T_cam_crop[:, None].expand(-1, poses, -1, -1)
    points_cam_m = transform_points(T_cam_crop, points_m)
    z_m, K = points_cam_m[..., 2].clamp_min(1e-3), view.K_crop[:, None, None]
    u_px, v_px = (points_cam_m[..., axis] / z_m * K[..., axis, axis] + K[..., axis, 2] for axis in (0, 1))
    inside = (u_px >= 0) & (u_px < size) & (v_px >= 0) & (v_px < size)
    # a network that is not finite is reported by the check of the loss, which comes later
    column, row = (px.nan_to_num(0.0).clamp(0, size - 1).long() for px in (u_px, v_px))
    pixel = row * size + column
    depth_m, mask = (
        image.flatten(1).gather(1, pixel.flatten(1)).unflatten(1, (poses, -1))
        for image in (view.depth_m, view.mask)
    )
    known = depth_m > 0
    gap = _enlarged((depth_m - z_m) / diameter_m.squeeze(-1)) * known
    flags = torch.stack([known, mask, inside, known & mask], -1).to(gap)
    return pixel, torch.cat([gap[..., None], flags], -1)


def _enlarged(distance: Tensor) -> Tensor:
    """Distances in diameters, of a size that layers can tell apart."""
    return RESIDUAL_GAIN * distance.clamp(-MAX_RESIDUAL, MAX_RESIDUAL)


def _light(rgb: Float[Tensor, "batch poses points 3"]) -> Light:
    """Mean colour and the deviation about it, of all channels."""
    deviation = rgb.std(2, keepdim=True).mean(-1, keepdim=True)
    return rgb.mean(2, keepdim=True), deviation


def _shared_layers(inputs: int, channels: tuple[int, ...]) -> nn.Sequential:
    """The same layers for every point of a set."""
    widths = (inputs, *channels)
    layers = [(nn.Linear(before, after), nn.ReLU(inplace=True)) for before, after in pairwise(widths)]
    return nn.Sequential(*(layer for pair in layers for layer in pair))


def _branch(inputs: int, channels: tuple[int, ...], outputs: int) -> nn.Sequential:
    return _shared_layers(inputs, channels).append(nn.Linear(channels[-1], outputs))
