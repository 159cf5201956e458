"""From scores and votes of each place to instances: places of one object that vote for one middle."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

MIN_PLACES, MIN_SHARE = 12, 0.005
"""Of an instance, at the resolution of the votes, and as a share of the square of its diameter there: less is a
speck."""
MIN_PROBABILITY = 0.3
"""Of an object, that a place needs beside being its most probable one."""
VOTE_BLUR_PX = 2.0
"""Deviation by which votes are smeared: as far as they scatter about one middle."""
PEAK_REACH = 0.25
"""Of the object's diameter within which another peak is the same instance: flat boxes side by side are so near."""


@dataclass(frozen=True)
class Segment:
    """One instance: which object, how probable each place is its own, and its score (mean probability)."""

    label: int
    """Class, from 1 on."""
    score: float
    own: Float[np.ndarray, "rows columns"]
    """Probability of the object where the place votes for this instance, else 0."""


def split_instances(
    probability: Float[np.ndarray, "classes rows columns"],
    votes_px: Float[np.ndarray, "2 rows columns"],
    width_m: Float[np.ndarray, "rows columns"],
    diameters_m: Sequence[float],
) -> list[Segment]:
    """The instances of all objects, the most probable first. Class 0 is none of them.

    `width_m` is what a place spans at its depth, 0 where that is unknown; `diameters_m` are those of the objects.
    """
    best = probability.argmax(0)
    found: list[Segment] = []
    for label in range(1, len(probability)):
        here = (best == label) & (probability[label] >= MIN_PROBABILITY)
        if here.sum() >= MIN_PLACES:
            found += _of_object(label, here, probability[label], votes_px, width_m, diameters_m[label - 1])
    return sorted(found, key=lambda one: -one.score)


def _of_object(
    label: int,
    here: np.ndarray,
    probability: np.ndarray,
    votes_px: np.ndarray,
    width_m: np.ndarray,
    diameter_m: float,
) -> list[Segment]:
    rows, columns = np.nonzero(here)
    width = width_m[rows, columns]
    if not (width > 0).any():
        return []  # how large it is cannot be said, and no pose can be found
    diameter_px = diameter_m / np.where(width > 0, width, np.median(width[width > 0]))
    middle = np.stack([columns, rows], 1) + votes_px[:, rows, columns].T
    peaks = _peaks(middle, diameter_px, here.shape)
    nearest = ((middle[:, None] - peaks[None]) ** 2).sum(-1).argmin(1)
    segments = []
    for index in range(len(peaks)):
        mine = nearest == index
        if mine.sum() < MIN_PLACES or mine.sum() < MIN_SHARE * np.median(diameter_px[mine]) ** 2:
            continue
        own = np.zeros(here.shape, np.float32)
        own[rows[mine], columns[mine]] = probability[rows[mine], columns[mine]]
        segments.append(Segment(label, float(own[rows[mine], columns[mine]].mean()), own))
    return segments


def _peaks(
    middle: Float[np.ndarray, "places 2"], diameter_px: Float[np.ndarray, " places"], shape: tuple[int, int]
) -> Float[np.ndarray, "peaks 2"]:
    """Where votes pile up (column, row), the highest first: maxima farther apart than one instance's can be."""
    votes = np.zeros(shape, np.float32)
    cell = np.clip(np.round(middle), 0, [shape[1] - 1, shape[0] - 1]).astype(int)
    np.add.at(votes, (cell[:, 1], cell[:, 0]), 1.0)
    votes = np.asarray(cv2.GaussianBlur(votes, (0, 0), VOTE_BLUR_PX))
    least = MIN_PLACES / (2 * np.pi * (2 * VOTE_BLUR_PX) ** 2)  # that of so few, twice as scattered
    row, column = np.nonzero((votes == cv2.dilate(votes, np.ones((5, 5), np.uint8))) & (votes > least))
    order = np.argsort(-votes[row, column], kind="stable")
    kept: list[np.ndarray] = []
    for candidate in np.stack([column, row], 1)[order].astype(float):
        voters = np.linalg.norm(middle - candidate, axis=1) < 4 * VOTE_BLUR_PX
        if voters.sum() < MIN_PLACES:
            continue
        apart = max(3 * VOTE_BLUR_PX, PEAK_REACH * float(np.median(diameter_px[voters])))
        if all(np.linalg.norm(candidate - other) > apart for other in kept):
            kept.append(candidate)
    return np.array(kept) if kept else middle.mean(0, keepdims=True)
