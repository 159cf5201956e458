"""From a budget and measured rates to the frames and minutes of this reproduction."""

from dataclasses import dataclass, replace

from selfpose6d.errors import UsageError
from selfpose6d.reproduction.budget import LEAST_MINUTES, FrameCounts, Rates, share_frames, training_minutes
from selfpose6d.reproduction.data import TableData
from selfpose6d.reproduction.parts import Part, count_instances
from selfpose6d.reproduction.plan import Plan
from selfpose6d.reproduction.request import Request
from selfpose6d.reproduction.steps import Result


@dataclass(frozen=True)
class Shares:
    """What is worked on: thinned parts (labels None where nothing learns from them) and how they were found."""

    train: Part
    labels: Part | None
    test: Part
    train_counts: tuple[int, int]
    """Frames taken, and all there are."""
    label_frames: int
    test_counts: tuple[int, int]
    train_per_frame: float
    """Instances a frame."""
    test_per_frame: float
    rates: Rates | None
    peak_mb: float

    def to_json(self, budget_minutes: float | None) -> Result:
        """For `steps.json`."""
        return {
            "budget": budget_minutes,
            "train": self.train.to_json(),
            "labels": self.labels.to_json() if self.labels else None,
            "test": self.test.to_json(),
            "train_counts": self.train_counts,
            "label_frames": self.label_frames,
            "test_counts": self.test_counts,
            "train_per_frame": self.train_per_frame,
            "test_per_frame": self.test_per_frame,
            "rates": vars(self.rates) if self.rates else None,
            "peak_mb": self.peak_mb,
        }

    @classmethod
    def from_json(cls, stored: Result, data: TableData) -> "Shares":
        """What `to_json` gave, of the same data."""
        return cls(
            data.train.restored(stored["train"]),
            data.train.restored(stored["labels"]) if stored["labels"] else None,
            data.test.restored(stored["test"]),
            tuple(stored["train_counts"]),
            stored["label_frames"],
            tuple(stored["test_counts"]),
            stored["train_per_frame"],
            stored["test_per_frame"],
            Rates(**stored["rates"]) if stored["rates"] else None,
            stored["peak_mb"],
        )

    @property
    def test_instances(self) -> int:
        """About how many instances each column estimates."""
        return round(self.test_counts[0] * self.test_per_frame)


def share_out(request: Request, plan: Plan, data: TableData) -> Shares:
    """Thin every part to what the budget allows; without one they stay as they are.

    Raises:
        UsageError: the budget is too small to train anything.
    """
    train_ids = data.train.open().frame_ids() if plan.trainings else ()
    there = FrameCounts(len(train_ids), len(train_ids), len(data.test.open().frame_ids()))
    train_per_frame = count_instances(data.train.open()) if train_ids else 0.0
    test_per_frame = count_instances(data.test.open())
    with_labels = any(training.needs == "labels" for training in plan.trainings)
    rates, peak_mb, kept = None, 0.0, replace(there, labels=there.train if with_labels else 0)
    if request.budget_minutes is not None:
        from selfpose6d.reproduction.pilot import measure_rates

        measured = measure_rates(plan, data.train, data.test, request.size, request.device)
        rates, peak_mb = measured.rates, measured.peak_mb
        kept = share_frames(60 * request.budget_minutes, rates, there, test_per_frame, with_labels)
    train = data.train.thinned(kept.train) if plan.trainings else data.train
    return Shares(
        train,
        train.thinned(kept.labels) if with_labels else None,
        data.test.thinned(kept.test),
        (len(train.open().frame_ids()) if plan.trainings else 0, there.train),
        kept.labels,
        (len(data.test.thinned(kept.test).open().frame_ids()), there.test),
        train_per_frame,
        test_per_frame,
        rates,
        peak_mb,
    )


def later_s(plan: Plan, shares: Shares) -> float:
    """Seconds of estimating and scoring once everything is trained."""
    assert shares.rates is not None
    columns = [column for column in plan.columns if column.training is not None]
    instances_s = sum(shares.rates.instance_s[c.name] for c in columns) * shares.test_instances
    return instances_s + 2 * shares.rates.start_s * len(columns)  # estimate and evaluate start for each


def minutes_of_each(
    request: Request, plan: Plan, shares: Shares, used_s: float, trainings: int, begun: bool = False
) -> float:
    """Equal minutes of the trainings that are still to do; once one is done, each gets the least at any rate.

    Raises:
        UsageError: the budget is too small to train anything.
    """
    assert request.budget_minutes is not None
    assert shares.rates is not None
    budget_s, rates = 60 * request.budget_minutes, shares.rates
    try:
        return training_minutes(budget_s, used_s, later_s(plan, shares), trainings, rates.start_s)
    except UsageError:
        if not begun:
            raise
        return LEAST_MINUTES


def require_same_budget(stored: Result, request: Request) -> None:
    """A folder's frames were shared out for one budget.

    Raises:
        UsageError: now there is another one.
    """
    if stored["budget"] != request.budget_minutes:
        raise UsageError(
            f"{request.out} was shared out for --budget {stored['budget'] or 'none'}, now it is "
            f"{request.budget_minutes or 'none'}. Choose another --out, or the same budget to go on."
        )
