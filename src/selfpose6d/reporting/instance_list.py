"""The list of a run's instances on the page: what it shows of each, and what it can be filtered by."""

from collections.abc import Mapping, Sequence

import numpy as np

from selfpose6d.evaluation.instances import UNKNOWN
from selfpose6d.reporting.galleries import RunPictures
from selfpose6d.reporting.instances import MOST_LISTED, RunInstance
from selfpose6d.reporting.page import InstanceLine, InstanceList
from selfpose6d.reporting.pictures import MM_PER_M
from selfpose6d.reporting.reasons import count_reasons, reason_kind


def instance_list(instances: Sequence[RunInstance], pictures: RunPictures) -> InstanceList | None:
    """All instances, or the most doubtful ones; None where there are none."""
    if not instances:
        return None
    shown = instances[:MOST_LISTED]
    counted = count_reasons((reason_kind(one.reason), one.reason) for one in shown if one.reason)
    kind_index = {kind: index for index, (kind, _, _) in enumerate(counted)}
    return InstanceList(
        [_line(one, i, kind_index, pictures) for i, one in enumerate(shown)],
        list(dict.fromkeys(one.status for one in shown if one.status)),
        dict(sorted({one.place.obj_id: one.name for one in shown}.items(), key=lambda pair: pair[1])),
        [text for _, text, _ in counted],
        any(np.isfinite(one.add_or_adds_m) for one in shown),
        _note(len(shown), len(instances), sum(i in pictures.thumbnails for i in range(len(shown)))),
    )


def _line(one: RunInstance, index: int, kind_index: Mapping[str, int], pictures: RunPictures) -> InstanceLine:
    inst = "-" if one.place.inst_id == UNKNOWN else str(one.place.inst_id)
    return InstanceLine(
        one.name,
        one.place.obj_id,
        one.status,
        one.verdict,
        f"{one.confidence:.2f}" if np.isfinite(one.confidence) else "",
        f"{MM_PER_M * one.add_or_adds_m:.1f}" if np.isfinite(one.add_or_adds_m) else "",
        f"{one.place.scene_id} / {one.place.im_id} / {inst}",
        one.reason,
        kind_index.get(reason_kind(one.reason)) if one.reason else None,
        pictures.thumbnails.get(index),
        pictures.anchors.get(index, ""),
    )


def _note(shown: int, total: int, drawn: int) -> str:
    lines = f"All {total} instances" if shown == total else f"The {shown} most doubtful of {total} instances"
    note = f"{lines}, doubtful ones first."
    if 0 < drawn < shown:
        note += f" {drawn} of them with a picture: the first ones, as many as keep the page small."
    return note
