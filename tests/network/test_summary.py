"""Sizes: hand-counted parameters and the paper's order of magnitude."""

import pytest
import torch
from networks import OBJECTS, TINY, TINY_COORDINATES, build_both

from selfpose6d.errors import UsageError
from selfpose6d.network.config import COORDINATES, PAPER, SIZES, SMALL, CoordinatesConfig, DenseFusionConfig
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.network.summary import count_parameters, summarise


def test_parameters_counted_by_hand():
    assert count_parameters(torch.nn.Linear(3, 4)) == 16


@pytest.mark.parametrize("config", [TINY, TINY_COORDINATES], ids=lambda config: config.architecture)
def test_the_parts_make_the_whole(config):
    network = build_both(config)
    *parts, whole = summarise(network)
    assert [part.name for part in parts] == [*(f"estimator.{p}" for p in network.estimator.PARTS), "refiner"]
    assert sum(part.parameters for part in parts) == whole.parameters
    assert 0.97 * whole.flops < sum(part.flops for part in parts) <= whole.flops


def test_small_coordinates_are_smaller_than_those_of_the_papers_crop():
    paper, small = (summarise(PoseNetwork(COORDINATES[size], OBJECTS))[-1] for size in ("paper", "small"))
    assert small.parameters < 2e6 < paper.parameters < 20e6
    assert small.flops < paper.flops / 5


def test_the_fusion_layers_flops_by_hand():
    fusion = next(part for part in summarise(build_both()) if part.name == "estimator.fusion")
    first, second = TINY.fusion_channels
    per_point = (TINY.colour_channels + 3) * first + 2 * first * second + 4 * 2
    per_point += 2 * second * TINY.global_channels[0] + TINY.global_channels[0] * TINY.global_channels[1]
    assert fusion.flops == 2 * TINY.num_points * per_point


def test_the_papers_size_is_densefusions_and_small_is_smaller():
    paper, small = (summarise(PoseNetwork(SIZES[size], OBJECTS))[-1] for size in ("paper", "small"))
    assert 15e6 < paper.parameters < 30e6
    assert small.parameters < paper.parameters / 5
    assert small.flops < paper.flops / 5


def test_the_sizes_share_one_structure():
    assert PAPER.psp_bins == SMALL.psp_bins == (1, 2, 3, 6)
    assert (PAPER.map_stride, SMALL.map_stride) == (1, 2)


@pytest.mark.parametrize(
    "change", [{"crop_px": 100}, {"decoder_channels": ()}, {"num_points": 0}, {"dropout": 1.0}]
)
def test_nonsense_is_refused(change):
    with pytest.raises(UsageError, match=r"must|need"):
        DenseFusionConfig(**{**vars(TINY), **change})


@pytest.mark.parametrize("change", [{"crop_px": 40}, {"modes": 0}, {"num_points": 0}])
def test_nonsensical_coordinates_are_refused(change):
    with pytest.raises(UsageError, match=r"must|need"):
        CoordinatesConfig(**{**vars(TINY_COORDINATES), **change})
