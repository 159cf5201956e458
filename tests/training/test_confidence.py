"""What a rating is worth: the line through its logits, and the probability that is proven to be certified."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from selfpose6d.network.confidence import Confidence
from selfpose6d.training.confidence import measure_confidence


def drawn(count: int, scale: float, shift: float, seed: int = 0):
    """Logits whose probability of being right is that of a line through them."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(2.0, 3.0, count)
    return logit, generator.random(count) < expit(scale * logit + shift)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.4, -1.0), (2.5, 0.5)])
def test_the_line_is_found(scale, shift):
    found = measure_confidence(*drawn(5000, scale, shift))
    assert found.scale == pytest.approx(scale, rel=0.15)
    assert found.shift == pytest.approx(shift, abs=0.2)
    assert found.instances == 5000


def test_certified_poses_are_as_good_as_promised():
    found = measure_confidence(*drawn(5000, 1.0, 0.0))
    logit, right = drawn(20_000, 1.0, 0.0, seed=1)
    certified = found.probability(torch.from_numpy(logit)).numpy() >= found.threshold
    assert 0.01 <= found.risk <= 0.02
    assert found.bound <= found.risk
    assert certified.mean() > 0.2
    assert (~right[certified]).mean() <= found.risk


def test_few_or_bad_instances_prove_less_risk_or_none():
    assert measure_confidence(*drawn(250, 2.0, 1.0)).risk > 0.01
    assert measure_confidence(np.array([1.0, 2.0]), np.array([True, True])).threshold == np.inf
    wrong = measure_confidence(np.full(500, 5.0), np.zeros(500, bool))
    assert wrong.threshold == np.inf
    assert wrong.probability(torch.tensor(5.0)) < 0.05
    assert measure_confidence(np.zeros(0), np.zeros(0, bool)) == Confidence()


def test_surer_stays_surer():
    logit, right = drawn(500, 1.0, 0.0)
    assert measure_confidence(-logit, right).scale > 0


@pytest.mark.parametrize("confidence", [Confidence(), Confidence(0.7, -0.2, 0.05, 0.04, 0.93, 256)])
def test_a_checkpoint_keeps_it(confidence):
    again = Confidence.from_json(confidence.to_json())
    assert str(again) == str(confidence)
    assert Confidence.from_json(None).instances == 0
