"""Estimator and refiner as one network: what is trained, saved and loaded."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.network.comparison import PoseComparison
from selfpose6d.network.config import CoordinatesConfig, DenseFusionConfig, NetworkConfig
from selfpose6d.network.coordinates import CoordinateEstimator
from selfpose6d.network.estimator import PoseEstimator
from selfpose6d.network.fragment_poses import without_repeats
from selfpose6d.network.interface import NetworkInput, ObjectTable, PosePrediction, Refinement, Surfaces
from selfpose6d.network.refiner import PoseRefiner

Features = Literal["joint", "detached", "frozen"]
Starts = Callable[[PosePrediction], Float[Tensor, "batch starts 4 4"]]
"""Which poses are refined, of what the estimator predicts."""


class NetworkOutput(NamedTuple):
    """The estimator's poses, and what became of the starts; None where nothing was refined or rated."""

    prediction: PosePrediction
    refinement: Refinement | None


def natural_starts(prediction: PosePrediction) -> Float[Tensor, "batch starts 4 4"]:
    """What is refined at work: of one pose a pixel the most confident, of fragments' poses all that differ."""
    if prediction.confidence_logit is None:
        return without_repeats(prediction.T_crop_obj)
    best = prediction.confidence_logit.argmax(1)
    return prediction.T_crop_obj[torch.arange(len(best), device=best.device), best][:, None]


class PoseNetwork(nn.Module):
    """The paper's two networks; or the coordinate estimator, and the comparison network that rates its poses too.

    Reference: paper III, Fig. 2 and 3.
    """

    estimator: PoseEstimator | CoordinateEstimator
    refiner: PoseRefiner | PoseComparison

    def __init__(self, config: NetworkConfig, objects: ObjectTable, surfaces: Surfaces | None = None) -> None:
        """`surfaces` are what fragments are made of; without them they must come with a file's weights."""
        super().__init__()
        self.config, self.objects = config, objects
        if isinstance(config, CoordinatesConfig):
            self.estimator, self.refiner = (
                CoordinateEstimator(config, objects, surfaces),
                PoseComparison(config),
            )
        else:
            assert isinstance(config, DenseFusionConfig)
            self.estimator, self.refiner = PoseEstimator(config, objects), PoseRefiner(config, objects)

    @property
    def compares(self) -> bool:
        """Whether even unrefined poses need the meshes: to be rated."""
        return isinstance(self.refiner, PoseComparison)

    def forward(
        self,
        inputs: NetworkInput,
        surfaces: Surfaces | None = None,
        selected: Int[Tensor, "batch poses"] | None = None,
        refine_steps: int = 0,
        features: Features = "detached",
        starts: Starts = natural_starts,
    ) -> NetworkOutput:
        """Predict, then refine what `starts` chooses `refine_steps` times; the comparison network rates it in any case.

        `surfaces` are the objects' meshes, for the refiner. No gradient flows from it into the starts.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and features != "frozen"):
            prediction = self.estimator(inputs, selected)
        if not refine_steps and not self.compares:
            return NetworkOutput(prediction, None)
        with torch.autocast(inputs.rgb.device.type, enabled=False):  # half precision is for layers
            T = starts(prediction).detach()
        return NetworkOutput(prediction, self.refine(inputs, prediction, T, surfaces, refine_steps, features))

    def refine(
        self,
        inputs: NetworkInput,
        prediction: PosePrediction,
        T_crop_obj: Float[Tensor, "batch starts 4 4"],
        surfaces: Surfaces | None,
        steps: int,
        features: Features = "detached",
    ) -> Refinement:
        """Correct these poses of each instance `steps` times.

        Raises:
            UsageError: the refiner compares with the meshes, and there are none.
        """
        if isinstance(self.refiner, PoseComparison):
            return self.refiner(inputs, T_crop_obj, surfaces, steps, features == "frozen")
        assert prediction.colour is not None
        count, starts = T_crop_obj.shape[:2]
        row = torch.arange(count, device=T_crop_obj.device).repeat_interleave(starts)
        colour = prediction.colour if features == "joint" else prediction.colour.detach()
        T = T_crop_obj.flatten(0, 1)
        points_m, index = inputs.points_crop_m[row], inputs.object_index[row]
        refined = self.refiner(colour[row], points_m, T, index, surfaces and surfaces.grid, steps)
        return Refinement(torch.cat([T[:, None], refined], 1).unflatten(0, (count, starts)))
