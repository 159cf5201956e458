"""The paper's ablations on one data set, several seeds each: mean and spread of ADD-S and ADD AUC.

    python benchmarks/ablation.py data [--minutes 4 | --steps N] [--seeds 0 1 2] [--json]

Weighted against unweighted fusion (Table II, first two columns) and the resolver's two matching directions, all by
recipe `paper`; weighted against unweighted with true poses beside them. The estimator alone is trained: no refinement.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from network_score import score_network
from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.options import DataOptions
from selfpose6d.training.recipe import Recipe, Stage, find_recipe
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions, make_fabric, train
from variants import limit_of, print_end, variant_parser

PAPER, SUPERVISED = (
    replace(find_recipe(name), stages=(Stage("estimator"),)) for name in ("paper", "supervised")
)
VARIANTS: dict[str, Recipe] = {
    "paper": PAPER,
    "paper, w/o weighted fusion": replace(PAPER, weighted=False),
    "paper, model-to-observed": replace(PAPER, direction="model-to-observed"),
    "supervised": SUPERVISED,
    "supervised, w/o weighted fusion": replace(SUPERVISED, weighted=False),
}


def measure(data: Path, recipe: Recipe, limit: Limit, seed: int, folder: Path) -> tuple[float, float]:
    """ADD-S and ADD AUC (exact, pooled) of the network alone."""
    model = folder / "model"
    options = TrainOptions(DataOptions(data), recipe, limit, seed=seed, cache=CacheOptions())
    train(options.data.open("train"), options, model, make_fabric("cpu"))
    return score_network(model, data, folder / "estimates")


def main() -> None:
    """Measure every variant and seed; print a table or JSON."""
    parser = variant_parser(__doc__, VARIANTS)
    options = parser.parse_args()
    limit = limit_of(options)
    found = {}
    for name in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            scores = [
                measure(options.data, VARIANTS[name], limit, seed, Path(folder) / str(seed))
                for seed in options.seeds
            ]
        mean, spread = np.mean(scores, axis=0).tolist(), np.std(scores, axis=0).tolist()
        found[name] = {
            "adds_auc": mean[0],
            "adds_spread": spread[0],
            "add_auc": mean[1],
            "add_spread": spread[1],
        }
        if not options.json:
            print(f"{name:34} ADD-S {mean[0]:.1f} +- {spread[0]:.1f}  ADD {mean[1]:.1f} +- {spread[1]:.1f}")
    print_end(options, found)


if __name__ == "__main__":
    main()
