"""What the joint-loss epoch adds to a network trained by targets, and what each of its terms does; several seeds.

    selfpose6d synth data --preset single-upright --frames 1500 --test-frames 200
    python benchmarks/joint_epoch.py data [--recipe paper] [--labels RUN] [--steps 1200] [--seeds 0 1 2] [--json]

Per seed the stages by targets are trained once; every variant of the joint loss goes on from there for one epoch.
Refined poses are scored (ADD-S, ADD AUC), and each seed's difference to the network before the epoch. The control
spends the epoch's steps on targets too.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from network_score import score_network
from provenance import print_provenance, provenance
from selfpose6d.datasets.options import DataOptions
from selfpose6d.losses.joint import BALANCED, JointLossOptions
from selfpose6d.training.checkpoint import load_state, save_state
from selfpose6d.training.recipe import BOTH, ESTIMATOR, JOINT_LOSS, Recipe, find_recipe
from selfpose6d.training.schedule import Limit, stage_ends
from selfpose6d.training.session import TrainOptions, make_fabric, train

CHANGES: dict[str, dict[str, object]] = {
    "all terms": {},
    "without colour": {"colour": 0.0},
    "without IoU": {"iou": 0.0},
    "without geometry": {"geometry": 0.0},
    "window 0": {"window_px": 0},
    "window 1": {"window_px": 1},
    "window 4": {"window_px": 4},
    "literal": {"occlusion_aware": False},
}
WEIGHTS = {"the paper's weights": JointLossOptions(), "balanced weights": BALANCED}
BEFORE, CONTROL = "before the epoch", "the epoch's steps by targets"


class Experiment:
    """One seed: the network by targets, and what becomes of it."""

    def __init__(self, arguments: argparse.Namespace, seed: int, folder: Path) -> None:
        self.arguments, self.seed, self.folder = arguments, seed, folder
        self.data = DataOptions(arguments.data, "train")
        self.dataset = self.data.open()

    def train(self, recipe: Recipe, steps: int, out: Path, resume: bool = False) -> None:
        """Train a recipe into `out`."""
        options = TrainOptions(
            self.data, recipe, Limit(max_steps=steps), labels=self.arguments.labels, seed=self.seed
        )
        train(self.dataset, options, out, make_fabric("cpu"), resume)

    def score(self, out: Path) -> tuple[float, float]:
        """ADD-S and ADD AUC of the refined poses."""
        model = out / "checkpoints" / "last.safetensors"
        return score_network(model, self.arguments.data, out / "estimates", "--refine", "network")

    def measure(self) -> dict[str, tuple[float, float]]:
        """Every variant's scores."""
        steps = self.arguments.steps
        recipe = find_recipe(self.arguments.recipe)
        by_targets = replace(recipe, stages=(ESTIMATOR, BOTH))
        epoch = -(-self.arguments.frames // recipe.batch)
        ends = stage_ends((ESTIMATOR, BOTH, JOINT_LOSS), steps + epoch, epoch)
        if ends[1] != steps:
            raise SystemExit(f"--steps {steps}: too few for a whole epoch of the joint loss after them.")
        base, control = self.folder / "targets", self.folder / "control"
        self.train(by_targets, steps, base)
        found = {BEFORE: self.score(base)}
        if CONTROL in self.arguments.variants:
            self.train(by_targets, steps + epoch, control)
            found[CONTROL] = self.score(control)
        for weights, loss in WEIGHTS.items():
            for change, settings in CHANGES.items():
                name = f"{weights}, {change}"
                if name not in self.arguments.variants:
                    continue
                out = self.folder / name.replace(" ", "-")
                self._go_on_from(base, out, steps + epoch)
                stages = (ESTIMATOR, BOTH, JOINT_LOSS)
                variant = replace(recipe, stages=stages, joint=replace(loss, **settings))
                self.train(variant, steps + epoch, out, resume=True)
                found[name] = self.score(out)
                shutil.rmtree(out)
        return found

    @staticmethod
    def _go_on_from(base: Path, out: Path, total_steps: int) -> None:
        """A copy of the training that is about to begin its joint-loss stage."""
        (out / "checkpoints").mkdir(parents=True)
        state = load_state(base)
        state = replace(state, total_steps=total_steps, stage=2, best=float("inf"))
        save_state(out, replace(state, validations_without_improvement=0))


def main() -> None:
    """Measure; print a table or JSON."""
    names = [CONTROL, *(f"{weights}, {change}" for weights in WEIGHTS for change in CHANGES)]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--labels", type=Path, help="annotate run of the train split, for recipe verified")
    parser.add_argument("--steps", type=int, default=1200, help="steps by targets")
    parser.add_argument(
        "--frames", type=int, default=1425, help="instances trained on, without those held out"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=names, choices=names, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    runs = []
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(Experiment(arguments, seed, Path(folder)).measure())
    scores = np.array([list(run.values()) for run in runs])
    gains = scores - scores[:, :1]
    table = {
        name: {
            "adds_auc": scores[:, i, 0].tolist(),
            "add_auc": scores[:, i, 1].tolist(),
            "adds_gain": [gains[:, i, 0].mean(), gains[:, i, 0].std()],
            "add_gain": [gains[:, i, 1].mean(), gains[:, i, 1].std()],
        }
        for i, name in enumerate(runs[0])
    }
    if arguments.json:
        print(json.dumps(provenance() | {"seeds": arguments.seeds, "variants": table}))
        return
    print_provenance()
    for name, row in table.items():
        print(
            f"{name:40} ADD-S {np.mean(row['adds_auc']):.2f}  gain {row['adds_gain'][0]:+.2f} +- "
            f"{row['adds_gain'][1]:.2f}  ADD {np.mean(row['add_auc']):.2f}  gain {row['add_gain'][0]:+.2f} +- "
            f"{row['add_gain'][1]:.2f}"
        )


if __name__ == "__main__":
    main()
