"""Regions as prompts: a box, a scribble or a detector's loose mask says where the object is, not where it ends.

Inside the region depth is cut into surfaces: what lies on the plane around the region goes, the rest falls apart at
jumps of depth. Each surface of plausible size is searched as if it were a mask; poses then say which was the object.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.labeling.lengths import Lengths
from selfpose6d.types import MIN_POINTS

FILLED = 0.97
"""A mask that fills its bounding box to this is a box: outlines of real objects are mostly turned a little."""
SURROUNDINGS = 0.35
"""Of a region's side, looked at on each side of it for the plane that the object stands on."""
MIN_ON_PLANE = 0.3
"""Least fraction of the surroundings that makes a plane worth removing."""
PLANE_SAMPLES = 200
"""Triples tried for the plane: with a third of the pixels on it, all fail once in 1,500 regions."""
MAX_SEGMENTS = 3
"""Surfaces that are searched; each costs one search."""
MAX_EXTENT = 1.4
"""Of the diameter; a surface larger than this is not the object's alone."""


def is_box(mask: Bool[np.ndarray, "height width"]) -> bool:
    """Whether a mask is a filled rectangle along the image's axes."""
    _, _, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return width * height > 0 and bool(mask.sum() >= FILLED * width * height)


def segments(
    mask: Bool[np.ndarray, "height width"],
    depth_m: Float[np.ndarray, "height width"],
    K: Float[np.ndarray, "3 3"],
    lengths: Lengths,
) -> Iterator[Bool[np.ndarray, "height width"]]:
    """Masks of the surfaces in a region, the likeliest first; none where no depth was measured. Whole-image masks."""
    filled = is_box(mask)
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    reach = int(np.ceil(SURROUNDINGS * max(w, h)))
    if not filled:
        known = depth_m[mask & (depth_m > 0)]
        if known.size:  # of a scribble the object may reach as far as its diameter
            reach = max(reach, int(np.ceil(lengths.diameter_m * K[0, 0] / float(np.median(known)))))
    top, left = max(0, y - reach), max(0, x - reach)
    rows, columns = slice(top, y + h + reach), slice(left, x + w + reach)
    z, prompt = depth_m[rows, columns], mask[rows, columns]
    allowed = prompt if filled else np.ones_like(prompt)
    free = (z > 0) & allowed & ~_on_plane(z, ~prompt, lengths)
    found = list(_surfaces(z, free, prompt, lengths, K))
    found.sort(key=lambda part: -_centrality(part, prompt))
    kept = found[:MAX_SEGMENTS]
    if len(kept) != 1 or not filled:
        kept = [*kept, free & prompt]
    for part in kept:
        if part.sum() >= MIN_POINTS:
            whole = np.zeros(mask.shape, bool)
            whole[rows, columns] = part
            yield whole


def _on_plane(
    z: Float[np.ndarray, "rows columns"], around: Bool[np.ndarray, "rows columns"], lengths: Lengths
) -> Bool[np.ndarray, "rows columns"]:
    """Pixels on the plane that most of the surroundings lie on, or behind it; inverse depth is linear on a plane."""
    v, u = np.nonzero(around & (z > 0))
    if len(u) < 4 * MIN_POINTS:
        return np.zeros(z.shape, bool)
    generator = np.random.default_rng(0)
    thin = generator.choice(len(u), min(len(u), 2000), replace=False)
    basis = np.stack([u[thin], v[thin], np.ones(len(thin))], 1).astype(np.float64)
    inverse = 1.0 / z[v[thin], u[thin]].astype(np.float64)
    triples = generator.integers(0, len(thin), (PLANE_SAMPLES, 3))
    matrices = basis[triples]
    usable = np.abs(np.linalg.det(matrices)) > 1.0
    if not usable.any():
        return np.zeros(z.shape, bool)
    planes = np.linalg.solve(matrices[usable], inverse[triples[usable]][..., None])[..., 0]
    tolerance = _plane_tolerance_m(lengths) * inverse**2
    near = np.abs(planes @ basis.T - inverse) < tolerance
    best = near[near.sum(1).argmax()]
    if best.mean() < MIN_ON_PLANE:
        return np.zeros(z.shape, bool)
    plane = np.linalg.lstsq(basis[best], inverse[best], rcond=None)[0]
    rows, columns = np.mgrid[: z.shape[0], : z.shape[1]]
    on_plane_inverse = plane[0] * columns + plane[1] * rows + plane[2]
    with np.errstate(divide="ignore"):
        measured = np.where(z > 0, 1.0 / np.maximum(z, 1e-6), np.inf)
    nearest_m2 = np.where(z > 0, z, 1.0).astype(np.float64) ** 2
    return (measured - on_plane_inverse) * nearest_m2 < _plane_tolerance_m(lengths)


def _plane_tolerance_m(lengths: Lengths) -> float:
    return 0.02 * lengths.diameter_m + 3 * lengths.noise_m


def _surfaces(
    z: Float[np.ndarray, "rows columns"],
    free: Bool[np.ndarray, "rows columns"],
    prompt: Bool[np.ndarray, "rows columns"],
    lengths: Lengths,
    K: Float[np.ndarray, "3 3"],
) -> Iterator[Bool[np.ndarray, "rows columns"]]:
    """Connected surfaces of plausible size that the prompt touches."""
    jump_m = lengths.agree_m
    cut = np.zeros(z.shape, bool)
    for axis in (0, 1):
        step = np.abs(np.diff(z, axis=axis)) > jump_m
        pad = ((0, 1), (0, 0)) if axis == 0 else ((0, 0), (0, 1))
        cut |= np.pad(step, pad)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        (free & ~cut).astype(np.uint8), connectivity=4
    )
    for label in np.flatnonzero(statistics[:, cv2.CC_STAT_AREA] >= MIN_POINTS):
        part = labels == label
        if label == 0 or not (part & prompt).any():
            continue
        columns, rows = np.nonzero(part)[1], np.nonzero(part)[0]
        middle_m = float(np.median(z[part]))
        spread_px = np.hypot(
            np.ptp(np.quantile(columns, [0.02, 0.98])), np.ptp(np.quantile(rows, [0.02, 0.98]))
        )
        if spread_px * middle_m / K[0, 0] < MAX_EXTENT * lengths.diameter_m:
            yield part


def _centrality(part: Bool[np.ndarray, "rows columns"], prompt: Bool[np.ndarray, "rows columns"]) -> float:
    """Pixels of a surface, those near the middle of the prompt counting most."""
    rows, columns = np.nonzero(prompt)
    centre, half = (rows.mean(), columns.mean()), (np.ptp(rows) / 2 + 1, np.ptp(columns) / 2 + 1)
    v, u = np.nonzero(part & prompt)
    far2 = ((v - centre[0]) / half[0]) ** 2 + ((u - centre[1]) / half[1]) ** 2
    return float(np.exp(-2 * far2).sum())
