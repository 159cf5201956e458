"""What certificates promise against what was measured, by hand."""

import math

import numpy as np
import pytest
from pose_rows import make_estimates, make_truths

from selfpose6d.evaluation.claims import ClaimCheck, check_claims
from selfpose6d.evaluation.instances import Claim, claim_of
from selfpose6d.evaluation.score import score
from selfpose6d.evaluation.shares import Share
from selfpose6d.runs.json_lines import without_nan
from selfpose6d.types import Certificate

CLAIM = Claim(0.01, 0.009, "a1b2")


def checked(certified: Share, claim: Claim = CLAIM) -> ClaimCheck:
    return ClaimCheck(claim, {"below_2cm": certified, "below_10pct": certified})


def test_certified_poses_are_counted_spurious_ones_as_wrong(points_m):
    rows = [
        (0, 1, 1, 0.9, 0.0, "certified"),
        (0, 2, 1, 0.9, 0.5, "certified"),
        (0, 3, 1, 0.1, 0.5, "rejected"),
        (0, 1, 2, 0.9, 0.0, "certified"),  # the image does not show it
    ]
    truths = make_truths([(0, im, 1, 0.0, True) for im in (1, 2, 3, 4)])
    estimates = make_estimates(rows, claim=CLAIM)
    (check,) = check_claims(score(estimates, truths, points_m, set()))
    assert check.claim == CLAIM
    assert check.certified["below_2cm"] == check.certified["below_10pct"] == Share(3, 1)
    assert check.to_json()["below_2cm"]["within"] is False
    assert check.verdict("below_2cm") == "contradicted"


def test_every_claim_is_checked_by_its_own_poses(points_m):
    estimates = make_estimates([(0, im, 1, 0.9, 0.0, "certified") for im in (1, 2, 3)], claim=CLAIM)
    estimates.claim[1] = Claim(0.05, math.nan, "other")
    estimates.claim[2] = None
    truths = make_truths([(0, im, 1, 0.0, True) for im in (1, 2, 3)])
    checks = check_claims(score(estimates, truths, points_m, set()))
    assert [(check.claim.risk, check.certified["below_2cm"].count) for check in checks] == [
        (0.01, 1),
        (0.05, 1),
    ]
    assert checks[1].limit == 0.05


@pytest.mark.parametrize(
    ("share", "verdict", "within"),
    [
        (Share(0, 0), "nothing certified", None),
        (Share(5, 5), "not contradicted", True),  # no error in five shows nothing
        (Share(408, 408), "not contradicted", True),
        (Share(409, 409), "shown", True),  # 0.025 ** (1 / 409) > 1 - 0.009
        (Share(20, 19), "not contradicted", False),
        (Share(20, 15), "contradicted", False),
    ],
)
def test_few_poses_neither_show_nor_contradict(share, verdict, within):
    check = checked(share)
    assert check.verdict("below_10pct") == verdict
    assert check.to_json()["below_10pct"]["within"] is within


def test_an_error_of_exactly_the_limit_is_within():
    assert checked(Share(100, 99), Claim(0.01, math.nan, "")).to_json()["below_2cm"]["within"] is True


def test_the_file_gives_the_same_back():
    for claim in (CLAIM, Claim(0.01, math.nan, "")):
        check = checked(Share(20, 19), claim)
        read = ClaimCheck.from_json(without_nan(check.to_json()))
        assert read.certified == check.certified
        np.testing.assert_equal(tuple(read.claim), tuple(check.claim))


def test_certificates_of_equal_words_make_one_claim():
    rejected = Certificate.not_verified("no depth")
    assert claim_of(rejected) is None
    words = {"risk": 0.01, "bound": float("nan"), "calibration": "a1b2"}
    claims = {claim_of(Certificate("rejected", "", *[0.0] * 6, **words)) for _ in range(2)}
    assert len(claims) == 1
