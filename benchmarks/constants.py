"""How much the annotator's constants matter: a data set labelled with each of them changed, all else the same.

    python benchmarks/constants.py ../shared/data/ycbv-sample [--seeds 0 1] [--only SLIPPABLE ...] [--json]

Prints the mean over the seeds of the ADD(-S) AUC (exact), the ratio certified and how many of these are right. Nothing
is chosen here: true poses score only.
"""

import argparse
import json
import math
import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np

from annotate import measure
from provenance import print_provenance, provenance
from selfpose6d.labeling import certificate, expand, observation, refine, residuals, score, search
from selfpose6d.labeling.lengths import Lengths


def times(name: str, *factors: float) -> tuple[property, ...]:
    """A length of `Lengths` (or a spacing's distance) multiplied by each factor."""
    length = vars(Lengths)[name].fget

    def changed(factor: float) -> property:
        def scaled(lengths: Lengths):
            value = length(lengths)
            return (
                value * factor if isinstance(value, float) else value._replace(distance_m=factor * value[1])
            )

        return property(scaled)

    return tuple(map(changed, factors))


MEASURES = ("add_or_adds_auc", "certified_share", "certified_precision")
ONE_AT_A_TIME = (
    (observation, "FINE_SHIFT_RATIO", (0.0, 1 / 64, 1 / 16)),
    (observation, "COARSE_SHIFT_RATIO", (0.0, 1 / 32)),
    (observation, "CROP_MARGIN", (0.05, 0.3)),
    (observation, "ERODE_PX", (0, 4)),
    (Lengths, "depth_cap_m", times("depth_cap_m", 0.5, 2.0)),
    (Lengths, "free_space_m", times("free_space_m", 0.5, 2.0)),
    (Lengths, "agree_m", times("agree_m", 0.5, 2.0)),
    (score, "NOISE_LAB", (2.0, 8.0)),
    (expand, "SLIPPABLE", (0.0, 0.01, 0.1)),
    (expand, "STEP_RAD", (math.radians(3.75), math.radians(15))),
    (search, "EXPANDED", (1, 6)),
    (search, "RMS_RATIO", (1.5, 3.0)),
    (Lengths, "rms_slack_m", times("rms_slack_m", 0.0, 2.0)),
    (Lengths, "same_candidate", times("same_candidate", 0.5, 2.0)),
    (Lengths, "same_kind", times("same_kind", 0.5, 2.0)),
    (refine, "DAMPING", (1e-3, 1e-1)),
    (refine, "NEAREST_WEIGHT", (0.0, 1.0)),
    (residuals, "COLOUR_SCALE_LAB", (8.0, 32.0)),
    (residuals, "SILHOUETTE_SCALE_PX", (0.25, 1.0)),
    (certificate, "COLOUR_WEIGHT", (0.5, 2.0)),
    (certificate, "SHAPE_WEIGHT", (0.5, 2.0)),
    (certificate, "SIGMA_WEIGHT", (0.0, 1.4)),
)
"""The module, the constant, and what it is set to: about half and twice its value."""


def labelled(data: Path, seeds: list[int], changes: tuple) -> dict[str, float]:
    """The measures, averaged over the seeds, with some constants changed."""
    rows = []
    with ExitStack() as stack:
        for module, name, value in changes:
            stack.enter_context(patch.object(module, name, value))
        for seed in seeds:
            run = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
            rows.append(measure(data, ["--workers", "1", "--seed", str(seed)], run))
    return {name: float(np.mean([row[name] for row in rows])) for name in MEASURES}


def main() -> None:
    """Label with every change; print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", help="names of constants; all when left out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    found = {"as it is": labelled(arguments.data, arguments.seeds, ())}
    for module, name, values in ONE_AT_A_TIME:
        for position, value in enumerate(values if arguments.only is None or name in arguments.only else ()):
            found[f"{name} {position if isinstance(value, property) else value}"] = labelled(
                arguments.data, arguments.seeds, ((module, name, value),)
            )
    if arguments.json:
        print(json.dumps(provenance() | found))
        return
    print_provenance()
    for case, row in found.items():
        print(case, *(f"{name} {value:.2f}" for name, value in row.items()), sep="  ")


if __name__ == "__main__":
    main()
