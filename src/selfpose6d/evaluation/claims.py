"""What certificates promise beside what was measured: is the error of the certified poses within the claim?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from selfpose6d.evaluation.instances import CERTIFIED, Claim
from selfpose6d.evaluation.score import RIGHT_BELOW, RightBelow, ScoredTargets
from selfpose6d.evaluation.shares import Share, number_or_nan

Verdict = Literal["shown", "not contradicted", "contradicted", "nothing certified"]
"""The interval of the error lies below the claim; it reaches on both sides; it lies above; there is none."""


@dataclass(frozen=True)
class ClaimCheck:
    """A claim, and how many of the poses that carry it are certified and right, for each meaning of right."""

    claim: Claim
    certified: Mapping[RightBelow, Share]

    @property
    def limit(self) -> float:
        """The error that is promised not to be exceeded: the bound, where there is none the risk."""
        return self.claim.risk if math.isnan(self.claim.bound) else self.claim.bound

    def verdict(self, below: RightBelow) -> Verdict:
        """What the measured error says of the claim; few poses can neither show nor contradict it."""
        share = self.certified[below]
        low, high = 1 - share.interval[1], 1 - share.interval[0]
        if not share.count:
            return "nothing certified"
        return "shown" if high <= self.limit else "contradicted" if low > self.limit else "not contradicted"

    def to_json(self) -> dict[str, Any]:
        """The claim and what was measured of it; `within` says whether the measured error itself is."""
        return self.claim._asdict() | {below: self._measured(below) for below in self.certified}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "ClaimCheck":
        """What `to_json` made, null for NaN."""
        claim = Claim(number_or_nan(row["risk"]), number_or_nan(row["bound"]), str(row["calibration"]))
        return cls(claim, {below: Share.from_json(row[below]) for below in RIGHT_BELOW})

    def _measured(self, below: RightBelow) -> dict[str, Any]:
        share = self.certified[below]
        within = share.error <= self.limit if share.count else None
        return share.to_json() | {"error": share.error, "within": within, "verdict": self.verdict(below)}


def check_claims(scores: ScoredTargets) -> tuple[ClaimCheck, ...]:
    """Every claim of the run's certificates against the poses that it certifies; spurious ones are wrong."""
    claims = {*scores.claim.tolist(), *scores.spurious.claim.tolist()} - {None}
    return tuple(_check(claim, scores) for claim in sorted(claims, key=_order))


def _check(claim: Claim, scores: ScoredTargets) -> ClaimCheck:
    spurious = scores.spurious
    targets = np.flatnonzero(_carry(claim, scores.claim) & (scores.status == CERTIFIED))
    wrong = np.zeros(np.sum(_carry(claim, spurious.claim) & (spurious.status == CERTIFIED)), bool)
    shares: dict[RightBelow, Share] = {
        below: Share.of(np.concatenate([scores.right(below)[targets], wrong])) for below in RIGHT_BELOW
    }
    return ClaimCheck(claim, shares)


def _carry(claim: Claim, claims: Sequence[Claim | None] | np.ndarray) -> np.ndarray:
    return np.array([other == claim for other in claims], dtype=bool)


def _order(claim: Claim) -> tuple[str, float, float]:
    risk, bound = (number if math.isfinite(number) else -1.0 for number in (claim.risk, claim.bound))
    return claim.calibration, risk, bound
