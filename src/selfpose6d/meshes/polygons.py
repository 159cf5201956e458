"""Polygons and strips of mesh files as triangles.

Reference: G. H. Meisters, Polygons have ears, American Mathematical Monthly 82(6), 1975.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

MAX_CONCAVE_CORNERS = 10_000
"""Of one concave polygon: cutting its ears takes the square of it, some seconds here."""
_FLAT = 1e-9
"""Of a polygon's area squared: fan triangles turned by less are rounding on a straight edge."""


def polygon_triangles(
    vertices: Float[np.ndarray, "vertices 3"],
    counts: Int[np.ndarray, " polygons"],
    index: Int[np.ndarray, " corners"],
) -> tuple[Int[np.ndarray, " triangles"], Int[np.ndarray, "triangles 3"]]:
    """Triangles of polygons, convex or not; `index` is each corner's vertex, one polygon after the other.

    Returns of each triangle its polygon, and its corners' positions in `index`. A polygon of n corners has n - 2 of
    them, those on a straight edge without area. Ill-posed for polygons that cross themselves: they stay fans.

    Raises:
        ValueError: a corner of no vertex, or a concave polygon of too many corners.
    """
    if len(index) and not 0 <= index.min() <= index.max() < len(vertices):
        wrong = index.min() if index.min() < 0 else index.max()
        raise ValueError(f"a face names vertex {wrong} of {len(vertices)}")
    polygon, corners = _fan_triangles(counts)
    if not len(corners) or counts.max() <= 3:
        return polygon, corners
    is_larger = counts[polygon] > 3
    turned = np.zeros(len(counts), bool)
    turned[polygon[is_larger]] = _has_turned_triangle(vertices[index[corners[is_larger]]], polygon[is_larger])
    if not turned.any():
        return polygon, corners
    start = np.cumsum(counts) - counts
    quads = start[turned & (counts == 4)]
    corners[turned[polygon] & (counts[polygon] == 4)] = (
        quads[:, None, None] + np.array([[1, 2, 3], [1, 3, 0]])
    ).reshape(-1, 3)
    for wrong in np.flatnonzero(turned & (counts > 4)):
        if counts[wrong] > MAX_CONCAVE_CORNERS:
            raise ValueError(
                f"a concave face has {counts[wrong]} corners, at most {MAX_CONCAVE_CORNERS} are read"
            )
        own = slice(start[wrong], start[wrong] + counts[wrong])
        first = int(np.searchsorted(polygon, wrong))
        corners[first : first + counts[wrong] - 2] = start[wrong] + _cut_ears(vertices[index[own]])
    return polygon, corners


def strip_triangles(strip: Int[np.ndarray, " corners"]) -> Int[np.ndarray, "triangles 3"]:
    """Triangles of a strip; every second one is turned round to keep its outside, those of no area are left out."""
    if len(strip) < 3:
        return np.zeros((0, 3), np.int64)
    corners = np.stack([strip[:-2], strip[1:-1], strip[2:]], axis=1)
    corners[1::2] = corners[1::2, [1, 0, 2]]
    a, b, c = corners.T
    return corners[(a != b) & (b != c) & (c != a)]


def _fan_triangles(
    counts: Int[np.ndarray, " polygons"],
) -> tuple[Int[np.ndarray, " triangles"], Int[np.ndarray, "triangles 3"]]:
    """Polygons as fans of triangles: of each triangle its polygon, and its corners' positions in the flat list."""
    triangles = np.maximum(counts - 2, 0)
    polygon = np.repeat(np.arange(len(counts)), triangles)
    start = np.cumsum(counts) - counts
    step = np.arange(len(polygon)) - (np.cumsum(triangles) - triangles)[polygon]
    first = start[polygon]
    return polygon, np.stack([first, first + step + 1, first + step + 2], axis=1)


def _has_turned_triangle(
    triangles: Float[np.ndarray, "triangles 3 3"], polygon: Int[np.ndarray, " triangles"]
) -> Bool[np.ndarray, " triangles"]:
    """For each fan triangle, whether one of its polygon's faces away from Newell's normal, the sum of the fan's."""
    a, b, c = np.moveaxis(triangles, 1, 0)
    normal = np.cross(b - a, c - a)
    first = np.flatnonzero(np.diff(polygon, prepend=-1))
    newell = np.add.reduceat(normal, first)
    group = np.cumsum(np.diff(polygon, prepend=-1) > 0) - 1
    along = (normal * newell[group]).sum(axis=1)
    is_turned = along < -_FLAT * (newell**2).sum(axis=1)[group]
    return np.logical_or.reduceat(is_turned, first)[group]


def _cut_ears(corners: Float[np.ndarray, "corners 3"]) -> Int[np.ndarray, "triangles 3"]:
    """Triangles of one polygon: corners whose triangle holds no other corner are cut off, one after the other."""
    points = _seen_along_normal(corners)
    remaining = np.arange(len(points))
    triangles, position, tried = [], 0, 0
    while len(remaining) > 3:
        position %= len(remaining)
        triangle = remaining[np.array([position - 1, position, (position + 1) % len(remaining)])]
        may_be_flat = tried > len(remaining)
        if _is_ear(points, remaining, triangle, may_be_flat) or tried > 2 * len(remaining):
            triangles.append(triangle)
            remaining = np.delete(remaining, position)
            # the next but one: cutting one corner again and again makes splinters
            position, tried = position + 1, 0
        else:
            position, tried = position + 1, tried + 1
    return np.array([*triangles, remaining])


def _seen_along_normal(corners: Float[np.ndarray, "corners 3"]) -> Float[np.ndarray, "corners 2"]:
    """The polygon in the plane of two axes on which its area is largest, counter-clockwise."""
    centred = corners - corners[0]
    newell = np.cross(centred[1:-1], centred[2:]).sum(axis=0)
    dropped = int(np.abs(newell).argmax())
    kept = [(dropped + 1) % 3, (dropped + 2) % 3]
    return centred[:, kept if newell[dropped] > 0 else kept[::-1]]


def _is_ear(
    points: Float[np.ndarray, "corners 2"],
    remaining: Int[np.ndarray, " remaining"],
    triangle: Int[np.ndarray, "3"],
    may_be_flat: bool,
) -> bool:
    """Whether a corner can be cut off: it is convex, and no concave corner lies in its triangle or on its border."""
    a, b, c = points[triangle]
    area = _doubled_area(a, b, c)
    if area <= 0:
        return bool(may_be_flat and area == 0)
    others = points[remaining]
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    near = np.flatnonzero(((others >= low) & (others <= high)).all(axis=1))
    p = others[near]
    is_concave = _doubled_area(others[near - 1], p, others[(near + 1) % len(others)]) <= 0
    is_inside = (
        np.minimum.reduce([_doubled_area(a, b, p), _doubled_area(b, c, p), _doubled_area(c, a, p)]) >= 0
    )
    is_tip = (p == a).all(axis=1) | (p == b).all(axis=1) | (p == c).all(axis=1)
    return not bool((is_concave & is_inside & ~is_tip).any())


def _doubled_area(
    a: Float[np.ndarray, "*#n 2"], b: Float[np.ndarray, "*#n 2"], c: Float[np.ndarray, "*#n 2"]
) -> Float[np.ndarray, "*_n"] | np.float64:
    """Of triangles; positive where a, b, c go counter-clockwise."""
    ab, ac = b - a, c - a
    return ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0]
