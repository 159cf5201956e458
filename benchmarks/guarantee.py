"""Does the promise hold? Many independent calibrations, each tried on one large fresh set of rendered scenes.

    python benchmarks/guarantee.py CALIBRATION.scenes.jsonl [--calibrations 20] [--fresh 1000]

Takes the scenes that `selfpose6d calibrate` kept, deals them out (sets of scenes that share their meshes stay
together), makes each calibration from its own part, and measures the true error of what it certifies on the fresh part.
At 95 % confidence, one in twenty may exceed its risk.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from provenance import print_provenance
from selfpose6d.calibration.make import calibrate_on, rate
from selfpose6d.calibration.scenes import SCENES_PER_SET, SceneResult


def read(path: Path) -> list[SceneResult]:
    """The scenes that gave a pose."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [SceneResult.from_json(row) for row in rows if row.get("quality")]


def main() -> None:
    """Deal out, calibrate, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--calibrations", type=int, default=20)
    parser.add_argument("--fresh", type=int, default=1000, help="scenes kept apart to measure on")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results = read(arguments.scenes)
    sets: dict[int, list[SceneResult]] = {}
    for one in results:
        sets.setdefault(one.scene // SCENES_PER_SET, []).append(one)
    order = np.random.default_rng(arguments.seed).permutation(sorted(sets))
    fresh, left = [], list(order)
    while len(fresh) < arguments.fresh:
        fresh += sets[left.pop()]
    may = [one for one in fresh if one.may_certify]
    wrong = np.array([not one.right for one in may])
    print_provenance()
    print(
        f"{len(fresh)} fresh instances, {len(results) - len(fresh)} for {arguments.calibrations} calibrations"
    )
    rows: dict[float, list[tuple[float, float]]] = {}
    for part in np.array_split(np.array(left), arguments.calibrations):
        halves = [[one for index in half for one in sets[index]] for half in (part[::2], part[1::2])]
        calibration = calibrate_on(*halves)
        score = rate(calibration, may)
        for row in calibration.thresholds:
            if not math.isinf(row.score):
                passed = score >= row.score
                error = float(wrong[passed].mean()) if passed.any() else 0.0
                rows.setdefault(row.risk, []).append((error, passed.sum() / len(fresh)))
    for risk, found in sorted(rows.items()):
        error, coverage = np.array(found).T
        print(
            f"risk {risk:<5g} {len(found):2d} calibrations certify; error on fresh scenes: mean {error.mean():.4f}, "
            f"worst {error.max():.4f}, above the risk {(error > risk).sum()}, coverage {coverage.mean():.2f}"
        )


if __name__ == "__main__":
    main()
