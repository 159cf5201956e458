"""What each part of the coordinate network is worth: several variants at equal time, several seeds each.

    selfpose6d synth data --models MODELS --objects 2 5 14 15 19 --frames 2400 --test-frames 100 --seed 31
    python benchmarks/coordinates.py data [--tests MORE_ROOTS] [--minutes 4 | --steps N] [--seeds 0 1 2] [--json]

Recipe `synthetic`: true poses of rendered frames. Prints ADD-S / ADD(-S) AUC (exact, pooled) of the network alone and
refined, on the test split of the data and of each further root (of its objects, those that the network knows), mean and
spread over the seeds. `variants` says what each one lacks.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np

from network_score import run_and_score
from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.options import DataOptions
from selfpose6d.losses import comparison
from selfpose6d.network.config import COORDINATES, COORDINATES_SMALL
from selfpose6d.training.recipe import Recipe, find_recipe
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions, make_fabric, train
from variants import limit_of, print_end, variant_parser

WHOLE = find_recipe("synthetic").of_coordinates()
PLAIN: dict[str, int] = dict.fromkeys(
    ("hue", "tone", "light", "highlight", "sharpness", "colour_shift_px"), 0
)
CLEAN: dict[str, int] = dict.fromkeys(("depth_bumps_m", "depth_border_px", "depth_hole"), 0)
EXACT: dict[str, int] = {"mask_px": 0, "mask_shift_px": 0}


@dataclass(frozen=True)
class Variant:
    """A recipe, and what is not an option of it."""

    recipe: Recipe
    floor: float = comparison.FLOOR
    fragments: int = COORDINATES_SMALL.fragments


def changed(names: dict[str, int]) -> Variant:
    """The whole recipe without these changes to its crops."""
    return Variant(replace(WHOLE, augment=replace(WHOLE.augment, **names)))


VARIANTS: dict[str, Variant] = {
    "coordinates": Variant(WHOLE),
    "64 fragments": Variant(WHOLE, fragments=64),
    "dense-fusion": Variant(find_recipe("synthetic")),
    "dense-fusion by Muon": Variant(replace(find_recipe("synthetic"), optimiser="muon")),
    "Adam": Variant(replace(WHOLE, optimiser="adam", batch=16, learning_rate=1e-3)),
    "starts up to 20 degrees": Variant(replace(WHOLE, refiner_noise=0.35)),
    # so far above all errors that their ratio is a distance
    "errors unbalanced": Variant(WHOLE, floor=0.5),
    "symmetries ignored": Variant(replace(WHOLE, symmetric_targets=False)),
    "gates off": Variant(replace(WHOLE, weighted=False)),
    "whole crops from the start": Variant(
        replace(WHOLE, stages=tuple(replace(stage, crop_scale=1.0) for stage in WHOLE.stages))
    ),
    "exact masks": changed(EXACT),
    "plain light": changed(PLAIN),
    "clean depth": changed(CLEAN),
}


def measure(
    data: Path, tests: list[Path], variant: Variant, limit: Limit, seed: int, folder: Path
) -> dict[str, tuple[float, float]]:
    """ADD-S and ADD(-S) AUC alone and refined, by test set."""
    model = folder / "model"
    options = TrainOptions(DataOptions(data), variant.recipe, limit, seed=seed, cache=CacheOptions())
    small = replace(COORDINATES_SMALL, fragments=variant.fragments)
    with (
        mock.patch.object(comparison, "FLOOR", variant.floor),
        mock.patch.dict(COORDINATES, {"small": small}),
    ):
        train(options.data.open("train"), options, model, make_fabric("cpu"))
    found = {}
    for test in (data, *tests):
        for name, more in (("alone", ()), ("refined", ("--refine", "network"))):
            pooled = run_and_score(model, test, folder / f"{test.name}-{name}", *more)
            found[f"{test.name}, {name}"] = pooled["adds_auc"], pooled["add_or_adds_auc"]
    return found


def main() -> None:
    """Measure every variant and seed; print a table or JSON."""
    parser = variant_parser(__doc__, VARIANTS)
    parser.add_argument("--tests", nargs="+", type=Path, default=[], help="further roots to test on")
    options = parser.parse_args()
    limit = limit_of(options)
    say: Callable[[str], None] = (lambda _: None) if options.json else (lambda line: print(line, flush=True))
    found = {}
    for name in options.variants:
        rows = []
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                variant = VARIANTS[name]
                rows.append(measure(options.data, options.tests, variant, limit, seed, Path(folder)))
        found[name] = {}
        for test in rows[0]:
            values = np.array([row[test] for row in rows])
            mean, spread = values.mean(0).tolist(), values.std(0).tolist()
            found[name][test] = {"adds_auc": mean[0], "add_or_adds_auc": mean[1], "spread": spread}
            say(f"{name:24} {test:28} {mean[0]:.1f} +- {spread[0]:.1f} / {mean[1]:.1f} +- {spread[1]:.1f}")
    print_end(options, found)


if __name__ == "__main__":
    main()
