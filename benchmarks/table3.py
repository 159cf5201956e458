"""The paper's Table III: a training step with the resolver against one with the renderer, time and memory.

    python benchmarks/table3.py [--batch 8] [--size small] [--json]

What `selfpose6d reproduce table3` measures (`reproduction/efficiency.py`), on one built-in box, for any batch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from provenance import print_provenance, provenance
from selfpose6d.network.config import SIZES
from selfpose6d.reproduction.efficiency import measure_costs, ratios
from selfpose6d.reproduction.parts import Part
from selfpose6d.reproduction.printed import TABLE_3
from selfpose6d.selection import Selection


def render_frames(frames: int, folder: Path) -> None:
    """A few frames of the box, in a process of its own."""
    command = [sys.executable, "-m", "selfpose6d", "synth", str(folder), "--preset", "single-upright"]
    subprocess.run([*command, "--frames", str(frames), "--test-frames", "0"], stdout=sys.stderr, check=True)


def main() -> None:
    """Measure both kinds, each in its own process; print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", default="small", choices=list(SIZES))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "data"
        render_frames(options.batch, folder)
        costs = measure_costs(Part(folder, "train", Selection()), options.size, options.batch)
    if options.json:
        measured = {kind: vars(cost) for kind, cost in costs.items()}
        paper = {kind: vars(cost) for kind, cost in TABLE_3.items()}
        print(json.dumps(provenance() | {"ratios": ratios(costs), "measured": measured, "paper": paper}))
        return
    print_provenance()
    for kind, cost in costs.items():
        print(f"{kind:9}", ", ".join(f"{name} {value:.1f}" for name, value in vars(cost).items()))
    print("renderer / resolver:", ", ".join(f"{name} {value:.2f}" for name, value in ratios(costs).items()))


if __name__ == "__main__":
    main()
