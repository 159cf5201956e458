"""What a network's own rating is worth, as measured on held-out crops: probability, and from where on it is certified.

The network's logit of being right is that of its training crops; a line through it, fitted to crops that it did not
train on, makes a probability of it.

Reference: Platt, Probabilistic outputs for support vector machines, 1999.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Confidence:
    """Of one checkpoint. Right is a mean error (to the nearest pose that looks alike) below a tenth of the diameter."""

    scale: float = 1.0
    shift: float = 0.0
    """Probability = sigmoid(scale x logit + shift)."""
    risk: float = math.nan
    """Of the poses that are at least as sure as the threshold no more than this fraction is wrong."""
    bound: float = math.nan
    """And no more than this, with 95 % confidence, as measured."""
    threshold: float = math.inf
    """Least probability that is certified; infinite where the held-out instances did not prove any risk."""
    instances: int = 0
    """Held-out instances that it was measured on; 0: not measured."""

    def probability(self, right_logit: Tensor) -> Tensor:
        """0-1, of the network's logits."""
        return torch.sigmoid(self.scale * right_logit + self.shift)

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint; None for what JSON cannot say."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "Confidence":
        """As `to_json` wrote it; of None the network's own, not measured."""
        return cls(**{name: value for name, value in (stored or {}).items() if value is not None})
