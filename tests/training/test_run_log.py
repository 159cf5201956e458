"""The log of a training that goes on: what a kill tore is left out, nothing stands in it twice."""

import json

import pytest

from selfpose6d.runs.json_lines import to_line
from selfpose6d.training.record import RunLog


def rows_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def add(log: RunLog, *steps: int) -> None:
    for step in steps:
        log.add(step, "train", {"loss": 1.0 / step}, "estimator")


def test_a_torn_line_and_rows_after_the_saved_step_are_made_again(tmp_path):
    log = RunLog(tmp_path, 0)
    log.note(0, "held out", "two frames")
    add(log, 10, 20)
    log.close()
    whole = rows_of(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(to_line({"step": 30, "kind": "train"})[:-9])
    with pytest.warns(UserWarning, match="was not written whole"):
        log = RunLog(tmp_path, 10)
    log.note(10, "held out", "two frames")
    add(log, 20)
    log.close()
    assert rows_of(tmp_path) == whole


def test_a_training_that_had_saved_nothing_begins_its_log_anew(tmp_path):
    for _ in range(2):
        log = RunLog(tmp_path, 0)
        log.note(0, "held out", "two frames")
        add(log, 10)
        log.close()
    assert [row["step"] for row in rows_of(tmp_path)] == [0, 10]
