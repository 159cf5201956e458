"""Table III's two kinds of step are really taken, each changes what it trains, and both are measured."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

from networks import TINY
from small_roots import write_bop

from selfpose6d.network.config import SIZES
from selfpose6d.objects import shapes
from selfpose6d.reproduction import efficiency
from selfpose6d.reproduction.parts import Part
from selfpose6d.reproduction.training_step import OneStep
from selfpose6d.selection import Selection


@pytest.fixture
def part(tmp_path, monkeypatch) -> Part:
    monkeypatch.setitem(SIZES, "small", TINY)
    monkeypatch.setattr(shapes, "GRID_CELLS", 24)
    return Part(write_bop(tmp_path / "data", {1: 2}), "test", Selection())


def test_each_kind_trains_its_own_part(part, tmp_path):
    setting = OneStep.prepare(part, "small", 4, tmp_path / "cache")
    for kind, trained, kept in (("resolver", "estimator", "refiner"), ("renderer", "refiner", "estimator")):
        before = {n: p.detach().clone() for n, p in setting.network.named_parameters()}
        optimiser = torch.optim.SGD(setting.network.parameters(), lr=0.1)
        setting.step(kind, optimiser, 0)
        moved = {n for n, p in setting.network.named_parameters() if not torch.equal(p, before[n])}
        assert any(name.startswith(trained) for name in moved), kind
        assert not any(name.startswith(kept) for name in moved), kind
        run, poses = setting.target(kind)
        run()
        assert poses == {"resolver": 4 * TINY.num_points, "renderer": 4 * 2}[kind]


def test_both_kinds_are_measured(part, monkeypatch):
    monkeypatch.setattr(efficiency, "WARM_UP", 1)
    monkeypatch.setattr(efficiency, "MEASURED", 2)
    task = {"part": efficiency._part_to_json(part), "size": "small", "batch": 4}
    for kind in efficiency.KINDS:
        cost = efficiency.measure_in_this_process(task | {"kind": kind})
        assert min(cost.step_ms, cost.target_ms, cost.peak_mb) > 0
        assert cost.poses == {"resolver": 4 * TINY.num_points, "renderer": 8}[kind]
