"""What a certificate's terms are worth, as `calibrate` measured it on rendered scenes: score, probability, threshold.

The score is a sum of functions that only rise, one a term: better evidence never lowers it. It says which of two poses
is likelier right; how likely that is, and above which score no more than a given risk of the poses is wrong, was
measured on scenes that the score had not been fitted to.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import MALFORMED, DataError, UsageError
from selfpose6d.files import read_text
from selfpose6d.json_files import parse_json
from selfpose6d.json_stream import write_json
from selfpose6d.labeling.terms import GROUPS, TERM_NAMES, Terms

FORMAT = 1
CONFIDENCE_LEVEL = 0.95
"""Of the bounds on the error."""


class Threshold(NamedTuple):
    """Of all poses that score at least `score`, at most `bound` are wrong, with 95 % confidence."""

    risk: float
    """What was asked for."""
    score: float
    """Infinite where the scenes did not suffice to certify anything at this risk."""
    bound: float
    certified: int
    """Poses of the calibration that pass."""
    wrong: int
    """And those of them that are wrong."""


@dataclass(frozen=True)
class Calibration:
    """One calibration; `content_hash` names it in every certificate that rests on it."""

    settings: Mapping[str, Any]
    """The options of annotation that it holds for."""
    knots: Mapping[str, tuple[float, ...]]
    """Ascending values of each term between which its function is a straight line."""
    rises: Mapping[str, tuple[float, ...]]
    """What the function rises by from each knot to the next; never negative."""
    offsets: Mapping[str, float]
    """Of the score, by the pose's group (`terms.GROUPS`): mask quality, and whether the mesh has colour."""
    scores: tuple[float, ...]
    """Ascending scores ..."""
    probabilities: tuple[float, ...]
    """... and the probability, never falling, that a pose of that score is right; between them a straight line."""
    thresholds: tuple[Threshold, ...]
    made_from: Mapping[str, Any]
    """Seeds and counts of the scenes, versions: what to say about where it holds."""

    @cached_property
    def content_hash(self) -> str:
        """Names the calibration."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def rate(self, terms: Terms, group: str) -> float:
        """The score of one pose."""
        return float(self.rate_all(terms.vector()[None], [group])[0])

    def rate_all(
        self, terms: Float[np.ndarray, "poses terms"], groups: Sequence[str]
    ) -> Float[np.ndarray, " poses"]:
        """The scores of many poses; columns in the order of `TERM_NAMES`."""
        score = np.array([self.offsets[group] for group in groups], np.float64)
        for column, name in zip(terms.T, TERM_NAMES, strict=True):
            heights = np.concatenate([[0.0], np.cumsum(self.rises[name])])
            score += np.interp(column, self.knots[name], heights)
        return score

    def probability(self, score: float) -> float:
        """That a pose of this score is right: ADD(-S) below a tenth of the diameter."""
        return float(np.interp(score, self.scores, self.probabilities))

    def threshold(self, risk: float) -> Threshold:
        """The threshold of a risk; between two that were measured, the stricter one's.

        Raises:
            UsageError: the risk is out of range, or stricter than any that the scenes could prove.
        """
        if not 0 < risk < 1:
            raise UsageError(f"--risk must be between 0 and 1, got {risk:g}. Pass for example --risk 0.01.")
        proven = [row for row in self.thresholds if row.score < math.inf]
        fitting = [row for row in proven if row.risk <= risk * (1 + 1e-9)]
        if not fitting:
            best = f"{min(row.risk for row in proven):g} at best" if proven else "no risk at all"
            raise UsageError(
                f"--risk {risk:g}: this calibration proves {best}. Ask for more risk, or calibrate with more scenes: "
                "selfpose6d calibrate --scenes N --out FILE."
            )
        return max(fitting, key=lambda row: row.risk)

    def weakest(self, terms: Terms, has_colour: bool = True) -> str:
        """The term that costs the score most, against the best that it can be; of a mesh without colour, none of those
        that colour adds to.
        """
        lost = {}
        for value, name in zip(terms.vector(), TERM_NAMES, strict=True):
            if not has_colour and name in ("total", "colour"):
                continue
            heights = np.concatenate([[0.0], np.cumsum(self.rises[name])])
            lost[name] = heights[-1] - np.interp(value, self.knots[name], heights)
        return max(lost, key=lost.__getitem__)

    def to_json(self) -> dict[str, Any]:
        """As `calibration.json` has it."""
        return {
            "format": FORMAT,
            "settings": dict(self.settings),
            "terms": {
                name: {"knots": list(self.knots[name]), "rises": list(self.rises[name])}
                for name in TERM_NAMES
            },
            "offsets": dict(self.offsets),
            "probability": {"scores": list(self.scores), "probabilities": list(self.probabilities)},
            "thresholds": [
                row._asdict() | {"score": None if math.isinf(row.score) else row.score}
                for row in self.thresholds
            ],
            "made_from": dict(self.made_from),
        }

    def save(self, path: Path) -> None:
        """Write it; the file appears whole or not at all."""
        write_json(path, self.to_json())


def load_calibration(path: Path | None = None) -> Calibration:
    """A calibration file; None: the one that the package ships, made from the built-in objects.

    Raises:
        UsageError: there is no such file.
        DataError: it is broken, or of another version's terms.
    """
    if path is None:
        return default_calibration()
    try:
        text = read_text(path)
    except OSError:
        raise UsageError(
            f"--calibration {path}: no such file. Make one with selfpose6d calibrate --out {path}."
        ) from None
    except UnicodeDecodeError as error:
        raise _broken(path, error) from None
    return _parse(text, path)


@cache
def default_calibration() -> Calibration:
    """The one that the package ships."""
    file = resources.files("selfpose6d.labeling") / "default_calibration.json"
    return _parse(file.read_text(encoding="utf-8"), "the shipped calibration")


def _parse(text: str, name: Path | str) -> Calibration:
    try:
        content = parse_json(text)
        if content["format"] != FORMAT:
            raise DataError(
                f"{name} has format {content['format']}, this version reads {FORMAT}. Calibrate again."
            )
        if set(content["terms"]) != set(TERM_NAMES) or set(content["offsets"]) != set(GROUPS):
            raise DataError(
                f"{name} was made for other terms ({', '.join(sorted(content['terms']))}) than this version's. "
                "Calibrate again."
            )
        calibration = Calibration(
            settings=dict(content["settings"]),
            knots={key: tuple(map(float, row["knots"])) for key, row in content["terms"].items()},
            rises={key: tuple(map(float, row["rises"])) for key, row in content["terms"].items()},
            offsets={key: float(value) for key, value in content["offsets"].items()},
            scores=tuple(map(float, content["probability"]["scores"])),
            probabilities=tuple(map(float, content["probability"]["probabilities"])),
            thresholds=tuple(
                Threshold(
                    float(row["risk"]),
                    math.inf if row["score"] is None else float(row["score"]),
                    float(row["bound"]),
                    int(row["certified"]),
                    int(row["wrong"]),
                )
                for row in content["thresholds"]
            ),
            made_from=dict(content["made_from"]),
        )
        _check(calibration)
    except MALFORMED as error:
        raise _broken(name, error) from None
    return calibration


def _broken(name: Path | str, error: Exception) -> DataError:
    return DataError(
        f"{name} is no calibration ({' '.join(repr(error).split())}). Restore it, or calibrate again: "
        "selfpose6d calibrate --out FILE."
    )


def _check(calibration: Calibration) -> None:
    for name in TERM_NAMES:
        knots, rises = calibration.knots[name], calibration.rises[name]
        if len(knots) != len(rises) + 1 or not all(np.diff(knots) > 0):
            raise ValueError(f"term {name}: expected ascending knots, one more than rises")
        if min(rises, default=0.0) < 0:
            raise ValueError(f"term {name} falls; better evidence must never lower the score")
    chances = np.array(calibration.probabilities)
    if (
        len(chances) != len(calibration.scores)
        or len(chances) < 2
        or not all(np.diff(calibration.scores) > 0)
    ):
        raise ValueError("probability: expected ascending scores, as many as probabilities")
    if (np.diff(chances) < 0).any() or chances.min() < 0 or chances.max() > 1:
        raise ValueError("probability: expected 0-1, never falling")
    if not calibration.thresholds:
        raise ValueError("thresholds: there is none")
    numbers = [*calibration.offsets.values(), *(row.bound for row in calibration.thresholds)]
    numbers += [value for rises in calibration.rises.values() for value in rises]
    if not np.isfinite(numbers).all() or any(math.isnan(row.score) for row in calibration.thresholds):
        raise ValueError("expected numbers, got NaN or infinity")
