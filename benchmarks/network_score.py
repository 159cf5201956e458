"""Scores of a trained network on its data set's test split."""

import json
from pathlib import Path

from selfpose6d.cli.main import main as selfpose6d


def score_network(model: Path, data: Path, run: Path, *options: str) -> tuple[float, float]:
    """ADD-S and ADD AUC (exact, pooled) of `estimate` with the options, which writes the run folder `run`."""
    pooled = run_and_score(model, data, run, *options)
    return pooled["adds_auc"], pooled["add_auc"]


def run_and_score(model: Path, data: Path, run: Path, *options: str) -> dict[str, float]:
    """All pooled measures of `estimate` with the options."""
    for command in (
        ["estimate", str(model), str(data), "--out", str(run), *options],
        ["evaluate", str(run), str(data), "--split", "test"],
    ):
        if selfpose6d(command):
            raise SystemExit(f"failed: {command}")
    return json.loads((run / "results.json").read_text())["metrics"]["pooled"]
