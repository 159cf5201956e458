"""Makes a table from its plan: frames, labels, trainings, estimates, scores; a stopped one goes on."""

from collections.abc import Callable

from selfpose6d.crops.store import CacheOptions, open_crop_store
from selfpose6d.network.config import SIZES
from selfpose6d.reproduction.assemble import assemble
from selfpose6d.reproduction.columns import (
    Workshop,
    annotate_labels,
    make_column,
    take_runs,
    train,
    trainings_to_do,
)
from selfpose6d.reproduction.data import (
    RunCommand,
    TableData,
    capped,
    open_data,
    require_apart,
    with_synthetic,
)
from selfpose6d.reproduction.measured import gather
from selfpose6d.reproduction.output import Output
from selfpose6d.reproduction.parts import Part
from selfpose6d.reproduction.plan import Plan, Training, chosen_plan
from selfpose6d.reproduction.request import Request
from selfpose6d.reproduction.shares import Shares, minutes_of_each, require_same_budget, share_out
from selfpose6d.reproduction.steps import Steps
from selfpose6d.reproduction.table3 import reproduce_efficiency
from selfpose6d.training.recipe import RECIPES

Say = Callable[[str], None]
"""Where lines for the user go."""


def reproduce(request: Request, run: RunCommand, say: Say, keep: Callable[[Output], None]) -> Output:
    """Make the table or figure; `keep` writes what there is after every column.

    Raises:
        SelfPose6DError: what options, data sets, runs and budgets give cause for.
    """
    if request.table == "table3":
        return reproduce_efficiency(request, run, say)
    plan, left_out = planned(request)
    for line in left_out:
        say(line)
    shop = open_workshop(request, plan, run)
    reasons: dict[str, str] = {}

    def output() -> Output:
        return assemble(shop, gather(shop, reasons), left_out)

    _make_all(shop, reasons, say, lambda: keep(output()))
    return output()


def planned(request: Request, dry: bool = False) -> tuple[Plan, tuple[str, ...]]:
    """The plan of a request, with what is left out of it; says at once where it cannot be, or for how long is open."""
    plan, left_out = chosen_plan(request.table, request.columns, RECIPES)
    taken = take_runs(plan, request.runs)
    if not dry:
        request.require_limit(len(trainings_to_do(plan, taken)))
    return plan, left_out


def open_workshop(request: Request, plan: Plan, run: RunCommand) -> Workshop:
    """Frames and their shares, found now or by an earlier call in the same folder."""
    steps = Steps(request.out / "steps.json")
    steps.require_same(request.to_json())
    taken = take_runs(plan, request.runs)
    data = _frames(request, plan, run, steps)
    stored = steps.once("shares", lambda: share_out(request, plan, data).to_json(request.budget_minutes))
    require_same_budget(stored, request)
    return Workshop(request, plan, data, Shares.from_json(stored, data), taken, steps, run)


def _frames(request: Request, plan: Plan, run: RunCommand, steps: Steps) -> TableData:
    """All frames that are worked on; a later call finds the rendered ones there."""

    def find() -> TableData:
        data = open_data(request, plan, run)
        if plan.trainings:
            require_apart(data)
        return capped(with_synthetic(data, request, plan, run), request)

    found: list[TableData] = []
    steps.once("frames", lambda: found.append(find()))
    return found[0] if found else find()


def _make_all(shop: Workshop, reasons: dict[str, str], say: Say, made: Callable[[], None]) -> None:
    """What needs no training first: its time is known when the trainings share what is left."""
    _cut_crops(shop)
    if shop.shares.labels is not None and any(t.needs == "labels" for t in shop.to_train):
        say("certified labels of train frames")
        annotate_labels(shop)
    _make_columns(shop, None, reasons, say)
    made()
    for training in shop.plan.trainings:
        if training in shop.to_train:
            minutes = _minutes(shop, training)
            length = "" if minutes is None else f", {minutes:.1f} minutes"
            say(f"training {training.name} (recipe {training.recipe}{length})")
            train(shop, training, minutes)
        _make_columns(shop, training.name, reasons, say)
        made()


def _minutes(shop: Workshop, training: Training) -> float | None:
    """An equal part of what is left for the trainings to do: one that took longer than it should shortens the others.

    Kept, so that a stopped training goes on with its own; None where the number of steps is given.
    """
    if shop.request.max_steps is not None:
        return None
    left = [other for other in shop.to_train if f"train {other.name}" not in shop.steps]

    def share() -> dict[str, float]:
        used_s, begun = shop.steps.used_s, len(left) < len(shop.to_train)
        return {"minutes": minutes_of_each(shop.request, shop.plan, shop.shares, used_s, len(left), begun)}

    return shop.steps.once(f"minutes {training.name}", share)["minutes"]


def _make_columns(shop: Workshop, training: str | None, reasons: dict[str, str], say: Say) -> None:
    for column in shop.plan.columns:
        if (column.training.name if column.training else None) != training:
            continue
        say(f"column {column.name}")
        if reason := make_column(shop, column):
            reasons[column.name] = reason
            say(f"column {column.name} stays empty: {reason}")


def _cut_crops(shop: Workshop) -> None:
    """Cut the crops that the trainings share, so that none of them pays for all."""
    parts = {"train": shop.shares.train} if any(not t.on_synthetic for t in shop.to_train) else {}
    if shop.data.synthetic is not None and any(t.uses_synthetic for t in shop.to_train):
        parts["synthetic"] = shop.data.synthetic
    for name, part in parts.items():
        shop.steps.once(f"crops {name}", lambda part=part: _cut(shop.request, part))


def _cut(request: Request, part: Part) -> dict[str, int]:
    return {"instances": len(open_crop_store(part.open(), SIZES[request.size].crop_px, CacheOptions()))}
