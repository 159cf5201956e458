"""From a run's journal to its result files, one frame in memory at a time."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfpose6d.files import replacing
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.journal import Journal
from selfpose6d.runs.json_lines import to_line
from selfpose6d.runs.predictions import HEADER_LINE, Prediction, prediction_line, transform_of
from selfpose6d.types import InstanceKey


@dataclass(frozen=True)
class ResultFiles:
    """Which result files a run has beside its predictions."""

    certificates: bool = True
    found: bool = False
    """Masks of objects that were found, and what was turned away."""
    steps: bool = False
    """Poses after each step of refinement."""


def write_outputs(
    run: RunFiles, journal: Journal, with_certificates: bool, names: Mapping[int, str] | None = None
) -> None:
    """Write `predictions.csv`, `skipped.jsonl` and, on demand, `certificates.jsonl`, these two with the `names` by id.

    Rows are sorted by scene, image, object and instance. Each file appears whole or not at all.
    """
    with ExitStack() as files:
        predictions = files.enter_context(replacing(run.predictions))
        skipped = files.enter_context(replacing(run.skipped))
        certificates = files.enter_context(replacing(run.certificates)) if with_certificates else None
        predictions.write(HEADER_LINE)
        for record in journal.records():
            labels = sorted(record.labels, key=_instance)
            predictions.writelines(prediction_line(_prediction(row, record.time_s)) for row in labels)
            left_out = sorted(record.skipped, key=_instance)
            skipped.writelines(to_line(_named(row, names or {})) for row in left_out)
            if certificates is not None:
                certificates.writelines(to_line(_named(row, names or {})) for row in labels)


def write_steps(folder: Path, journal: Journal) -> None:
    """Write `<index>-<name>.csv` for each step of refinement, in the form of `predictions.csv`."""
    refined = (row for record in journal.records() for row in record.labels if row.get("steps"))
    names = [step["name"] for step in next(refined, {"steps": ()})["steps"]]
    folder.mkdir(exist_ok=True)
    with ExitStack() as files:
        out = [files.enter_context(replacing(folder / f"{i}-{name}.csv")) for i, name in enumerate(names)]
        for file in out:
            file.write(HEADER_LINE)
        for record in journal.records():
            for row in sorted(record.labels, key=_instance):
                for file, step in zip(out, row["steps"], strict=True):
                    file.write(prediction_line(_prediction(row | step, record.time_s)))


def _named(row: dict[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """A journal's row with the object's name (null without one) behind the key, without the steps of refinement."""
    key = {field: row[field] for field in InstanceKey._fields}
    rest = {field: value for field, value in row.items() if field not in key and field != "steps"}
    return key | {"name": names.get(row["obj_id"])} | rest


def _prediction(row: dict[str, Any], time_s: float) -> Prediction:
    T_cam_obj = transform_of(row["R"], row["t_mm"])
    return Prediction(row["scene_id"], row["im_id"], row["obj_id"], row["confidence"], T_cam_obj, time_s)


def _instance(row: dict[str, Any]) -> tuple[int, int]:
    return row["obj_id"], row["inst_id"]
