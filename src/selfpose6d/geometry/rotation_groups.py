"""Finite groups of rigid motions from measured ones: which measured motions form a group, and the exact group nearest
to them.

Measured symmetries are off by a fraction of a degree, so that a half turn applied twice is not the identity. Averaging
each element over all products that should give it converges to a group that is exact, at once for cyclic, dihedral and
polyhedral ones (Grove, Karcher and Ruh, Group actions and curvature, 1974).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

MAX_ORDER = 60
"""The icosahedron's rotations; more elements mean a continuous symmetry."""
AVERAGING_STEPS = 6
"""Each squares the distance from a group: from degrees five reach rounding."""


def composition_table(T: Float[np.ndarray, "n 4 4"], tolerance_rad: float) -> Int[np.ndarray, "n n"]:
    """Index of the motion whose rotation is that of `T[i] @ T[j]`, to a tolerance; -1 where there is none."""
    R = T[:, :3, :3]
    products = np.einsum("iab,jbc->ijac", R, R).reshape(-1, 9)
    cosine = (products @ R.reshape(-1, 9).T - 1) / 2
    nearest = cosine.argmax(axis=1)
    found = cosine[np.arange(len(cosine)), nearest] >= np.cos(tolerance_rad)
    return np.where(found, nearest, -1).reshape(len(T), len(T))


def largest_group(table: Int[np.ndarray, "n n"], order: Sequence[int]) -> list[int]:
    """Indices of a group, the identity (index 0) first, grown from the motions in this order, best first.

    A motion joins where everything that it generates with the members so far was measured as well.
    """
    group = [0]
    for candidate in order:
        if candidate not in group:
            grown = _closure(table, [*group, candidate])
            group = grown if grown is not None else group
    return group


def exact_group(
    T: Float[np.ndarray, "n 4 4"], table: Int[np.ndarray, "n n"], centre_m: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "n 4 4"]:
    """The exact group of motions nearest to measured ones that form one by `table` (closed; identity first).

    All keep a common point: the one that fits the measured translations best and, where they leave it open (along a
    single axis), is nearest to `centre_m`.
    """
    R = T[:, :3, :3]
    for _ in range(AVERAGING_STEPS):
        R = _averaged(R, table)
    fixed_m = fixed_point(np.concatenate([R, T[:, :3, 3:]], axis=2), centre_m)
    exact = np.tile(np.eye(4), (len(T), 1, 1))
    exact[:, :3, :3] = R
    exact[:, :3, 3] = fixed_m - R @ fixed_m
    return exact


def fixed_point(
    motions: Float[np.ndarray, "n 3 4"], near_m: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "3"]:
    """The point that all motions keep best; along directions that they leave open, that of `near_m`."""
    R, t = motions[:, :, :3], motions[:, :, 3]
    A = (np.eye(3) - R).reshape(-1, 3)
    b = (t - np.einsum("nab,b->na", np.eye(3) - R, near_m)).reshape(-1)
    # a symmetry's rotations are by 6 degrees and more (1 - cos = 0.005); what is weaker is noise along an open axis
    return near_m + np.linalg.lstsq(A, b, rcond=0.02)[0]


def common_axis(R: Float[np.ndarray, "n 3 3"], near: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The unit direction that all rotations keep best, on the side of `near`."""
    A = (np.eye(3) - R).reshape(-1, 3)
    axis = np.linalg.eigh(A.T @ A)[1][:, 0]
    return axis if axis @ near >= 0 else -axis


def _closure(table: Int[np.ndarray, "n n"], members: list[int]) -> list[int] | None:
    members = list(members)
    while True:
        products = np.unique(table[np.ix_(members, members)])
        if products[0] < 0 or len(products) > MAX_ORDER:
            return None
        new = [int(i) for i in products if i not in members]
        if not new:
            return members
        members += new


def _averaged(R: Float[np.ndarray, "n 3 3"], table: Int[np.ndarray, "n n"]) -> Float[np.ndarray, "n 3 3"]:
    """Each rotation g becomes the mean of R[g h] R[h]^-1 over all h: exact to the square of what was wrong."""
    total = np.einsum("ghab,hcb->gac", R[table], R)
    U, _, Vt = np.linalg.svd(total)
    U[:, :, 2] *= np.linalg.det(U @ Vt)[:, None]
    return U @ Vt
