"""Estimator and refiner as one network: what is trained, saved and loaded."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.geometry.nearest import NearestGrid
from selfpose6d.network.config import CoordinatesConfig, DenseFusionConfig, NetworkConfig
from selfpose6d.network.coordinates import CoordinateEstimator
from selfpose6d.network.estimator import PoseEstimator
from selfpose6d.network.interface import NetworkInput, ObjectTable, PosePrediction
from selfpose6d.network.refiner import PoseRefiner

Features = Literal["joint", "detached", "frozen"]


class NetworkOutput(NamedTuple):
    """One pose a selected pixel, and the most confident of them after each refinement step."""

    prediction: PosePrediction
    T_refined: Float[Tensor, "batch steps 4 4"] | None


def make_estimator(config: NetworkConfig, objects: ObjectTable) -> PoseEstimator | CoordinateEstimator:
    """The estimator of the configuration's architecture."""
    if isinstance(config, CoordinatesConfig):
        return CoordinateEstimator(config, objects)
    assert isinstance(config, DenseFusionConfig)
    return PoseEstimator(config, objects)


class PoseNetwork(nn.Module):
    """The paper's two networks, or the coordinate estimator in place of the first; the refiner works on its colours.

    Reference: paper III, Fig. 2 and 3.
    """

    def __init__(self, config: NetworkConfig, objects: ObjectTable) -> None:
        super().__init__()
        self.config, self.objects = config, objects
        self.estimator = make_estimator(config, objects)
        self.refiner = PoseRefiner(config, objects)

    def forward(
        self,
        inputs: NetworkInput,
        grid: NearestGrid | None = None,
        selected: Int[Tensor, "batch poses"] | None = None,
        refine_steps: int = 0,
        features: Features = "detached",
        perturbation: Float[Tensor, "batch 6"] | None = None,
    ) -> NetworkOutput:
        """Predict, then refine each instance's most confident pose `refine_steps` times.

        `grid` holds the objects' shapes, for the refiner. `perturbation` moves that pose first, by a small rotation
        about the object's centre (radians) and a shift (diameters): the refiner shall learn from more than the
        estimator's habits.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and features != "frozen"):
            prediction = self.estimator(inputs, selected)
        if not refine_steps:
            return NetworkOutput(prediction, None)
        best = prediction.confidence_logit.argmax(1)
        T = prediction.T_crop_obj.gather(1, best[:, None, None, None].expand(-1, 1, 4, 4)).squeeze(1)
        if perturbation is not None:
            quat_wxyz = torch.cat([torch.ones_like(perturbation[:, :1]), 0.5 * perturbation[:, :3]], 1)
            T = T @ self.refiner.about_centre(quat_wxyz, perturbation[:, 3:], inputs.object_index)
        colour = prediction.colour if features == "joint" else prediction.colour.detach()
        refined = self.refiner(colour, inputs.points_crop_m, T, inputs.object_index, grid, refine_steps)
        return NetworkOutput(prediction, refined)
