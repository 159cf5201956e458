"""Which poses are refined in training: the estimator's own alone would teach the refiner nothing but its habits."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from selfpose6d.geometry.se3 import rotate_about, transform_point
from selfpose6d.network.fragment_poses import is_repeat
from selfpose6d.network.interface import PosePrediction, Surfaces
from selfpose6d.network.pose_network import natural_starts
from selfpose6d.training.targets import Aims

MODES_TRIED = 2
"""Of an instance's modes that are rated and corrected in a step, drawn at random from those that differ: all of them
would cost as much as the estimator itself and tell little more."""
_SMALL_TURNS, _SMALL_SHIFTS = 1.5, 3.0
"""Powers of uniform draws: small errors are met more often than large ones, as at work."""


@dataclass(frozen=True)
class NearStarts:
    """The most confident pose, moved a little: by up to about `noise` radians and a third of that in diameters."""

    object_index: Int[Tensor, " batch"]
    surfaces: Surfaces
    noise: float
    generator: torch.Generator

    def draw(self, prediction: PosePrediction) -> Float[Tensor, "batch 1 4 4"]:
        """One start an instance, each moved by another amount."""
        T = natural_starts(prediction).detach()
        if self.noise == 0:
            return T
        count, device = len(T), self.generator.device
        size = self.noise * torch.rand(count, 1, generator=self.generator, device=device)
        normal = torch.randn(count, 6, generator=self.generator, device=device)
        return _moved(T, size * normal[:, :3], size / 3 * normal[:, 3:], self.object_index, self.surfaces)


@dataclass(frozen=True)
class WideStarts:
    """Some of the modes, whatever they are worth, and the target moved by up to `noise` radians and a third of that in
    diameters: by the full range wherever the estimator stands."""

    aims: Aims
    object_index: Int[Tensor, " batch"]
    surfaces: Surfaces
    noise: float
    generator: torch.Generator

    def draw(self, prediction: PosePrediction) -> Float[Tensor, "batch starts 4 4"]:
        """The modes first."""
        modes = prediction.T_crop_obj.detach()
        count, device = len(modes), self.generator.device
        luck = torch.rand(modes.shape[:2], generator=self.generator, device=device)
        drawn = (luck + is_repeat(modes)).argsort(1)[:, :MODES_TRIED]
        row = torch.arange(count, device=device)
        tried = modes[row[:, None], drawn]
        T_target = self.aims(tried[:, :1]).T_crop_obj
        turn, shift = (
            functional.normalize(torch.randn(count, 3, generator=self.generator, device=device), dim=1)
            * largest
            * torch.rand(count, 1, generator=self.generator, device=device) ** power
            for largest, power in ((self.noise, _SMALL_TURNS), (self.noise / 3, _SMALL_SHIFTS))
        )
        moved = _moved(T_target, turn, shift, self.object_index, self.surfaces)
        return torch.cat([tried, moved], 1)


def _moved(
    T_crop_obj: Float[Tensor, "batch 1 4 4"],
    turn_rad: Float[Tensor, "batch 3"],
    shift: Float[Tensor, "batch 3"],
    object_index: Int[Tensor, " batch"],
    surfaces: Surfaces,
) -> Float[Tensor, "batch 1 4 4"]:
    """Turned about the objects' centres by rotation vectors and shifted by diameters."""
    centre_m = transform_point(T_crop_obj, surfaces.centre_m[object_index][:, None])
    twist = torch.cat([shift * surfaces.diameter_m[object_index][:, None], turn_rad], 1)
    return rotate_about(T_crop_obj, centre_m, twist[:, None])
