"""Plans: what is trained for a table, what a missing recipe leaves out, and which runs stand for which columns."""

import pytest

from selfpose6d.errors import UsageError
from selfpose6d.reproduction.columns import Taken, take_runs, trainings_to_do
from selfpose6d.reproduction.plan import PLANS, chosen_plan
from selfpose6d.runs.config import DataConfig, RunContext, new_config, write_config
from selfpose6d.training.adapt import adapt_recipe
from selfpose6d.training.recipe import RECIPES
from selfpose6d.training.settings import RecipeSettings

BEFORE = ("paper", "verified", "supervised", "densefusion", "synthetic")


def test_table_2_trains_four_networks():
    plan, left_out = chosen_plan("table2", (), RECIPES)
    assert [t.name for t in plan.trainings] == ["unweighted", "weighted", "densefusion", "synthetic"]
    assert not left_out
    assert [t.on_synthetic for t in plan.trainings] == [False, False, False, True]


def test_columns_of_one_network_share_its_training():
    plan, _ = chosen_plan("table1", (), RECIPES)
    used = [column.training for column in plan.columns if column.training]
    assert len(plan.trainings) < len(used)
    assert len({t.name for t in plan.trainings}) == len(plan.trainings)


def test_a_recipe_that_does_not_exist_leaves_its_column_out():
    plan, left_out = chosen_plan("table1", (), BEFORE)
    assert {"mixed", "teacher-student"}.isdisjoint(column.name for column in plan.columns)
    assert left_out == (
        "column mixed is left out: there is no recipe mixed",
        "column teacher-student is left out: there is no recipe teacher-student",
    )
    with pytest.raises(UsageError, match="no column left"):
        chosen_plan("table1", ("mixed",), BEFORE)
    with pytest.raises(UsageError, match="no such column, expected some of unweighted"):
        chosen_plan("table2", ("ours",), BEFORE)


def test_the_ablation_differs_in_the_gates_alone():
    """Table II's first two columns are the same recipe with and without pixel-wise weights."""
    plain, weighted = (
        adapt_recipe(RECIPES["paper"], RecipeSettings(stages=("estimator",), gates=gates))
        for gates in ("off", None)
    )
    assert (plain.weighted, weighted.weighted) == (False, True)
    columns = {c.name: c.training for c in PLANS["table2"].columns}
    assert set(columns["unweighted"].options) - set(columns["weighted"].options) == {"--gates", "off"}


def write_run(folder, command):
    folder.mkdir()
    data = DataConfig("train", "0")
    write_config(folder, new_config(command, data, {}, RunContext(folder, "cpu")))
    if command == "train":
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "best.safetensors").write_bytes(b"")
    return folder


def test_taken_runs_stand_for_networks_or_for_poses(tmp_path):
    plan = PLANS["table1"]
    model, poses = write_run(tmp_path / "model", "train"), write_run(tmp_path / "poses", "annotate")
    taken = take_runs(plan, {"ours": model, "annotation": poses})
    assert taken.models == {"paper": model}
    assert taken.predictions == {"annotation": poses}
    assert "paper" not in [t.name for t in trainings_to_do(plan, taken)]
    estimated = dict.fromkeys(("verified", "verified-refine", "verified-verify"), poses)
    left = trainings_to_do(plan, Taken(predictions=estimated))
    assert "verified" in [t.name for t in left], "one of its columns is still to be made"
    all_four = Taken(predictions=estimated | {"verified-hypotheses": poses})
    assert "verified" not in [t.name for t in trainings_to_do(plan, all_four)]


def test_runs_that_fit_no_column_are_named(tmp_path):
    poses = write_run(tmp_path / "poses", "annotate")
    with pytest.raises(UsageError, match="--runs magic: no such column of table1"):
        take_runs(PLANS["table1"], {"magic": poses})
    model = write_run(tmp_path / "model", "train")
    with pytest.raises(UsageError, match="a run of train, expected one of annotate"):
        take_runs(PLANS["table1"], {"annotation": model})
