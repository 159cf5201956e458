"""Which object a piece of the surface can be at all: by size and colour, before anything is searched."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from selfpose6d.finding.looks import Looks, alike, colour_histograms
from selfpose6d.finding.proposals import Proposal
from selfpose6d.finding.scene import Scene

MAX_REACH, REACH_SIGMA = 0.7, 4.0
"""Of the diameter, and deviations of the noise, that a piece of the object may reach about its middle: a power drill's
visible surface reaches 0.66 about its median."""
MAX_AREA, MIN_AREA = 1.25, 0.12
"""Of the object's largest and smallest silhouette: a piece is at most whole, and shows enough to be recognised."""
VAGUENESS = 12.0
"""What noise costs, in units of the object: at three metres every floor has pieces of its size."""
ON_PLANE = 0.4
"""What it costs that a piece lies on a support plane: it may be the top of a flat object, or of many equal ones."""
NO_COLOUR = 0.5
"""Likeness where the mesh or the piece has no colour: neither for nor against."""


@dataclass(frozen=True)
class Pair:
    """An object that a piece may be, and how likely it looks."""

    obj_id: int
    proposal: Proposal
    likeness: float
    """By which pairs are sorted: less where noise makes all of them vague, and on planes."""
    alike: float = 1.0
    """The likeness of size and colour alone; 1 where no colour could speak against it, or a source says that it is."""

    @cached_property
    def key(self) -> tuple[int, bytes]:
        """The same for the same object and pixels."""
        return self.obj_id, self.proposal.mask.tobytes()


def sort_pairs(proposals: list[Proposal], looks: Mapping[int, Looks], scene: Scene) -> list[Pair]:
    """Every object with every piece that it fits by size, the likeliest first, before all those that a source names."""
    if not proposals:
        return []
    surface = scene.surface
    pixel_m2 = (surface.filled_cam_m[..., 2] * surface.step_px / scene.focal_px) ** 2
    area = np.array([pixel_m2[one.mask].sum() for one in proposals])
    noise = np.array([np.median(surface.noise_m[one.mask]) for one in proposals])
    reach = np.array([one.reach_m for one in proposals])
    seen = colour_histograms(scene.lab, [one.mask for one in proposals])
    doubt = np.array([1 - ON_PLANE * scene.on_plane[one.mask].mean() for one in proposals])
    pairs = []
    for obj_id, look in looks.items():
        fits = reach < MAX_REACH * look.diameter_m + REACH_SIGMA * noise
        fits &= (area < MAX_AREA * look.area_m2.max()) & (area > MIN_AREA * look.area_m2.min())
        if not fits.any():
            continue
        colour = np.full(len(proposals), NO_COLOUR)
        if look.colours is not None:
            colour[fits] = alike(seen[fits], look.colours)
        # of pieces of one colour the whole object is likelier than a part of it
        whole = np.minimum(area / np.quantile(look.area_m2, 0.25), 1.0)
        seems = colour * whole**0.25
        named = np.array([one.says == obj_id for one in proposals])
        likeness = seems * doubt / (1 + VAGUENESS * noise / look.diameter_m) + named
        unopposed = named | (look.colours is None)
        pairs += [
            Pair(obj_id, proposals[k], float(likeness[k]), 1.0 if unopposed[k] else float(seems[k]))
            for k in np.flatnonzero(fits)
        ]
    return sorted(pairs, key=lambda pair: -pair.likeness)
