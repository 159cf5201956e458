"""The instances whose result differs most between compared runs."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from selfpose6d.evaluation.errors_file import MISSED
from selfpose6d.evaluation.instances import UNKNOWN
from selfpose6d.metrics.auc import MAX_DISTANCE_M
from selfpose6d.reporting.instances import SKIPPED, Place, RunInstance

LEAST_DIFFERENCE_M = 0.001
"""Less is no difference that a picture shows."""
POINTS = 500
"""Of a mesh, for the distance of two poses."""
Vertices = Callable[[int], Float[np.ndarray, "points 3"]]


@dataclass(frozen=True)
class ChangedInstance:
    """One instance in all runs, by their titles, and by how much its results differ at most (metres)."""

    found: Mapping[str, RunInstance]
    difference_m: float
    other_status: bool


def most_changed(
    runs: Mapping[str, Sequence[RunInstance]], vertices_m: Vertices, symmetric_ids: Collection[int]
) -> list[ChangedInstance]:
    """The instances whose result differs, most first; those of which no run has a pose are left out.

    The difference is that of the ADD(-S) to the true pose where it is known (up to 10 cm, which a miss has too), else
    the ADD(-S) between the two poses. `vertices_m` gives an object's.
    """
    keyed = {title: _by_place(instances) for title, instances in runs.items()}
    places = sorted(set().union(*keyed.values()))
    changed = []
    for place in places:
        found = {title: by_place.get(place, _nothing(place)) for title, by_place in keyed.items()}
        first, *others = found.values()
        if all(one.T_cam_obj is None for one in found.values()):
            continue
        name = next(one.name for one in found.values() if one.name)
        found = {title: one if one.name else _nothing(place, name) for title, one in found.items()}
        difference_m = max(_difference_m(first, other, vertices_m, symmetric_ids) for other in others)
        other_status = any(other.status != first.status for other in others)
        if other_status or difference_m >= LEAST_DIFFERENCE_M:
            changed.append(ChangedInstance(found, difference_m, other_status))
    return sorted(changed, key=lambda one: (-one.difference_m, not one.other_status))


def in_turn(changed: Sequence[ChangedInstance]) -> list[ChangedInstance]:
    """Each object's first one, then each object's second one: neighbouring frames show the same again and again."""
    seen: Counter[int] = Counter()
    turns = []
    for one in changed:
        obj_id = next(iter(one.found.values())).place.obj_id
        turns.append(seen[obj_id])
        seen[obj_id] += 1
    return [changed[i] for i in sorted(range(len(changed)), key=lambda i: turns[i])]


def _by_place(instances: Sequence[RunInstance]) -> dict[Place, RunInstance]:
    """By true pose where it was scored, else by key; without `inst_id` by rank of confidence."""
    keyed: dict[Place, RunInstance] = {}
    ranks: defaultdict[Place, int] = defaultdict(int)
    for one in sorted(instances, key=lambda one: -one.confidence if one.confidence == one.confidence else 0):
        place = one.true_place or one.place
        if place.inst_id == UNKNOWN:
            ranks[one.place] += 1
            place = place._replace(inst_id=UNKNOWN - ranks[one.place])
        keyed.setdefault(place, one)
    return keyed


def _nothing(place: Place, name: str = "") -> RunInstance:
    return RunInstance(place, name, MISSED, "")


def _difference_m(
    first: RunInstance, second: RunInstance, vertices_m: Vertices, symmetric_ids: Collection[int]
) -> float:
    if np.isfinite(first.add_or_adds_m) or np.isfinite(second.add_or_adds_m):
        return abs(_error_m(first) - _error_m(second))
    if first.T_cam_obj is None or second.T_cam_obj is None:
        return 0.0 if first.T_cam_obj is second.T_cam_obj else MAX_DISTANCE_M
    points_m = vertices_m(first.place.obj_id)
    points_m = points_m[:: max(1, len(points_m) // POINTS)]
    a, b = (points_m @ T[:3, :3].T + T[:3, 3] for T in (first.T_cam_obj, second.T_cam_obj))
    symmetric = first.place.obj_id in symmetric_ids
    distance_m = KDTree(b).query(a)[0] if symmetric else np.linalg.norm(a - b, axis=1)
    return min(float(distance_m.mean()), MAX_DISTANCE_M)


def _error_m(one: RunInstance) -> float:
    missed = one.T_cam_obj is None or one.status in (SKIPPED, MISSED)
    return (
        MAX_DISTANCE_M
        if missed or not np.isfinite(one.add_or_adds_m)
        else min(one.add_or_adds_m, MAX_DISTANCE_M)
    )
