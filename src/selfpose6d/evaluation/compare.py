"""Two runs on the same instances: how much better the second is, and whether that may be chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, UsageError
from selfpose6d.evaluation.errors_file import InstanceErrors
from selfpose6d.evaluation.shares import number_or_nan
from selfpose6d.metrics.auc import CORRECT_BELOW_M, MAX_DISTANCE_M
from selfpose6d.metrics.bootstrap import RESAMPLES, paired_bootstrap
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.types import InstanceKey

Block = Literal["scene", "image"]
DISTANCES = ("adds", "add", "add_or_adds")
MIN_SCENES = 10
"""From so many on whole scenes are resampled: frames of one recording are near duplicates. Of fewer scenes a bootstrap
gives too narrow intervals; then images are resampled, whose instances at least share one view."""
MIN_BLOCKS = 6
"""For a verdict: of five equal systems' blocks all point the same way once in 16 times, of six once in 32 (< 5 %)."""


@dataclass(frozen=True)
class Difference:
    """Of one metric, in its units (`*_auc` 0-100, `*_below_2cm` 0-1), with its 95 % interval (NaN of one block)."""

    value: float
    low: float
    high: float
    excludes_zero: bool
    """Whether the interval does, and rests on `MIN_BLOCKS` blocks at least."""


@dataclass(frozen=True)
class Comparison:
    """What the run `run` has more than the run `baseline`, pooled over the instances of both; a miss scores 0."""

    run: str
    baseline: str
    instances: int
    block: Block
    """What was resampled."""
    num_blocks: int
    resamples: int
    seed: int
    differences: Mapping[str, Difference]

    def to_json(self) -> dict[str, Any]:
        """An entry of `comparisons` in `results.json`."""
        rows = {
            name: {
                "difference": row.value,
                "interval": [row.low, row.high],
                "excludes_zero": row.excludes_zero,
            }
            for name, row in self.differences.items()
        }
        return {**vars(self), "differences": rows}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Comparison":
        """What `to_json` made, null for NaN."""
        differences = {
            name: Difference(
                number_or_nan(entry["difference"]),
                *map(number_or_nan, entry["interval"]),
                excludes_zero=bool(entry["excludes_zero"]),
            )
            for name, entry in row["differences"].items()
        }
        return cls(**{**row, "differences": differences})


def compare(
    baseline: InstanceErrors,
    run: InstanceErrors,
    names: tuple[str, str],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Paired differences `run` - `baseline`; `names` are the baseline's and the run's.

    Raises:
        DataError: the two were scored on different instances.
    """
    rows = _common_order(baseline, run, names)
    differences = _scores(run.take(rows)) - _scores(baseline)
    block, blocks = _blocks(baseline)
    num_blocks = len(np.unique(blocks))
    intervals = paired_bootstrap(differences, blocks, np.random.default_rng(seed), resamples)
    values = zip(_names(), differences.mean(axis=0).tolist(), intervals.tolist(), strict=True)
    return Comparison(
        run=names[1],
        baseline=names[0],
        instances=len(baseline),
        block=block,
        num_blocks=num_blocks,
        resamples=resamples,
        seed=seed,
        differences={
            name: Difference(value, low, high, num_blocks >= MIN_BLOCKS and (low > 0 or high < 0))
            for name, value, (low, high) in values
        },
    )


def require_asked(run: Path, errors: InstanceErrors, data: DataOptions) -> None:
    """Refuse to compare a run that was not asked for all that was scored: what it left out is no miss.

    A file without a run's configuration may have been asked for anything. `data` are the options that were scored by.

    Raises:
        UsageError: its split or its selection leaves targets out.
    """
    from selfpose6d.datasets.true_poses import load_ground_truth  # results are read where no true pose may be

    if not RunFiles(run).config.is_file():
        return
    asked = DataOptions.of_run(read_config(run))
    scored = {errors.key(target) for target in range(len(errors))}
    split = str(errors.split[0])
    if asked.split == split and asked.selection == data.selection:
        return
    known: set[InstanceKey] = set()
    if asked.split == split:
        known = {true.key for true in load_ground_truth(data.dataset, split, asked.selection)}
    if missing := len(scored - known):
        selection = asked.selection.describe() or "everything"
        raise UsageError(
            f"{run} was asked for other instances: split {asked.split}, {selection}; {missing} of the {len(scored)} "
            f"that are scored (split {split}, {data.selection.describe() or 'everything'}) are not among them. Select "
            "with --scenes, --frames, --objects or --limit what all runs were asked for, or run it again."
        )


def _common_order(baseline: InstanceErrors, run: InstanceErrors, names: tuple[str, str]) -> np.ndarray:
    """The run's row of each of the baseline's instances."""
    keys = [[errors.key(target) for target in range(len(errors))] for errors in (baseline, run)]
    row_of = {key: row for row, key in enumerate(keys[1])}
    alone = len(set(keys[0]) - set(row_of)), len(set(row_of) - set(keys[0]))
    if any(alone) or not len(baseline):
        raise DataError(
            f"{names[0]} and {names[1]} were scored on different instances: expected the same, got {alone[0]} of "
            f"{len(baseline)} of the first alone and {alone[1]} of {len(run)} of the second. Score both against one "
            "data set, split and selection."
        )
    return np.array([row_of[key] for key in keys[0]])


def _names() -> list[str]:
    return [f"{name}_auc" for name in DISTANCES] + [f"{name}_below_2cm" for name in DISTANCES]


def _scores(errors: InstanceErrors) -> Float[np.ndarray, "instances metrics"]:
    """What each instance adds to the metrics: their means are the metrics."""
    distance_m = np.stack([getattr(errors, f"{name}_m") for name in DISTANCES], axis=1)
    under_curve = 100 * np.maximum(1 - distance_m / MAX_DISTANCE_M, 0)
    return np.concatenate([under_curve, distance_m < CORRECT_BELOW_M], axis=1)


def _blocks(errors: InstanceErrors) -> tuple[Block, Int[np.ndarray, " instances"]]:
    if len(np.unique(errors.scene_id)) >= MIN_SCENES:
        return "scene", errors.scene_id
    images = np.stack([errors.scene_id, errors.im_id], axis=1)
    return "image", np.unique(images, axis=0, return_inverse=True)[1].reshape(-1)
