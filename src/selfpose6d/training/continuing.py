"""Whether a training can go on: the same run, with at least as many steps as it had, and room for its stages."""

from dataclasses import replace
from pathlib import Path

from selfpose6d.errors import UsageError
from selfpose6d.runs.config import RunConfig, read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.folder import require_same_run
from selfpose6d.training.checkpoint import TrainingState, load_state
from selfpose6d.training.plan import FitPlan
from selfpose6d.training.schedule import Continuation, Limit

_LIMITS = ("max_steps", "max_minutes")


def continued_config(out: Path, limit: Limit, config: RunConfig) -> RunConfig:
    """The configuration that a run has when it goes on with this limit; nothing is written.

    Raises:
        UsageError: the run was made with other options, or is to have fewer steps than it had.
        CheckpointError: its state cannot be gone on from.
    """
    options = dict(config.options)
    if RunFiles(out).config.is_file():
        there = read_config(out)
        options |= {name: there.options.get(name) for name in _LIMITS}
    merged = require_same_run(out, replace(config, options=options))
    before = tuple(options[name] for name in _LIMITS)
    if (limit.max_steps, limit.max_minutes) != before:
        _require_more(out, limit, load_state(out))
    else:
        load_state(out)  # whatever forbids to go on is said before the slow work begins
    return replace(merged, options=config.options)


def _require_more(out: Path, limit: Limit, state: TrainingState) -> None:
    """Steps can be added, not taken away; minutes are turned into steps once."""
    if limit.max_steps is not None:
        least = state.total_steps or state.step + 1
        if limit.max_steps < least:
            raise UsageError(
                f"--max-steps {limit.max_steps}: the training in {out} has {least} steps, {state.step} of them done. "
                f"Pass {least} or more to go on, or choose another --out."
            )
    elif state.total_steps is not None:
        raise UsageError(
            f"--max-minutes {limit.max_minutes:g}: the training in {out} has its number of steps already, "
            f"{state.total_steps}. Go on with --max-steps N, N more than that."
        )


def require_room(plan: FitPlan) -> None:
    """Refuse a number of steps that has no room for the recipe's whole epochs, before anything is written.

    Raises:
        UsageError: how many steps there are and how many are needed.
    """
    total, recipe = plan.limit.max_steps, plan.context.recipe
    if total is None:
        return
    continuation = Continuation()
    if plan.resume:
        state = load_state(plan.folder)
        continuation = Continuation(state.schedule_start, state.schedule_stage)
        if state.total_steps is not None and total > state.total_steps:
            continuation = Continuation.after(state.step, state.stage, recipe.stages)
    continuation.ends(recipe.stages, total, plan.steps_per_epoch)
