"""The masks of found objects: `detections.json` in BOP's form, numbered over the whole run."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from selfpose6d.files import replacing
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.journal import Journal
from selfpose6d.runs.json_lines import to_line


def write_detections(run: RunFiles, journal: Journal, names: Mapping[int, str]) -> None:
    """Write `detections.json` (one row a line) and `turned_away.jsonl`, with the objects' `names` by id; each appears
    whole or not at all.
    """
    with ExitStack() as files:
        detections = files.enter_context(replacing(run.detections))
        turned_away = files.enter_context(replacing(run.turned_away))
        separator = "[\n"
        for record in journal.records():
            for label, found in zip(record.labels, record.detections, strict=True):
                detections.write(separator + json.dumps(_row(label, found, record.time_s)))
                separator = ",\n"
            turned_away.writelines(
                to_line(row | {"name": names.get(row["obj_id"])}) for row in record.turned_away
            )
        detections.write("[]\n" if separator.startswith("[") else "\n]\n")


def _row(label: dict[str, Any], found: dict[str, Any], time_s: float) -> dict[str, Any]:
    return {
        "scene_id": label["scene_id"],
        "image_id": label["im_id"],
        "category_id": label["obj_id"],
        "score": label["confidence"],
        "bbox": found["bbox"],
        "segmentation": found["segmentation"],
        "time": time_s,
        "inst_id": found["inst_id"],
    }
