"""Types for the options of commands."""

from typing import Annotated, TypeVar

from tyro.conf import arg

T = TypeVar("T")

Unset = Annotated[T | None, arg(help_behavior_hint="")]
"""May be left out; the option's help says what holds then."""

Several = Annotated[tuple[T, ...], arg(help_behavior_hint="")]
"""Any number of values; the option's help says what none stands for."""
