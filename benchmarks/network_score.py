"""Scores of a trained network on its data set's test split."""

import json
from pathlib import Path

from selfpose6d.cli.main import main as selfpose6d


def score_network(model: Path, data: Path, run: Path, *options: str) -> tuple[float, float]:
    """ADD-S and ADD AUC (exact, pooled) of `estimate` with the options, which writes the run folder `run`."""
    for command in (
        ["estimate", str(model), str(data), "--out", str(run), *options],
        ["evaluate", str(run), str(data), "--split", "test"],
    ):
        if selfpose6d(command):
            raise SystemExit(f"failed: {command}")
    pooled = json.loads((run / "results.json").read_text())["metrics"]["pooled"]
    return pooled["adds_auc"], pooled["add_auc"]
