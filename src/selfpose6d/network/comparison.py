"""The comparison network: what is seen against what a pose says should be seen, both ways and without rendering.

Every sampled pixel is looked up on the mesh where the pose puts it (how far off is the surface, does its colour fit?),
and points of the mesh are looked up in the crop where the pose projects them (is the mask there, what was measured?).
From these a small network for sets tells how far off the pose is, and corrects it. It knows meshes, no object by heart:
all objects teach the same weights.

Reference: Qi et al., PointNet, 2017 (sets); Li et al., DeepIM, 2018 (matching what is seen with what is expected);
Wen et al., FoundationPose, 2024 (one network family that refines and ranks).
"""

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.backend import Backend, kernel_array, runs_numba
from selfpose6d.errors import UsageError
from selfpose6d.geometry.se3 import rotation_taking, transform_point
from selfpose6d.geometry.so3 import quaternion_to_matrix
from selfpose6d.network.config import CoordinatesConfig
from selfpose6d.network.correction_numba import correct_poses
from selfpose6d.network.evidence import EXPECTED_CHANNELS, MEASURED_CHANNELS, Comparison, Evidence
from selfpose6d.network.initialise import initialise
from selfpose6d.network.interface import (
    NetworkInput,
    RatedPoses,
    Rating,
    Refinement,
    Surfaces,
)

READING_WEIGHT, LEAST_AGREEMENT = 0.2, 0.01
"""Of the logarithm of the share of pixels that agree, beside that of one over the expected error. A pattern on a mesh
that no camera sees, as a scan's shine, turns a mug whose handle is hidden until it fits; the estimator, which has
learnt what may look so, does not follow. Ten real mugs: ADD 74.9 without, 79.0 with 0.1, 84.7, 82.6 with 0.5; rendered
0.04 less, then 0.1 (development sets, docs/results.md). A share below a hundredth is none."""


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

    def compared(self, evidence: Evidence, T_crop_obj: Float[Tensor, "batch starts 4 4"]) -> RatedPoses:
        """Poses, rated, with the correction that each calls for: a step of `forward` for who chooses where to go on.

        They are ranked by the rating and, a little, by what the estimator read in the crop.
        """
        with torch.autocast(T_crop_obj.device.type, enabled=False):  # half precision is for layers
            known, agreement = evidence.under(T_crop_obj), evidence.agreement(T_crop_obj)
        pooled = self.pooled(known)
        score, right_logit = self.rating(pooled).float().unbind(-1)
        if agreement is not None:
            score = score + READING_WEIGHT * (agreement + LEAST_AGREEMENT).log()
        return RatedPoses(T_crop_obj, score, right_logit, self.correction(pooled).float())

    def pooled(self, compared: Comparison) -> Float[Tensor, "batch starts channels"]:
        """Mean and maximum over each of the two sets."""
        # all points in one list: layers of matrices with two axes are faster in an exported graph
        measured, expected = (
            layers(points.flatten(0, 2)).unflatten(0, points.shape[:3])
            for layers, points in ((self.measured, compared.measured), (self.expected, compared.expected))
        )
        return torch.cat([measured.mean(2), _largest(measured), expected.mean(2), _largest(expected)], -1)


def corrected(
    T_crop_obj: Float[Tensor, "batch starts 4 4"],
    change: Float[Tensor, "batch starts 7"],
    surfaces: Surfaces,
    object_index: Int[Tensor, " batch"],
    backend: Backend = "auto",
) -> Float[Tensor, "batch starts 4 4"]:
    """Turned about the object's centre and shifted, both along the crop's axes; shifts are in diameters.

    The compiled back end is without gradient.
    """
    has_kernel = change.dtype == T_crop_obj.dtype == torch.float32 and not change.requires_grad
    if runs_numba(backend, change.device, has_kernel):
        T = torch.empty_like(T_crop_obj, memory_format=torch.contiguous_format)
        given = (T_crop_obj, change, surfaces.centre_m[object_index], surfaces.diameter_m[object_index])
        correct_poses(*[*map(kernel_array, given), T.numpy()])
        return T
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0], device=change.device)
    R = quaternion_to_matrix(identity + change[..., :4]) @ T_crop_obj[..., :3, :3]
    centre_m = surfaces.centre_m[object_index][:, None]
    shift_m = change[..., 4:] * surfaces.diameter_m[object_index][:, None, None]
    return rotation_taking(R, centre_m, transform_point(T_crop_obj, centre_m) + shift_m)


def _largest(values: Float[Tensor, "batch starts points channels"]) -> Float[Tensor, "batch starts channels"]:
    # max's gradient is twice as cheap as amax's, which shares it among equals; without a gradient amax takes a tenth
    return values.max(2).values if values.requires_grad else values.amax(2)


def _shared_layers(inputs: int, channels: tuple[int, ...]) -> nn.Sequential:
    """The same layers for every point of a set."""
    widths = (inputs, *channels)
    layers = [(nn.Linear(before, after), nn.ReLU(inplace=True)) for before, after in pairwise(widths)]
    return nn.Sequential(*(layer for pair in layers for layer in pair))


def _branch(inputs: int, channels: tuple[int, ...], outputs: int) -> nn.Sequential:
    return _shared_layers(inputs, channels).append(nn.Linear(channels[-1], outputs))
