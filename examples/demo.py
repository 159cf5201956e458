"""`make demo`: render unannotated scenes, label them, score the labels, write the page. About two minutes on two cores.

python examples/demo.py [FOLDER]
"""

import subprocess
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    """Run the commands a user would type, one after the other, and say where the results are."""
    data, run = folder / "data", folder / "annotate"
    start_s = time.perf_counter()
    for arguments in (
        ("synth", data, "--frames", 4, "--test-frames", 16, "--seed", 1),
        ("annotate", data, "--split", "test", "--out", run),
        ("report", run),
        ("evaluate", run, data, "--split", "test"),
    ):
        step(*map(str, arguments))
    print(f"\ndone in {time.perf_counter() - start_s:.0f} s")
    print(f"the page with tables, curves and overlays: {run / 'report.html'}")


def step(*arguments: str) -> None:
    """Show and run one command; stop at the first that fails."""
    print(f"\n$ selfpose6d {' '.join(arguments)}", flush=True)
    result = subprocess.run([sys.executable, "-m", "selfpose6d.cli.main", *arguments], check=False)
    if result.returncode:
        sys.exit(result.returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
