"""Types for the options of commands, and their defaults where those are used elsewhere too."""

from typing import Annotated, TypeVar

from tyro.conf import arg

T = TypeVar("T")

QUIET_VARIABLE = "SELFPOSE6D_QUIET"
"""Set in the environment where progress is not to be shown, so that processes that a command starts know it, too."""

SURFACE_SEED = 0
"""Of the surface samples that stand for a model in scores: one for all, so that runs compare."""

Unset = Annotated[T | None, arg(help_behavior_hint="")]
"""May be left out; the option's help says what holds then."""

Several = Annotated[tuple[T, ...], arg(help_behavior_hint="")]
"""Any number of values; the option's help says what none stands for."""

ByName = Annotated[dict[str, T], arg(help_behavior_hint="")]
"""Pairs of a name and a value; the option's help says what holds for those that are not named."""
