"""What is seen of instances, looked up under poses: measured points on the meshes, the meshes' points in the crops."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, kernel_array, runs_numba
from selfpose6d.geometry.nearest import nearest_index
from selfpose6d.geometry.se3 import inverse, transform_point, transform_points
from selfpose6d.network.colours import MAX_CONTRAST, MIN_CONTRAST, colours_at, relative_rgb
from selfpose6d.network.evidence_numba import (
    EXPECTED_CHANNELS,
    MAX_RESIDUAL,
    MEASURED_CHANNELS,
    MIN_DEPTH_M,
    POSITION_GAIN,
    RESIDUAL_GAIN,
    look_up_expected,
    look_up_measured,
)
from selfpose6d.network.fragment_poses import Witnesses, about_centre
from selfpose6d.network.interface import CropView, Fragments, NetworkInput, Surfaces

Light = tuple[Float[Tensor, "batch poses 1 3"], Float[Tensor, "batch poses 1 1"]]
"""Mean of some colours and their deviation about it."""


class Comparison(NamedTuple):
    """What is known of each measured point under a pose, and of each point of the mesh."""

    measured: Float[Tensor, "batch poses points measured"]
    expected: Float[Tensor, "batch poses points expected"]


@dataclass(frozen=True)
class Evidence:
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
    witnesses: Witnesses | None = None
    """The estimator's reading of the crop, where poses are to be ranked by it too."""

    @classmethod
    def of(
        cls, inputs: NetworkInput, surfaces: Surfaces, points: int, fragments: Fragments | None = None
    ) -> "Evidence":
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
        witnesses = None
        if fragments is not None:
            witnesses = Witnesses.of(
                fragments, inputs.points_crop_m / surfaces.diameter_m[index][:, None, None]
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
            witnesses=witnesses,
        )

    def rows(self, index: Int[Tensor, " some"]) -> "Evidence":
        """Of some of the instances, in this order."""
        view = CropView(*(value[index] for value in self.view))
        images = (value[index] for value in self.inputs[:4])
        light = (self.seen_light[0][index], self.seen_light[1][index])
        own = {name: value[index] for name, value in vars(self).items() if isinstance(value, Tensor)}
        witnesses = self.witnesses and self.witnesses.rows(index)
        inputs = NetworkInput(*[*images, view])
        return replace(self, inputs=inputs, view=view, seen_light=light, witnesses=witnesses, **own)

    def agreement(self, T_crop_obj: Float[Tensor, "batch poses 4 4"]) -> Float[Tensor, "batch poses"] | None:
        """The share of pixels that support each pose, by the estimator's reading; None where it was not given."""
        if self.witnesses is None:
            return None
        centre_m = self.surfaces.centre_m[self.inputs.object_index]
        return self.witnesses.share(about_centre(T_crop_obj, centre_m, self.diameter_m.flatten()))

    def under(self, T_crop_obj: Float[Tensor, "batch poses 4 4"], backend: Backend = "auto") -> Comparison:
        """The measured points on the meshes where the poses put them, and the meshes' points in the crops.

        Without gradient. Both back ends agree but where a point lies on the border of a cell or pixel.
        """
        if runs_numba(backend, T_crop_obj.device, T_crop_obj.dtype == torch.float32):
            return self._under_numba(T_crop_obj)
        centre_m = self.surfaces.centre_m[self.inputs.object_index][:, None]
        centre_m = transform_point(T_crop_obj, centre_m)[:, :, None]
        measured, mesh_light = self._measured(T_crop_obj, centre_m)
        return Comparison(measured, self._expected(T_crop_obj, centre_m, mesh_light))

    def _under_numba(self, T_crop_obj: Float[Tensor, "batch poses 4 4"]) -> Comparison:
        batch, poses = T_crop_obj.shape[:2]
        T, instance = kernel_array(T_crop_obj).reshape(-1, 4, 4), np.repeat(np.arange(batch), poses)
        measured = np.empty((len(T), self.measured_m.shape[2], MEASURED_CHANNELS), np.float32)
        expected = np.empty((len(T), self.expected_m.shape[2], EXPECTED_CHANNELS), np.float32)
        mesh_light = np.empty((len(T), 4), np.float32)
        for_measured, for_expected, contrast = *self._arrays, (MIN_CONTRAST, MAX_CONTRAST)
        look_up_measured(*[T, instance, *for_measured, *contrast, measured, mesh_light])
        look_up_expected(*[T, instance, *for_expected, mesh_light, *contrast, expected])
        return Comparison(
            *(torch.from_numpy(values).unflatten(0, (batch, poses)) for values in (measured, expected))
        )

    @cached_property
    def _arrays(self) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """What the two kernels take beside the poses."""
        view, known = self.view, self.surfaces
        model = kernel_array(self.inputs.object_index)
        objects = tuple(map(kernel_array, (known.coloured, known.diameter_m, known.centre_m)))
        measured = (kernel_array(value[:, 0]) for value in (self.measured_m, self.seen, self.seen_pattern))
        meshes = map(kernel_array, (*known.grid, known.rgb))
        expected = (kernel_array(value[:, 0]) for value in (self.expected_m, self.normal, self.rgb))
        image = self.inputs.rgb.permute(0, 2, 3, 1).flatten(1, 2)
        images = map(kernel_array, (image, view.depth_m, view.mask, view.K_crop, view.T_cam_crop))
        seen_light = kernel_array(torch.cat(self.seen_light, -1)[:, 0, 0])
        return (model, *measured, *meshes, *objects), (model, *expected, *objects, *images, seen_light)

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
    z_m, K = points_cam_m[..., 2].clamp_min(MIN_DEPTH_M), view.K_crop[:, None, None]
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
