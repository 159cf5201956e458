"""Table III by command: a few frames, both kinds of step measured, the table."""

from collections.abc import Callable
from dataclasses import replace

from selfpose6d.errors import UsageError
from selfpose6d.reproduction import efficiency
from selfpose6d.reproduction.data import TRAIN_SPLITS, RunCommand, open_data
from selfpose6d.reproduction.output import Output
from selfpose6d.reproduction.parts import Part, first_split
from selfpose6d.reproduction.plan import Plan
from selfpose6d.reproduction.request import Request
from selfpose6d.selection import Selection


def reproduce_efficiency(request: Request, run: RunCommand, say: Callable[[str], None]) -> Output:
    """Table III, measured on a few instances.

    Raises:
        UsageError: options of the other tables.
    """
    used = {"--columns": request.columns, "--runs": request.runs, "--max-steps": request.max_steps}
    if given := [name for name, value in used.items() if value]:
        raise UsageError(f"{given[0]}: table3 measures training steps and trains nothing. Leave it out.")
    part = _efficiency_part(request, run)
    say(f"measuring {efficiency.WARM_UP + efficiency.MEASURED} steps of each kind, batch {efficiency.BATCH}")
    costs = efficiency.measure_costs(part, request.size)
    protocol = (
        f"Network: size {request.size}, on the CPU; the paper: PyTorch3D on an RTX 2080 Ti.",
        f"Batch: {efficiency.BATCH} instances; a step resolves {costs['resolver'].poses} poses, or renders "
        f"{costs['renderer'].poses}.",
        "Memory is a whole process's, not a graphics card's.",
    )
    content = {"costs": {k: vars(cost) for k, cost in costs.items()}, "ratios": efficiency.ratios(costs)}
    table = efficiency.cost_table(costs)
    rows = [[heading.replace("\n", " ").strip() for heading in table.headings], *table.rows]
    return Output("table3", "Table III: training efficiency", [("Cost", table)], protocol, rows, content)


def _efficiency_part(request: Request, run: RunCommand) -> Part:
    """A few train frames, or test frames where there are no others: nothing is learned from them."""
    if request.dataset is None:
        few = replace(request, train_frames=efficiency.BATCH, test_frames=1)
        data = open_data(few, Plan("table3", "", ()), run)
        return data.train
    part = Part(
        request.dataset, "test", Selection(objects=request.objects), request.models, request.model_unit
    )
    splits = (request.train_split,) if request.train_split else (*TRAIN_SPLITS, request.test_split)
    return first_split(part, splits, "frames", "Say which with --train-split.").thinned(efficiency.BATCH)
