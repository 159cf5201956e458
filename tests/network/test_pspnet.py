"""The colour branch: resolution, receptive field, start of the residual branches, normalisations."""

from dataclasses import replace

import pytest
import torch
from networks import TINY

from selfpose6d.network.config import PAPER, SMALL
from selfpose6d.network.pspnet import PSPNet, PyramidPooling, ResidualBlock, dilated_resnet18


def test_the_dilated_resnet_has_stride_8():
    features = dilated_resnet18((4, 8, 8, 16), "none")(torch.zeros(1, 3, 64, 64))
    assert features.shape == (1, 16, 8, 8)


@pytest.mark.parametrize(("config", "size"), [(PAPER, 128), (SMALL, 48)])
def test_the_papers_map_has_the_crops_resolution_and_the_small_one_half(config, size):
    config = replace(
        config, stage_channels=(4, 4, 8, 8), psp_channels=8, decoder_channels=config.decoder_channels
    )
    with torch.no_grad():
        embedding = PSPNet(config)(torch.zeros(1, 3, config.crop_px, config.crop_px))
    assert embedding.shape == (1, 32, size, size)
    assert config.crop_px // config.map_stride == size


def test_log_softmax_is_over_the_channels():
    embedding = PSPNet(TINY)(torch.rand(2, 3, 32, 32))
    assert torch.allclose(embedding.exp().sum(1), torch.ones(2, 16, 16), atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_a_residual_block_starts_as_its_shortcut(norm):
    block = ResidualBlock(16, 16, 1, 2, norm)
    features = torch.rand(2, 16, 6, 6)
    assert torch.allclose(block(features), features)


def test_the_pyramid_lets_every_pixel_see_the_whole_crop():
    torch.manual_seed(0)  # few channels: of some weights all are below 0 at that pixel
    pooling = PyramidPooling(4, 8, (1, 2))
    features = torch.rand(1, 4, 8, 8, requires_grad=True)
    pooling(features)[0, :, 0, 0].sum().backward()
    assert features.grad is not None
    assert features.grad[0, :, 7, 7].abs().sum() > 0
