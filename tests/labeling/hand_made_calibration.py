"""A calibration whose numbers are known: tests that use it do not depend on the shipped one."""

import math

from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.calibration import Calibration, Threshold
from selfpose6d.labeling.certificate import CertificateOptions
from selfpose6d.labeling.settings import calibrated_settings
from selfpose6d.labeling.terms import GROUPS, TERM_NAMES, Terms

RANGES = {
    "firmness": (-6.0, 0.0),
    "size": (0.0, 16.0),
    "sharpness": (0.0, 12.0),
    "margin": (-0.2, 0.2),
    "significance": (-10.0, 10.0),
    "scale": (-2.0, 12.0),
}
"""Of the terms that are no fractions."""
MOST = len(TERM_NAMES)
"""The best score: each term contributes 0 to 1."""


def hand_made(threshold: float = 0.6 * MOST) -> Calibration:
    """Every term is worth as much, on a straight line."""
    return Calibration(
        settings=calibrated_settings(AnnotateOptions()),
        knots={name: RANGES.get(name, (0.0, 1.0)) for name in TERM_NAMES},
        rises=dict.fromkeys(TERM_NAMES, (1.0,)),
        offsets=dict.fromkeys(GROUPS, 0.0),
        scores=(0.0, float(MOST)),
        probabilities=(0.0, 1.0),
        thresholds=(
            Threshold(0.01, threshold + 1, 0.009, 400, 0),
            Threshold(0.05, threshold, 0.04, 900, 20),
            Threshold(0.2, threshold - 1, 0.18, 1000, 150),
        ),
        made_from={"seed": 0, "scenes": 2000},
    )


def certifying(threshold: float = 0.6 * MOST, risk: float = 0.05) -> CertificateOptions:
    """Options with it."""
    return CertificateOptions(risk=risk, calibration=hand_made(threshold))


GENEROUS = certifying(threshold=-math.inf)
"""Certifies whatever may be certified."""


def good_terms(**changed: float) -> Terms:
    """Of a pose that fits perfectly, but for some terms."""
    best = {name: RANGES.get(name, (0.0, 1.0))[1] for name in TERM_NAMES}
    return Terms(**best | changed)
