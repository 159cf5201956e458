"""The full state of a training run: enough to go on as if it had never stopped."""

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selfpose6d.errors import CheckpointError
from selfpose6d.files import read_whole, write_whole
from selfpose6d.runs.files import RunFiles

FORMAT = 4
"""Of the state's file; another one is not gone on from."""


@dataclass(frozen=True)
class TrainingState:
    """Everything that changes while training; `total_steps` is None while `--max-minutes` is measured."""

    step: int
    total_steps: int | None
    stage: int
    """Index of the recipe's stage at hand."""
    best: float
    """Least validation measure of the stage so far."""
    validations_without_improvement: int
    schedule_start: int
    """The step at which the schedule at hand began: where steps were added last, else 0."""
    schedule_stage: int
    """Index of the stage that it began with."""
    network: dict[str, Any]
    optimiser: dict[str, Any]
    teacher: dict[str, Any] | None = None
    """The teacher's weights, where there is one."""
    confidence: dict[str, Any] | None = None
    """What the network's rating was worth when last measured, as JSON has it."""


def has_state(run: Path) -> bool:
    """Whether there is a state to go on from."""
    return RunFiles(run).training_state.is_file()


def save_state(run: Path, state: TrainingState) -> None:
    """Write the state; whole or not at all."""
    buffer = io.BytesIO()
    torch.save(_canonical({"format": FORMAT, **vars(state)}), buffer)
    write_whole(RunFiles(run).training_state, buffer.getvalue())


def _canonical(value: Any) -> Any:
    """The same in plain containers, equal texts as one object: what is written depends on the values only, not on
    which of them were read from a file.
    """
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {_canonical(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_canonical(item) for item in value)
    return value


def load_state(run: Path) -> TrainingState:
    """The state to go on from.

    Raises:
        CheckpointError: it is corrupt, or another version wrote it.
    """
    path = RunFiles(run).training_state
    try:
        content = io.BytesIO(read_whole(path))
        stored = torch.load(content, map_location="cpu", weights_only=True)
        if (found := stored.pop("format")) != FORMAT:
            raise CheckpointError(
                f"{path} was made by another version: it has format {found}, this version reads {FORMAT}. "
                "Go on with the version that made it, or train again with another --out."
            )
        return TrainingState(**stored)
    except CheckpointError:
        raise
    except Exception as error:  # torch raises many kinds for a broken file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path} is corrupt ({reason}). Remove it and train again without --resume."
        ) from None
