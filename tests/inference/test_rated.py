"""Certificates that rest on the network's rating alone: certified, in doubt, rejected, each with its reason."""

import math

import numpy as np
import pytest

from selfpose6d.inference.rated import rated_certificate
from selfpose6d.network.confidence import Confidence

PROVEN = Confidence(1.0, 0.0, 0.02, 0.018, 0.9, 500)


def certificate(*probability: float, confidence: Confidence = PROVEN):
    T = np.tile(np.eye(4), (len(probability), 1, 1))
    T[:, 0, 3] = range(len(probability))
    return rated_certificate(T, np.array(probability), confidence)


def test_what_is_sure_and_has_no_rival_is_certified_at_the_risk_that_was_proven():
    found = certificate(0.97, 0.01)
    assert (found.status, found.reason, found.alternatives) == ("certified", "", ())
    assert (found.confidence, found.risk, found.bound) == (0.97, 0.02, 0.018)
    assert found.source == "hypotheses"
    assert math.isnan(found.coverage)


def test_two_poses_that_are_both_sure_are_in_doubt_and_listed_with_weights():
    found = certificate(0.95, 0.93, 0.001)
    assert found.status == "ambiguous"
    assert [one.T_cam_obj[0, 3] for one in found.alternatives] == [0, 1]
    assert [one.confidence for one in found.alternatives] == pytest.approx([0.95 / 1.88, 0.93 / 1.88])
    assert "2 poses" in found.reason


def test_what_is_not_sure_is_rejected_with_both_numbers():
    found = certificate(0.62)
    assert found.status == "rejected"
    assert "0.62" in found.reason
    assert "0.90" in found.reason
    assert "2%" in found.reason


def test_not_to_know_is_not_to_doubt_between_poses():
    assert certificate(0.12, 0.1, 0.1).status == "rejected"
    assert certificate(0.4, 0.3).status == "ambiguous"


def test_nothing_is_certified_by_a_confidence_that_was_not_proven():
    for confidence in (Confidence(), Confidence(1.2, 0.1, instances=30)):
        found = certificate(0.9999, confidence=confidence)
        assert found.status == "rejected"
        assert f"{confidence.instances} held-out instances" in found.reason


def test_the_calibration_is_named():
    assert certificate(0.97).calibration == certificate(0.3).calibration
    assert certificate(0.97, confidence=Confidence()).calibration != certificate(0.97).calibration
