"""Before and after: the instances whose result differs most between the compared runs, one outline a run."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from selfpose6d.errors import SelfPose6DError
from selfpose6d.reporting.changed import ChangedInstance, in_turn, most_changed
from selfpose6d.reporting.instances import RunInstance
from selfpose6d.reporting.page import Gallery, PictureGroup, of_all
from selfpose6d.reporting.pictures import MM_PER_M, RunRenderer, compared_tiles


def changed_gallery(
    renderer: RunRenderer,
    runs: Mapping[str, Sequence[RunInstance]],
    symmetric_ids: tuple[int, ...],
    count: int,
) -> list[Gallery]:
    """At most `count` instances, each run's outline beside the others'; nothing where there is one run."""
    if len(runs) < 2:
        return []

    def vertices_m(obj_id: int) -> np.ndarray:
        index = renderer.mesh_index[obj_id]
        start, stop = renderer.meshes.vertex_start[index : index + 2].tolist()
        return renderer.meshes.vertices_m[start:stop].numpy()

    changed = in_turn(most_changed(runs, vertices_m, symmetric_ids))
    groups = []
    for one in changed[:count]:
        with suppress(SelfPose6DError):
            groups.append(_group(renderer, one))
    titles = " | ".join(runs)
    if not changed:
        return [Gallery("What differs", f"{titles}: no instance differs by 1 mm or in its status.", ())]
    note = f"{titles}: the instances whose result differs most, of each object in turn."
    return [Gallery("What differs", f"{note} {of_all(len(groups), len(changed))}", groups)]


def _group(renderer: RunRenderer, changed: ChangedInstance) -> PictureGroup:
    first = next(iter(changed.found.values()))
    apart_mm = MM_PER_M * changed.difference_m
    lines = [f"{first.where}: " + (f"differ by {apart_mm:.1f} mm" if apart_mm >= 1 else "differ in status")]
    pictures = compared_tiles(renderer, changed.found)
    return PictureGroup(pictures, first.name, lines, first.status, "", first.place.obj_id)
