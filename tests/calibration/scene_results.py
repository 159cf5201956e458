"""Results of scenes as `calibrate` keeps them, without rendering any: terms from a known model."""

import numpy as np
from scipy.special import expit

from selfpose6d.calibration.scenes import SceneResult
from selfpose6d.labeling.terms import MASK_QUALITIES, TERM_NAMES

INFORMATIVE = ("coverage", "margin", "explained")
"""The only terms that say anything about whether a pose is right."""
BIAS, WEIGHT = -4.0, 4.0
"""Log odds of a right pose: BIAS + WEIGHT * the sum of the informative terms, each 0-1."""


def draw_terms(count: int, seed: int) -> tuple[np.ndarray, list, np.ndarray, np.ndarray]:
    """Terms (uniform, 0-1), mask qualities, which poses are right, and how likely that was."""
    generator = np.random.default_rng(seed)
    terms = generator.random((count, len(TERM_NAMES)))
    columns = [TERM_NAMES.index(name) for name in INFORMATIVE]
    chance = expit(BIAS + WEIGHT * terms[:, columns].sum(1))
    qualities = [MASK_QUALITIES[k] for k in generator.integers(0, len(MASK_QUALITIES), count)]
    return terms, qualities, generator.random(count) < chance, chance


def scene_result(scene: int, values: np.ndarray, quality, right: bool) -> SceneResult:
    return SceneResult(
        scene=scene,
        obj_id=1,
        size=1.0,
        coloured=True,
        mask_kind="exact",
        sensor="stereo",
        diameter_m=0.2,
        add_m=0.005 if right else 0.08,
        may_certify=bool(values[TERM_NAMES.index("agreement")] > 0.2),
        quality=quality,
        terms={name: float(value) for name, value in zip(TERM_NAMES, values, strict=True)},
        time_s=0.1,
    )


def scene_results(count: int, seed: int = 0) -> list[SceneResult]:
    """One scene after the other."""
    terms, qualities, right, _ = draw_terms(count, seed)
    return [scene_result(i, terms[i], qualities[i], bool(right[i])) for i in range(count)]
