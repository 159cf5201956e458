"""Files of a run, written row by row."""

from collections.abc import Iterable
from pathlib import Path

from selfpose6d.files import replacing
from selfpose6d.runs.certificates import pose_row
from selfpose6d.runs.json_lines import to_line
from selfpose6d.runs.predictions import HEADER_LINE, Prediction, prediction_line
from selfpose6d.types import LabeledPose


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """A `predictions.csv` with the rows in their order."""
    with replacing(path) as file:
        file.write(HEADER_LINE)
        file.writelines(map(prediction_line, predictions))


def write_certificates(path: Path, labels: Iterable[LabeledPose]) -> None:
    """A `certificates.jsonl` with the labels in their order."""
    with replacing(path) as file:
        file.writelines(to_line(pose_row(label)) for label in labels)
