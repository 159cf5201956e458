"""Rounds of self-training as a table: how much was certified, what it took, which labels and which model."""

from collections.abc import Sequence

from selfpose6d.reporting.console import plain_console
from selfpose6d.reporting.tables import ABSENT, TextTable, percent, to_rich
from selfpose6d.training.round_folder import Round

HEADINGS = (
    "\nround",
    "\nn",
    "\ncert.",
    "cert.\n%",
    "\nnew",
    "by\nhyp.",
    "label\nmin",
    "train\nmin",
    "\nsteps",
    "\nlabels",
)
NOTE = (
    "cert.: certified, new: in this round, by hyp.: of these, poses that the search alone did not lead to. How many "
    "are right: selfpose6d evaluate on the labels of each round."
)


def rounds_table(rounds: Sequence[Round]) -> TextTable:
    """One row a round."""
    return TextTable(HEADINGS, tuple(map(_row, rounds)), 0, NOTE)


def print_rounds(rounds: Sequence[Round]) -> None:
    """Print the table."""
    console = plain_console()
    console.print(to_rich(rounds_table(rounds), "Rounds", console.width))


def round_line(one: Round) -> str:
    """A finished round in a line."""
    return (
        f"round {one.round}: {one.certified} of {one.instances} instances certified ({one.newly_certified} new, "
        f"{one.from_hypotheses} by hypotheses), labels {one.labels}, model {one.model}"
    )


def _row(one: Round) -> tuple[str, ...]:
    counts = (str(one.instances), str(one.certified), percent(one.certified_share), str(one.newly_certified))
    minutes = (f"{one.annotate_min:.1f}", ABSENT if one.train_min is None else f"{one.train_min:.1f}")
    return (
        str(one.round),
        *counts,
        str(one.from_hypotheses),
        *minutes,
        str(one.steps or ABSENT),
        one.labels_hash,
    )
