"""`make demo`: from unannotated frames to a trained pose estimator, no label. About eight minutes on two cores.

    python examples/demo.py [FOLDER]

Renders a box, labels the frames, trains on the labels, estimates in several ways, and writes one page with all of them.
Ends with the same frames without masks: the box is found, labelled and scored beside the run with masks.
"""

import subprocess
import sys
import time
from pathlib import Path

ESTIMATES = {
    "estimator": (),
    "icp": ("--refine", "icp"),
    "refiner": ("--refine", "network"),
    "verified": ("--verify",),
}


def main(folder: Path) -> None:
    """Run the commands a user would type, one after the other, and say where the results are."""
    names = "data", "labels", "model", "annotate", "find"
    data, labels, model, annotated, found = (folder / name for name in names)
    start_s = time.perf_counter()
    step("synth", data, "--preset", "single-upright", "--frames", 400, "--test-frames", 40, "--seed", 1)
    step("annotate", data, "--split", "train", "--out", labels)
    step("annotate", data, "--split", "test", "--out", annotated)
    step("train", data, "--recipe", "verified", "--labels", labels, "--out", model, "--max-minutes", 3)
    for name, options in ESTIMATES.items():
        step("estimate", model, data, "--split", "test", "--out", folder / name, *options)
        step("evaluate", folder / name, data, "--split", "test")
    page, *others = (folder / name for name in ("verified", "refiner", "icp", "estimator"))
    step("report", page, "--compare", *others, annotated)
    step("find", data, "--split", "test", "--counts", "known", "--out", found)
    step("evaluate", annotated, found, data, "--split", "test")
    print(f"\ndone in {time.perf_counter() - start_s:.0f} s")
    print(f"the page with tables, learning curves and overlays: {page / 'report.html'}")


def step(*arguments: object) -> None:
    """Show and run one command; stop at the first that fails."""
    command = [str(argument) for argument in arguments]
    print(f"\n$ selfpose6d {' '.join(command)}", flush=True)
    result = subprocess.run([sys.executable, "-m", "selfpose6d.cli.main", *command], check=False)
    if result.returncode:
        sys.exit(result.returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
