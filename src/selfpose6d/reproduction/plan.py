"""Which trainings and which columns a table is made of. Pure data: recipes are named, nothing is opened."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from selfpose6d.errors import UsageError
from selfpose6d.reproduction.printed import TABLE_1, TABLE_2, TABLE_2_OBJECTS, PrintedColumn

TableName = Literal["table1", "table2", "table3", "figure4"]
Needs = Literal["labels", "synthetic"]


@dataclass(frozen=True)
class Training:
    """One network. It learns from the train split of the data set unless `on_synthetic`."""

    name: str
    recipe: str
    options: tuple[str, ...] = ()
    """Of `train`."""
    on_synthetic: bool = False
    """Rendered frames take the place of the data set's own."""
    needs: Needs | None = None
    """What the recipe is given besides: `--labels` of an annotate run, or `--synthetic` frames."""

    @property
    def uses_synthetic(self) -> bool:
        """Whether rendered frames with their poses are needed."""
        return self.on_synthetic or self.needs == "synthetic"


@dataclass(frozen=True)
class Column:
    """One method: a training and how it is used, or without one an `annotate` run."""

    name: str
    title: str
    supervision: str
    """What its training was told, in words."""
    training: Training | None = None
    options: tuple[str, ...] = ()
    """Of `estimate`, or of `annotate` where there is no training."""
    printed: PrintedColumn | None = None
    note: str = ""
    """How the method here differs from the printed one, beyond what holds for the whole table."""

    @property
    def searches(self) -> bool:
        """Whether each instance is searched or verified by rendering: a second or so instead of milliseconds."""
        return "--verify" in self.options or ("verified" in self.options and self.training is None)


@dataclass(frozen=True)
class Plan:
    """A table: its columns, and the objects (YCB-Video's ids) that the paper has in it; none means all."""

    name: TableName
    title: str
    columns: tuple[Column, ...]
    ycb_ids: tuple[int, ...] = ()

    @property
    def trainings(self) -> tuple[Training, ...]:
        """Each training once, in the order of the columns."""
        found = {column.training.name: column.training for column in self.columns if column.training}
        return tuple(found.values())

    def columns_of(self, training: Training | None) -> tuple[Column, ...]:
        """The columns made with one network, or those made without any."""
        return tuple(column for column in self.columns if column.training == training)


DENSEFUSION = Training("densefusion", "densefusion")
MIXED = Training("mixed", "mixed", needs="synthetic")
TEACHER_STUDENT = Training("teacher-student", "teacher-student", needs="synthetic")
PAPER = Training("paper", "paper")
VERIFIED = Training("verified", "verified", needs="labels")
_ESTIMATOR = ("--stages", "estimator")
UNWEIGHTED = Training("unweighted", "paper", ("--gates", "off", *_ESTIMATOR))
WEIGHTED = Training("weighted", "paper", _ESTIMATOR)
SYNTHETIC = Training("synthetic", "synthetic", on_synthetic=True)

REFINED = ("--refine", "network")
_REAL, _SYNTHETIC, _NONE = "true poses of the data set", "true poses of rendered frames", "no pose"

_TABLE_1 = (
    Column("densefusion", "DenseFusion", _REAL, DENSEFUSION, (), TABLE_1["densefusion"]),
    Column("densefusion-refine", "DF (refine)", _REAL, DENSEFUSION, REFINED, TABLE_1["densefusion-refine"]),
    Column(
        "mixed", "Semi-Supervised", f"{_SYNTHETIC}, unlabelled frames", MIXED, REFINED, TABLE_1["mixed"],
        "the printed method has a network of its own; here its way of training is applied to this network",
    ),
    Column(
        "teacher-student", "Self6D++", f"{_SYNTHETIC}, unlabelled frames", TEACHER_STUDENT, REFINED,
        TABLE_1["teacher-student"],
        "the printed method has a network of its own; here its way of training is applied to this network",
    ),
    Column(
        "pure-icp", "PureICP", "nothing is trained", None,
        ("--method", "icp", "--direction", "model-to-observed"), TABLE_1["pure-icp"],
        "matched model-to-observed, as Eq. (10) is written",
    ),
    Column(
        "pure-icp-observed", "PureICP, observed-to-model", "nothing is trained", None,
        ("--method", "icp", "--direction", "observed-to-model"), None, "not in the paper",
    ),
    Column("ours", "Ours", _NONE, PAPER, (), TABLE_1["ours"]),
    Column("ours-refine", "Ours (refine)", _NONE, PAPER, REFINED, TABLE_1["ours-refine"]),
    Column(
        "annotation", "annotation", "nothing is trained", None, ("--method", "verified"), None,
        "not in the paper",
    ),
    Column("verified", "verified", "no pose: certified annotations", VERIFIED, (), None, "not in the paper"),
    Column(
        "verified-refine", "verified (refine)", "no pose: certified annotations", VERIFIED, REFINED, None,
        "not in the paper",
    ),
    Column(
        "verified-verify", "verified (refine, verify)", "no pose: certified annotations", VERIFIED,
        (*REFINED, "--verify"), None,
        "not in the paper; where the network's poses leave doubt, the annotator's search joins in",
    ),
    Column(
        "verified-hypotheses", "verified (refine, verify, no search)", "no pose: certified annotations",
        VERIFIED, (*REFINED, "--verify", "--no-search"), None,
        "not in the paper; only the network's own hypotheses are verified",
    ),
)  # fmt: skip

_TABLE_2 = (
    Column("unweighted", "w/o weighted", _NONE, UNWEIGHTED, (), TABLE_2["unweighted"]),
    Column("weighted", "with weighted", _NONE, WEIGHTED, (), TABLE_2["weighted"]),
    Column("densefusion-real", "DF + real GT", _REAL, DENSEFUSION, REFINED, TABLE_2["densefusion-real"]),
    Column(
        "weighted-synthetic", "ours + syn GT", _SYNTHETIC, SYNTHETIC, REFINED, TABLE_2["weighted-synthetic"]
    ),
)

PLANS: Mapping[TableName, Plan] = {
    "table1": Plan("table1", "Table I: 6D pose on YCB-Video, ADD-S AUC", _TABLE_1),
    "table2": Plan("table2", "Table II: effect of pixel-wise weighted fusion", _TABLE_2, TABLE_2_OBJECTS),
    "figure4": Plan("figure4", "Figure 4: back-projected models", (_TABLE_1[1], _TABLE_1[7])),
}
"""Table III is a measurement of its own (`efficiency.py`)."""


def chosen_plan(
    name: TableName, columns: Collection[str], recipes: Collection[str]
) -> tuple[Plan, tuple[str, ...]]:
    """The plan with only the named columns (all when none is), and a line for each whose recipe does not exist.

    Raises:
        UsageError: the table has no such column, or none is left.
    """
    plan = PLANS[name]
    known = [column.name for column in plan.columns]
    if unknown := [column for column in columns if column not in known]:
        raise UsageError(
            f"--columns {unknown[0]}: {name} has no such column, expected some of {', '.join(known)}."
        )
    wanted = [column for column in plan.columns if not columns or column.name in columns]
    kept = tuple(c for c in wanted if c.training is None or c.training.recipe in recipes)
    left_out = tuple(
        f"column {c.name} is left out: there is no recipe {c.training.recipe}"
        for c in wanted
        if c.training is not None and c not in kept
    )
    if not kept:
        raise UsageError(f"{name} has no column left: {'; '.join(left_out)}. Choose others with --columns.")
    return replace(plan, columns=kept), left_out
