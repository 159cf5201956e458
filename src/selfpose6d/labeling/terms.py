"""What is measured of a pose before it is certified: one number a term, more is better in each."""

import math
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from selfpose6d.types import MaskQuality

MASK_QUALITIES: tuple[MaskQuality, ...] = ("exact", "rough", "box")
GROUPS = tuple(f"{quality}{colour}" for colour in ("", ", no colour") for quality in MASK_QUALITIES)
"""Of poses that differ before their terms are looked at: a mesh without colour can never have the evidence of one
that has it, and what its other terms are worth is measured for itself."""


def group_of(quality: MaskQuality, has_colour: bool) -> str:
    """The group of a pose."""
    return quality if has_colour else f"{quality}, no colour"


@dataclass(frozen=True)
class Terms:
    """Evidence for one pose. A term without evidence has its lowest value, never a neutral one: a mesh without colour
    has colour 0. Fractions are 0-1; differences of scores have no unit.
    """

    total: float
    """The score: coverage + 0.5 colour - depth - 2 free space."""
    coverage: float
    """Fraction of the mask that the rendering covers."""
    depth: float
    """1 minus the mean depth error in units of its cap."""
    free: float
    """1 minus the area rendered into free space, as a fraction of the mask's."""
    colour: float
    """Correlation of the colours' detail."""
    inlier_ratio: float
    """Fraction of the visible points that fit the mesh under the noise."""
    explained: float
    """Fraction of the given mask's inner pixels that the pose explains; of a region, how much of it."""
    outline: float
    """Overlap (IoU) of the given mask with what the pose explains; of a region, of the two boxes."""
    margin: float
    """Advantage over the strongest pose that is not the same."""
    significance: float
    """Of that advantage, in standard errors."""
    agreement: float
    """Part of the distribution over candidates that agrees with the winner."""
    firmness: float
    """Logarithm (base 10) of the least stiffness of the residuals to a motion, as a part of the largest: what slides
    along itself unnoticed has little."""
    visible: float
    """Fraction of the silhouette that is visible."""
    inside: float
    """Fraction of the silhouette inside the image."""
    size: float
    """Logarithm (base 2) of the visible pixels."""
    known: float
    """Fraction of the mask's pixels with measured depth."""
    sharpness: float
    """Logarithm (base 2) of the diameter in units of the depth noise."""
    scale: float
    """Logarithm (base 2) of the diameter in units of 5 mm: by so much a depth camera errs as a whole, and no frame
    shows it."""

    def vector(self) -> Float[np.ndarray, " terms"]:
        """The terms in the order of the fields; what cannot be measured is -inf."""
        values = np.array([getattr(self, name) for name in TERM_NAMES], np.float64)
        return np.where(np.isnan(values), -math.inf, values)


TERM_NAMES = tuple(field.name for field in fields(Terms))
