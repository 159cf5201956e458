"""Where objects may be: every plausible piece of the surface, from several cuts of it; nothing is chosen here."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from selfpose6d.finding.surface import Surface
from selfpose6d.finding.surface_kernels import grow_labels, reach_about_median

FOLDS_RAD: tuple[float, ...] = (np.inf, 0.6, 0.35)
"""The surface is cut at steps of depth alone, then at sharp folds too, then at gentle ones (34 and 20 degrees)."""
COLOUR_BLUR_PX, COLOUR_STEP = 1.5, 10.0
"""Colours are cut where they change by so much (LAB) from one pixel to the next, after a blur that prints do not
survive: faces of two boxes in one plane have no other border."""
MIN_PIXELS = 40
"""Of the grid, that a piece needs to be searched for an object."""
MIN_KNOWN = 15
"""Of them, that must have depth, as an instance's mask must."""
MAX_REACH = 0.7
"""Of the largest object's diameter: pieces that reach farther about their middle are none."""
REACH_SHARE = 0.9
"""Of a piece's pixels within its reach: a tenth may be smeared depth or a neighbour's."""
REACH_POINTS = 400
"""Of a piece, at least, that its reach is taken from: a quantile of more says the same."""
SAME_PIECE = 0.9
"""Overlap above which two pieces are one."""
MIN_BORDER_PX = 3
"""Of a border between neighbours: fewer pixels are a touch at a corner."""
GROW_PX = 4
"""Pixels that a cut takes away and the nearest piece gets back."""
GROW_SIGMA, GROW_RATIO = 5.0, 0.01
"""How near in depth it must be for that: deviations of the noise, and a centimetre at a metre."""
GAP_PX = 2
"""Gaps of unknown depth narrower than twice this are shadows beside objects, not something black or shiny."""
MAX_GAPS = 12
"""Of a frame, the largest."""
GAP_BORDER = 0.5
"""As which fold the border of a gap counts: beside it may be the same object, or another one."""
MAX_PROPOSALS = 80
"""Of a frame, and of each cut: clutter in a hundred pieces is looked at in the largest of them."""
MAX_COMPARED = 240
"""Pieces of all cuts that are compared with each other, the largest."""


@dataclass(frozen=True)
class Proposal:
    """A piece of the surface that may be an object, or most of one."""

    mask: Bool[np.ndarray, "rows columns"]
    """On the surface's grid; may hold pixels without depth."""
    source: str
    """What proposed it: a cut's name, a prompt, a network."""
    reach_m: float
    """Distance from its middle within which `REACH_SHARE` of it lies."""
    says: int | None = None
    """Which object it is, as its source says."""

    @cached_property
    def pixels(self) -> int:
        """Of the grid."""
        return int(self.mask.sum())


def cut_surface(
    surface: Surface,
    on_plane: Bool[np.ndarray, "rows columns"],
    taken: Bool[np.ndarray, "rows columns"],
    lab: Float[np.ndarray, "rows columns 3"],
    largest_m: float,
) -> list[Proposal]:
    """Pieces of what is neither `on_plane` nor `taken`, and of all that is not `taken`, from every cut, largest first.

    None comes twice.
    """
    found: list[Proposal] = []
    standing, everything = surface.known & ~on_plane & ~taken, surface.known & ~taken
    for name, free in (("standing", standing), ("surface", everything)):
        if name == "surface" and not (on_plane & everything).any():
            break  # no plane: all of it stands
        for cut_name, cut in _cuts(surface, lab):
            labels = _components(surface, free, cut)
            source = name + cut_name
            masks = list(_pieces(labels))
            if name == "standing":  # planes are not parts of objects
                masks += _unions(surface, labels, largest_m)
            if name == "standing" and not cut_name:
                masks += _unions(surface, _with_gaps(surface, labels, taken), largest_m)
            for mask in masks:
                reach = reach_m(surface, mask)
                if reach < MAX_REACH * largest_m:
                    found.append(Proposal(mask, source, reach))
    found.sort(key=lambda one: -one.pixels)
    return unite(found[:MAX_COMPARED])[:MAX_PROPOSALS]


def _cuts(
    surface: Surface, lab: Float[np.ndarray, "rows columns 3"]
) -> Iterator[tuple[str, Bool[np.ndarray, "rows columns"]]]:
    """Where the surface is cut, several ways, and what each is called."""
    for fold_rad in FOLDS_RAD:
        named = "" if np.isinf(fold_rad) else f", cut at folds of {np.degrees(fold_rad):.0f} degrees"
        yield named, surface.torn | (surface.fold_rad > fold_rad)
    sharp = surface.torn | (surface.fold_rad > FOLDS_RAD[1])
    yield ", cut at colours", sharp | _colour_edges(lab)


def _colour_edges(lab: Float[np.ndarray, "rows columns 3"]) -> Bool[np.ndarray, "rows columns"]:
    smooth = cv2.GaussianBlur(lab.astype(np.float32), (0, 0), COLOUR_BLUR_PX)
    down, across = (np.linalg.norm(np.gradient(smooth, axis=axis), axis=-1) for axis in (0, 1))
    return np.hypot(down, across) > COLOUR_STEP


def pieces_at(
    surface: Surface,
    free: Bool[np.ndarray, "rows columns"],
    hint: Bool[np.ndarray, "rows columns"],
    lab: Float[np.ndarray, "rows columns 3"],
    source: str,
) -> list[Proposal]:
    """Pieces of what is `free`, from every cut, that the hint touches."""
    found = []
    for _, cut in _cuts(surface, lab):
        labels = _components(surface, free, cut)
        for label in np.unique(labels[hint & (labels > 0)]):
            mask = labels == label
            if mask.sum() >= MIN_PIXELS:
                found.append(Proposal(mask, source, reach_m(surface, mask)))
    return found


def reach_m(surface: Surface, mask: Bool[np.ndarray, "rows columns"]) -> float:
    """See `Proposal`; of points spread over the mask."""
    index = np.flatnonzero(mask)
    points_m = surface.filled_cam_m.reshape(-1, 3)[index[:: max(1, len(index) // REACH_POINTS)]]
    return float(reach_about_median(points_m, REACH_SHARE))


def unite(proposals: list[Proposal]) -> list[Proposal]:
    """Each piece once, the largest first; before it those of which their source says what they are."""
    proposals = sorted(proposals, key=lambda one: (one.says is None, -one.pixels))
    if not proposals:
        return []
    same = _overlaps(proposals) > SAME_PIECE
    says = np.array([one.says or 0 for one in proposals])
    same &= (says[:, None] == says) | (says == 0) | (says[:, None] == 0)
    kept: list[int] = []
    for index in range(len(proposals)):
        if not same[index, kept].any():
            kept.append(index)
    return [proposals[index] for index in kept]


def _overlaps(proposals: list[Proposal]) -> Float[np.ndarray, "pieces pieces"]:
    """Intersection over union of pieces; 0 without a look where their sizes alone keep it from `SAME_PIECE`."""
    area = np.array([one.pixels for one in proposals])
    near = np.minimum(area[:, None], area) > SAME_PIECE * np.maximum(area[:, None], area)
    one, other = np.nonzero(np.triu(near))
    bits = np.stack([np.packbits(one.mask) for one in proposals])
    words = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)
    common = np.bitwise_count(words[one] & words[other]).sum(1, dtype=np.int64)
    overlaps = np.zeros(near.shape)
    overlaps[one, other] = overlaps[other, one] = common / np.maximum(area[one] + area[other] - common, 1)
    return overlaps


def _components(
    surface: Surface, free: Bool[np.ndarray, "rows columns"], cut: Bool[np.ndarray, "rows columns"]
) -> Int[np.ndarray, "rows columns"]:
    """Connected pieces without the cuts; the pixels of the cuts go to the piece whose depth is nearest. 0: none."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        (free & ~cut).astype(np.uint8), connectivity=4
    )
    labels = np.asarray(labels, np.int32)
    large = statistics[:, cv2.CC_STAT_AREA] >= MIN_PIXELS // 2
    large[0] = False
    labels = np.where(large[labels], labels, 0)
    z = surface.points_cam_m[..., 2]
    reach = GROW_SIGMA * surface.noise_m + GROW_RATIO * z
    for _ in range(GROW_PX):
        labels = grow_labels(labels, free, z, reach)
    return labels


def _with_gaps(
    surface: Surface, labels: Int[np.ndarray, "rows columns"], taken: Bool[np.ndarray, "rows columns"]
) -> Int[np.ndarray, "rows columns"]:
    """The pieces, and as further labels what has no depth and is no mere shadow: black and shiny parts of objects."""
    unknown = (~surface.known & ~taken).astype(np.uint8)
    round_px = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * GAP_PX + 1, 2 * GAP_PX + 1))
    wide = cv2.morphologyEx(unknown, cv2.MORPH_OPEN, round_px)
    _, gaps, statistics, _ = cv2.connectedComponentsWithStats(wide, connectivity=8)
    gaps = np.asarray(gaps, np.int32)
    area = statistics[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    kept = [k for k in np.argsort(-area, kind="stable")[:MAX_GAPS] if area[k] >= MIN_PIXELS]
    gaps = np.where(np.isin(gaps, kept), gaps, 0)
    # the opening took their corners: they get back what is unknown beside them
    beside = np.asarray(cv2.dilate(gaps.astype(np.float32), round_px), np.int32)
    gaps = np.where((gaps == 0) & (labels == 0) & (unknown > 0), beside, gaps)
    return np.where(gaps > 0, gaps + labels.max(), labels)


def _pieces(labels: Int[np.ndarray, "rows columns"]) -> Iterator[Bool[np.ndarray, "rows columns"]]:
    count = np.bincount(labels.ravel())
    count[0] = 0
    largest = np.argsort(-count, kind="stable")[:MAX_PROPOSALS]
    yield from (labels == label for label in largest if count[label] >= MIN_PIXELS)


def _unions(
    surface: Surface, labels: Int[np.ndarray, "rows columns"], largest_m: float
) -> Iterator[Bool[np.ndarray, "rows columns"]]:
    """Neighbouring pieces together, the weakest border first, each union with what was united before it."""
    pairs, weights = [], []
    for axis in (0, 1):
        first = labels[:-1] if axis == 0 else labels[:, :-1]
        second = labels[1:] if axis == 0 else labels[:, 1:]
        border = (first > 0) & (second > 0) & (first != second)
        here, there = (slice(None, -1), slice(1, None)) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        both = surface.known[here] & surface.known[there]
        strength = np.where(both, surface.fold_rad[here] + np.pi * surface.torn[here], GAP_BORDER)
        pairs.append(np.sort(np.stack([first[border], second[border]], 1), axis=1))
        weights.append(strength[border])
    pair, weight = np.concatenate(pairs), np.concatenate(weights)
    if not len(pair):
        return
    unique, index = np.unique(pair, axis=0, return_inverse=True)
    index = index.ravel()
    count = np.bincount(index)
    mean = np.bincount(index, weight) / count
    group: dict[int, frozenset[int]] = {}
    united = 0
    for k in np.argsort(mean, kind="stable"):
        if count[k] < MIN_BORDER_PX:
            continue
        a, b = (int(label) for label in unique[k])
        one, other = group.get(a, frozenset([a])), group.get(b, frozenset([b]))
        if one == other:
            continue
        both = one | other
        member = np.zeros(labels.max() + 1, bool)
        member[list(both)] = True
        mask = member[labels]
        if (mask & surface.known).sum() < MIN_KNOWN or reach_m(surface, mask) > MAX_REACH * largest_m:
            continue
        for label in both:
            group[label] = both
        yield mask
        united += 1
        if united == MAX_PROPOSALS:
            break
