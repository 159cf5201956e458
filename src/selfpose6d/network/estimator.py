"""The pose estimation network: a crop and its points to one pose and one confidence for each sampled pixel."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import quaternion_to_matrix
from selfpose6d.network.colours import normalised_rgb
from selfpose6d.network.config import DenseFusionConfig
from selfpose6d.network.fusion import DenseFusion, FusedFeatures
from selfpose6d.network.initialise import initialise
from selfpose6d.network.interface import NetworkInput, ObjectTable, PosePrediction
from selfpose6d.network.pspnet import PSPNet

START_DEPTH = 0.2
"""Centre behind the visible surface along the line of sight at the start of training, diameters."""
START_SPREAD = 0.01
"""Size of the other offsets at the start, as a fraction of what random weights make."""


class PoseEstimator(nn.Module):
    """DenseFusion's network, pixel-wise weighted; one network for all objects, output channels per object.

    Reference: paper III-B, Fig. 2.
    """

    PARTS = ("colour_branch", "fusion", "rotation", "translation", "confidence")
    diameter_m: Tensor
    centre_m: Tensor

    def __init__(self, config: DenseFusionConfig, objects: ObjectTable) -> None:
        super().__init__()
        self.config, self.objects = config, objects
        self.colour_branch = PSPNet(config)
        self.fusion = DenseFusion(config)
        count = len(objects.obj_ids)
        self.rotation = PoseHead(config, count, 4)
        self.translation = PoseHead(config, count, 3)
        self.confidence = PoseHead(config, count, 1)
        self.register_buffer("diameter_m", torch.tensor(objects.diameter_m), persistent=False)
        self.register_buffer("centre_m", torch.tensor(objects.centre_m), persistent=False)
        initialise(self)
        self._start_behind_the_surface()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(
        self, inputs: NetworkInput, selected: Int[Tensor, "batch poses"] | None = None
    ) -> PosePrediction:
        """Predict a pose for the `selected` ones of the sampled pixels (default: all of them).

        The branches run on the selected pixels only; the global feature always sees every sampled pixel.
        """
        colour = self.embed(inputs.rgb, inputs.pixel)
        scale_m = self.diameter_m[inputs.object_index][:, None, None]
        fused = self.fusion(colour, inputs.points_crop_m / scale_m)
        points = inputs.points_crop_m
        if selected is not None:
            index = selected[..., None]
            fused = FusedFeatures(torch.take_along_dim(fused.local, index, 1), fused.whole)
            points = torch.take_along_dim(points, index, 1)
        quat_wxyz = self.rotation(fused, inputs.object_index).float()
        offset = self.translation(fused, inputs.object_index).float()
        logit = self.confidence(fused, inputs.object_index).float()
        with torch.autocast(points.device.type, enabled=False):  # half precision is for layers, not for poses
            R = quaternion_to_matrix(quat_wxyz)
            centre = R @ self.centre_m[inputs.object_index][:, None, :, None]
            t = points + offset * scale_m - centre.squeeze(-1)
        return PosePrediction(make_transform(R, t), logit.squeeze(-1), colour)

    @torch.no_grad()
    def _start_behind_the_surface(self) -> None:
        # what is seen lies before the object's centre: matched to the nearest surface, points would fit the
        # object's back as well, and the resolver would keep it there
        self.translation.output_weight.mul_(START_SPREAD)
        self.translation.output_bias[:, 2] = START_DEPTH

    def embed(
        self, rgb: Float[Tensor, "batch 3 crop crop"], pixel: Int[Tensor, "batch points"]
    ) -> Float[Tensor, "batch points channels"]:
        """Colour embedding of the sampled pixels."""
        normalised = normalised_rgb(rgb).contiguous(memory_format=torch.channels_last)
        embedding = self.colour_branch(normalised)
        crop, stride = rgb.shape[-1], self.config.map_stride
        row, column = pixel // crop // stride, pixel % crop // stride
        index = row * embedding.shape[-1] + column
        # take_along_dim would fix the batch of an exported graph
        return embedding.flatten(2).mT.gather(1, index[..., None].expand(-1, -1, embedding.shape[1]))


class PoseHead(nn.Module):
    """One regression branch: local and global features of a pixel to its object's output channels."""

    def __init__(self, config: DenseFusionConfig, objects: int, outputs: int) -> None:
        super().__init__()
        local = 2 * sum(config.fusion_channels)
        first, second, third = config.head_channels
        self.from_local = nn.Linear(local, first)
        self.from_whole = nn.Linear(config.global_channels[1], first, bias=False)
        self.hidden = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Linear(first, second),
            nn.ReLU(inplace=True),
            nn.Linear(second, third),
            nn.ReLU(inplace=True),
        )
        self.output_weight = nn.Parameter(torch.empty(objects, third, outputs))
        self.output_bias = nn.Parameter(torch.zeros(objects, outputs))
        nn.init.uniform_(self.output_weight, -(third**-0.5), third**-0.5)

    def forward(
        self, fused: FusedFeatures, object_index: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch poses outputs"]:
        """Equal to a layer on [local, global] a pixel, but the global part is multiplied once an instance."""
        hidden = self.hidden(self.from_local(fused.local) + self.from_whole(fused.whole)[:, None])
        return torch.baddbmm(
            self.output_bias[object_index][:, None], hidden, self.output_weight[object_index]
        )
