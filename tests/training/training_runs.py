"""Short trainings for tests."""

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.options import DataOptions
from selfpose6d.geometry.symmetric_poses import Symmetries
from selfpose6d.training.recipe import Recipe, find_recipe
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions, make_fabric, train

NO_SYMMETRY = Symmetries(
    torch.eye(4)[None, None],
    torch.ones(1, 1, dtype=torch.bool),
    torch.zeros(1, 3),
    torch.zeros(1, 3),
    torch.zeros(1).bool(),
)
"""Of one object."""


def short(name: str = "paper", coordinates: bool = False, **changes) -> Recipe:
    recipe = replace(find_recipe(name), **changes)
    recipe = replace(recipe.of_coordinates(), learning_rate=recipe.learning_rate) if coordinates else recipe
    return replace(recipe, batch=changes.get("batch", 4), num_poses=changes.get("num_poses", 8))


def run(dataset, out: Path, cache: CacheOptions, steps: int = 8, recipe: str | Recipe = "paper", **more):
    resume = more.pop("resume", False)
    recipe = short(recipe) if isinstance(recipe, str) else recipe
    data = DataOptions(dataset.root, dataset.split, dataset.selection)
    options = TrainOptions(data, recipe, Limit(max_steps=steps), cache=cache, **more)
    return train(dataset, options, out, make_fabric("cpu", "fp32"), resume)


def weights(out: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoints" / f"{name}.safetensors")


def same_weights(first: Path, second: Path) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
