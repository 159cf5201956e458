"""Trains recipes on a data set and scores each on its test split: network alone, with ICP, with
the refinement network, with verification.

    selfpose6d synth data --preset single-upright --frames 1500 --test-frames 200
    selfpose6d annotate data --split train --out labels
    python benchmarks/train.py data --labels labels [--recipes paper supervised verified] [--minutes 4] [--json]

Prints the rate of training (resolver included), the peak resident memory of the training process, and ADD-S / ADD AUC
(exact, pooled). Every command runs as a user would run it, in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from provenance import print_provenance, provenance

REFINEMENTS = {
    "network": [],
    "icp": ["--refine", "icp"],
    "refiner": ["--refine", "network"],
    "verify": ["--verify"],
}


def run(*arguments: object) -> float:
    """Run one selfpose6d command; its peak resident memory in MB."""
    command = [sys.executable, "-m", "selfpose6d.cli.main", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_maxrss * 1024 / 1e6


def measure(options: argparse.Namespace, recipe: str, seed: int, folder: Path) -> dict[str, float]:
    """Train one recipe and score it in every way."""
    model = folder / f"{recipe}-{seed}"
    labels = ["--labels", options.labels] if recipe == "verified" else []
    limit = ["--max-steps", options.steps] if options.steps else ["--max-minutes", options.minutes]
    data = [options.data, *options.selection]
    size = ["--size", options.size, "--seed", seed]
    memory_mb = run("train", *data, "--recipe", recipe, "--out", model, *size, *limit, *labels)
    rows = [json.loads(line) for line in (model / "log.jsonl").read_text().splitlines()]
    last = [row for row in rows if row["kind"] == "train"][-1]
    statistics = {"steps": last["step"], "samples_per_s": last["samples_per_s"], "peak_memory_mb": memory_mb}
    for name in options.refinements:
        out = folder / f"{recipe}-{seed}-{name}"
        run("estimate", model, options.test or options.data, "--out", out, *REFINEMENTS[name])
        run("evaluate", out, options.test or options.data, "--split", "test")
        pooled = json.loads((out / "results.json").read_text())["metrics"]["pooled"]
        statistics |= {f"{name}_adds_auc": pooled["adds_auc"], f"{name}_add_auc": pooled["add_auc"]}
    return statistics


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="data set with splits train and test")
    parser.add_argument("--test", type=Path, help="data set to score on (default: the same)")
    parser.add_argument("--labels", type=Path, help="annotate run of the train split, for recipe verified")
    parser.add_argument("--recipes", nargs="+", default=["paper", "supervised", "verified"])
    parser.add_argument("--refinements", nargs="+", default=list(REFINEMENTS), choices=list(REFINEMENTS))
    parser.add_argument("--size", default="small")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options, options.selection = parser.parse_known_args()
    return options


def main() -> None:
    """Measure every recipe and seed; print a table or JSON."""
    options = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        found = {
            f"{recipe}, seed {seed}": measure(options, recipe, seed, folder)
            for recipe in options.recipes
            for seed in options.seeds
        }
    if options.json:
        print(json.dumps(provenance() | {"runs": found}))
        return
    print_provenance()
    for name, statistics in found.items():
        print(name, *(f"  {key:20} {value:.1f}" for key, value in statistics.items()), sep="\n")


if __name__ == "__main__":
    main()
