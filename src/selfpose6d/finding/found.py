"""What a frame was found to hold, and what was tried."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from selfpose6d.finding.proposals import Proposal
from selfpose6d.finding.scene import Scene
from selfpose6d.types import LabeledPose


@dataclass(frozen=True)
class Attempt:
    """An object searched for on a piece of the surface, and what came of it."""

    pose: LabeledPose
    proposal: Proposal
    visible: Bool[np.ndarray, "height width"]
    """The pixels of the image that show the object at this pose; none without a pose."""
    on_grid: Bool[np.ndarray, "rows columns"]
    """The same on the surface's grid, where depth is known."""
    rank: float
    """Of the glance that it began with."""
    turned_away: str = ""
    """Why it is not among what was found, although it has a pose."""
    cut_off: bool = False
    """Only the image's border keeps it from its certificate: no other piece changes that."""

    @property
    def obj_id(self) -> int:
        """The object."""
        return self.pose.key.obj_id

    @property
    def certified(self) -> bool:
        """Whether its certificate passes."""
        return self.pose.certificate.status == "certified"

    def without(self, reason: str) -> "Attempt":
        """Turned away, because."""
        return replace(self, turned_away=reason)


@dataclass(frozen=True)
class Finding:
    """What a frame holds: the found objects, certified ones first, and all that was tried and turned away."""

    found: list[Attempt]
    turned_away: list[Attempt]
    proposals: list[Proposal]
    """Every piece that was looked at, of every round."""
    scene: Scene


def shared(one: Attempt, other: Attempt) -> float:
    """Of the smaller one's pixels, those that both explain."""
    smaller = max(min(one.on_grid.sum(), other.on_grid.sum()), 1)
    return float((one.on_grid & other.on_grid).sum() / smaller)
