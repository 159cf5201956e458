"""How long starting takes: torch alone, the public API, and the command's help, each in a process of its own.

    python benchmarks/startup.py [--runs 7] [--json]

The three take turns; medians. The ratio of the API to torch alone does not depend on how busy the machine is.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

from provenance import print_provenance, provenance

STARTS = {
    "torch_s": ["-c", "import torch"],
    "api_s": ["-c", "from selfpose6d import annotate"],
    "help_s": ["-m", "selfpose6d", "--help"],
}


def time_s(arguments: list[str]) -> float:
    """Seconds of one process."""
    start_s = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_s


def main() -> None:
    """Measure; print lines or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    for start in STARTS.values():
        time_s(start)  # files into memory, byte code onto disk
    rows = [[time_s(start) for start in STARTS.values()] for _ in range(arguments.runs)]
    found = dict(zip(STARTS, np.median(rows, axis=0).tolist(), strict=True))
    found["api_to_torch"] = found["api_s"] / found["torch_s"]
    if arguments.json:
        print(json.dumps(provenance() | found))
        return
    print_provenance()
    print(*(f"{name:14} {value:.2f}" for name, value in found.items()), sep="\n")


if __name__ == "__main__":
    main()
