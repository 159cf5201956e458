"""What a network says of its own poses, as a certificate: nothing was rendered, the rating alone speaks."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from selfpose6d.labeling.certificate import LISTED, CertificateOptions
from selfpose6d.network.confidence import Confidence
from selfpose6d.types import Alternative, Certificate

NO_RIVAL = CertificateOptions().no_rival
"""Share of the winner above which nothing competes: as for poses that were compared."""
LEAST_SURE = 0.5
"""Probability of all poses together below which the network does not know, rather than doubt between some."""


def rated_certificate(
    T_cam_obj: Float[np.ndarray, "poses 4 4"],
    probability: Float[np.ndarray, " poses"],
    confidence: Confidence,
) -> Certificate:
    """Of different poses of one instance, the winner first: certified, in doubt between several, or rejected.

    `probability` is each pose's own, of being right. Certified is what is as sure as held-out instances were of which
    no more than `confidence.risk` were wrong: a promise for frames like those of training.
    """
    share = probability / max(float(probability.sum()), 1e-12)
    sure, alone = float(probability[0]) >= confidence.threshold, float(share[0]) >= NO_RIVAL
    alternatives: tuple[Alternative, ...] = ()
    if sure and alone:
        status, reason = "certified", ""
    elif not alone and float(probability.sum()) >= LEAST_SURE:
        status, listed = "ambiguous", np.flatnonzero(share >= LISTED)
        reason = f"the network holds {len(listed)} poses for possible; --verify compares them with the image"
        weights = share[listed] / share[listed].sum()
        alternatives = tuple(
            Alternative(T_cam_obj[k], float(weight)) for k, weight in zip(listed, weights, strict=True)
        )
    else:
        status, reason = "rejected", _why_not(float(probability[0]), confidence)
    return replace(
        Certificate.not_verified(reason, float(probability[0])),
        status=status,
        risk=confidence.risk,
        bound=confidence.bound,
        calibration=_name(confidence),
        alternatives=alternatives,
        source="hypotheses",
    )


def _why_not(probability: float, confidence: Confidence) -> str:
    if math.isinf(confidence.threshold):
        return (
            f"the network's confidence was not proven: {confidence.instances} held-out instances of its training did "
            "not suffice. --verify compares its poses with the image"
        )
    return (
        f"the network's confidence {probability:.2f} is below {confidence.threshold:.2f}, from where on no more than "
        f"{confidence.risk:.0%} of held-out poses were wrong"
    )


def _name(confidence: Confidence) -> str:
    return hashlib.sha256(json.dumps(confidence.to_json(), sort_keys=True).encode()).hexdigest()[:16]
