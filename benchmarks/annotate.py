"""Accuracy, time and memory of `annotate` on a data set, in a process of its own.

    python benchmarks/annotate.py ../shared/data/ycbv-sample [--json] [annotate's options]

Memory is the peak resident set above the value right after the imports. Time is the median of `time_s` in
certificates.jsonl: everything but reading the images and loading the meshes.
"""

import argparse
import contextlib
import io
import json
import resource
import tempfile
from pathlib import Path

import numpy as np

from provenance import print_provenance, provenance
from selfpose6d.cli import annotate, evaluate  # noqa: F401
from selfpose6d.cli.main import main
from selfpose6d.datasets import layouts  # noqa: F401
from selfpose6d.objects import store  # noqa: F401

MB = 1e6


def resident_mb() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MB


def peak_mb() -> float:
    """Most resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


def measure(data: Path, options: list[str], run: Path) -> dict[str, float]:
    """Label, score, and gather the statistics."""
    before_mb = resident_mb()
    if main(["annotate", str(data), "--out", str(run), "--overlays", "0", *options]):
        raise SystemExit("annotate failed")
    above_mb = peak_mb() - before_mb
    with contextlib.redirect_stdout(io.StringIO()):
        main(["evaluate", str(run), str(data)])
    results = json.loads((run / "results.json").read_text())
    labels = [json.loads(line) for line in (run / "certificates.jsonl").read_text().splitlines()]
    pooled = results["metrics"]["pooled"]
    return {
        "instances": results["instances"],
        "adds_auc": pooled["adds_auc"],
        "add_auc": pooled["add_auc"],
        "add_or_adds_auc": pooled["add_or_adds_auc"],
        "certified_share": results["certified_share"],
        "certified_precision": results["certified_precision"],
        "median_time_s": float(np.median([row["time_s"] for row in labels])),
        "peak_memory_above_import_mb": above_mb,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        statistics = measure(arguments.data, options, Path(folder) / "run")
    if arguments.json:
        print(json.dumps(provenance() | statistics))
    else:
        print_provenance()
        print(*(f"{name:28} {value:.3f}" for name, value in statistics.items()), sep="\n")
