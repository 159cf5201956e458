"""Places on an object as a choice among fragments of its surface, with a place of its own in each.

A view that allows several answers (which side of a box?) leaves several fragments likely, where a regressed coordinate
would lie between them; what makes one pose of them is the fit (`fragment_poses`).

Reference: Brachmann et al., Learning 6D object pose estimation using 3D object coordinates, 2014 (classes and
regression within each); Hodan et al., EPOS, 2020 (fragments, one object's channels each).
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.network.config import CoordinatesConfig
from selfpose6d.network.interface import Fragments, Surfaces

REACH = 0.07
"""Diameters that a fragment's place moves by for an output of 1, about half of what 128 centres are apart."""
START_SPREAD = 0.1
"""Deviation of all outputs at the start: all fragments are about as likely, places are about their centres."""


class FragmentHead(nn.Module):
    """For each pixel the logit of every fragment and its place if in it, by its object's own output channels."""

    fragment_centre: Tensor
    gain: Tensor
    """Of logits and offsets, on the weights: they are fewer than what they make."""

    def __init__(self, config: CoordinatesConfig, objects: int, surfaces: Surfaces | None) -> None:
        super().__init__()
        self.fragments = config.fragments
        unknown = torch.full((objects, config.fragments, 3), torch.nan)  # until a file's weights bring them
        centre = unknown if surfaces is None else fragment_centres(surfaces, config.fragments)
        self.register_buffer("fragment_centre", centre)
        outputs = 4 * config.fragments + 1
        gain = torch.ones(outputs)
        gain[config.fragments + 1 :] = REACH
        self.register_buffer("gain", gain, persistent=False)
        spread = START_SPREAD * config.pixel_channels**-0.5
        self.output_weight = nn.Parameter(spread * torch.randn(objects, config.pixel_channels, outputs))
        self.output_bias = nn.Parameter(torch.zeros(objects, outputs))

    def forward(
        self, hidden: Float[Tensor, "batch points channels"], object_index: Int[Tensor, " batch"]
    ) -> Fragments:
        """Of every sampled pixel."""
        weight, bias = self.output_weight[object_index], self.output_bias[object_index][:, None]
        output = torch.baddbmm(self.gain * bias, hidden, self.gain * weight).float()
        logit, offset = output.split([self.fragments + 1, 3 * self.fragments], -1)
        return Fragments(logit, offset.unflatten(-1, (self.fragments, 3)), self.fragment_centre[object_index])


def fragment_centres(surfaces: Surfaces, count: int) -> Float[Tensor, "objects fragments 3"]:
    """Points of each surface far from each other, about the object's centre in diameters.

    The first is the one farthest from the centre, each further one that farthest from all before it.

    Reference: Gonzalez, Clustering to minimize the maximum intercluster distance, 1985.
    """
    centred = surfaces.grid.points_m - surfaces.centre_m[:, None]
    points = centred / surfaces.diameter_m[:, None, None]
    row = torch.arange(len(points), device=points.device)
    chosen = [points.norm(dim=-1).argmax(1)]
    apart = torch.full_like(points[..., 0], np.inf)
    while len(chosen) < count:
        apart = torch.minimum(apart, (points - points[row, chosen[-1]][:, None]).square().sum(-1))
        chosen.append(apart.argmax(1))
    return points[row[:, None], torch.stack(chosen, 1)]
