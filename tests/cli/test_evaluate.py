"""`selfpose6d evaluate`: statistics of a run with known errors, its options, and one-line errors."""

import csv
import json
import re
import shutil
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
from scored_run import make_run

from selfpose6d.cli.evaluate import Command, ScoredData
from selfpose6d.cli.main import main
from selfpose6d.runs.config import DataConfig, RunContext, new_config, write_config
from selfpose6d.selection import Selection


@pytest.fixture(scope="module")
def run(ycbv_sample: Path, tmp_path_factory) -> Path:
    """Two frames: object 8 is 5 mm off and certified, 14 is 30 mm off and rejected, 21 is skipped."""
    return make_run(ycbv_sample, tmp_path_factory.mktemp("runs") / "run")


def evaluated(*arguments: object) -> None:
    assert main(["evaluate", *map(str, arguments)]) == 0


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_known_errors_give_known_figures(run, ycbv_sample, capsys):
    evaluated(run, ycbv_sample)
    results = read(run / "results.json")
    objects = results["metrics"]["objects"]
    assert objects["8"]["add_auc"] == pytest.approx(95, abs=0.01)
    assert objects["14"]["add_auc"] == pytest.approx(70, abs=0.01)
    assert objects["14"]["add_below_2cm"] == 0
    assert objects["21"]["adds_auc"] == 0
    assert results["metrics"]["pooled"]["add_auc"] == pytest.approx((95 + 70 + 0) / 3, abs=0.01)
    assert (results["instances"], results["missed"]) == (6, 2)
    assert results["certified_share"] == pytest.approx(1 / 3)
    assert results["certified_precision"] == results["certified_precision_below_10pct"] == 1
    assert results["precision_objects_below_10pct"] == {"8": 1, "14": None, "21": None}
    assert results["symmetric_ids"] == [13, 16, 19, 20, 21]
    assert results["points"] == "points file"
    printed = capsys.readouterr().out
    assert "009_gelatin_box (8)" in printed
    assert "95.00" in printed
    assert "scenes 0 --limit 2" in printed


def test_reliability_both_ways_and_by_mask_quality(run, ycbv_sample, capsys):
    evaluated(run, ycbv_sample)
    reliability = read(run / "results.json")["reliability"]
    for measured in (reliability, reliability["below_10pct"]):
        assert measured["all"]["certified"] == {"count": 2, "right": 2, "correct": 1, "interval": ANY}
        exact, box = measured["by_mask_quality"]["exact"], measured["by_mask_quality"]["box"]
        assert (exact["count"], exact["right"], box["count"], box["right"]) == (2, 2, 2, 0)
        assert measured["coverage_of"] == "all targets"
        # Six targets, two of them missed: the two right ones reach a third, all four estimates two thirds.
        precision = dict(zip(measured["coverage"], measured["precision"], strict=True))
        assert (precision[0.3], precision[0.7]) == (1, None)
    (claim,) = reliability["claims"]
    assert (claim["risk"], claim["bound"], claim["calibration"]) == (0.01, 0.009, "c0ffee")
    assert (claim["below_10pct"]["within"], claim["below_10pct"]["verdict"]) == (True, "not contradicted")
    printed = capsys.readouterr().out
    assert "mask exact" in printed
    assert "certified at risk 0.01, with 95 % confidence at most 0.9 % wrong (calibration c0ffee)" in printed


def with_symmetries(root: Path, to: Path) -> Path:
    """The sample's models, the gelatin box (8) declared to be the same after half a turn about its z axis."""
    shutil.copytree(root / "models", to)
    info = json.loads((to / "models_info.json").read_text())
    info["8"]["symmetries_discrete"] = [[-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]]
    (to / "models_info.json").chmod(0o644)
    (to / "models_info.json").write_text(json.dumps(info))
    return to


def turned(run: Path, to: Path) -> Path:
    """The run's poses, those of object 8 half a turn about z away."""
    lines = (run / "predictions.csv").read_text().splitlines()
    for i, line in enumerate(lines):
        fields = line.split(",")
        if fields[2] == "8":
            R = np.array(fields[4].split(), float).reshape(3, 3) @ np.diag([-1, -1, 1])
            lines[i] = ",".join([*fields[:4], " ".join(map(str, R.reshape(-1))), *fields[5:]])
    to.write_text("\n".join(lines))
    return to


def test_right_may_be_measured_by_the_written_symmetries(run, ycbv_sample, tmp_path, capsys):
    models = with_symmetries(ycbv_sample, tmp_path / "models")
    poses, out = turned(run, tmp_path / "turned.csv"), tmp_path / "results.json"
    options = ["--models", models, "--objects", 8, "--limit", 2, "--out", out, "--symmetric-ids", 13]
    evaluated(poses, ycbv_sample, *options)
    by_add = read(out)
    evaluated(poses, ycbv_sample, *options, "--right", "least-add")
    by_least = read(out)
    assert (by_add["right"], by_least["right"]) == ("add-or-adds", "least-add")
    assert (
        by_add["metrics"] == by_least["metrics"]
    )  # CONTRACT's ADD(-S), whatever is written into models_info.json
    assert by_least["metrics"]["pooled"]["add_or_adds_below_2cm"] == 0
    assert (by_add["reliability"]["all"]["right"], by_least["reliability"]["all"]["right"]) == (0, 2)
    assert "least ADD over the written symmetries" in " ".join(capsys.readouterr().out.split())
    rows = list(csv.DictReader((tmp_path / "instances.csv").open()))
    assert [float(row["right_m"]) < 0.006 < float(row["add_or_adds_m"]) for row in rows] == [True] * 2


def test_least_add_without_a_written_symmetry_is_one_line(run, ycbv_sample, capsys):
    assert main(["evaluate", str(run), str(ycbv_sample), "--right", "least-add"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "models_info.json has none" in error


def test_what_synth_did_to_the_masks_is_told_apart(run, ycbv_sample, tmp_path):
    root = tmp_path / "root"
    for name in ("models", "test/000000/scene_gt.json", "test/000000/scene_gt_info.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ycbv_sample / name).is_dir() else shutil.copyfile
        copy(ycbv_sample / name, root / name)
    path = root / "test/000000/scene_gt_info.json"
    info = json.loads(path.read_text())
    for entries in info.values():
        for entry, kind in zip(entries, ("exact", "eroded", "eroded"), strict=True):
            entry["mask_kind"] = kind
    path.write_text(json.dumps(info))
    evaluated(run, root, "--scenes", 0, "--limit", 2, "--out", tmp_path / "results.json")
    kinds = read(tmp_path / "results.json")["reliability"]["by_mask_kind"]
    assert {name: (kind["right"], kind["count"], kind["missed"]) for name, kind in kinds.items()} == {
        "exact": (2, 2, 0),
        "eroded": (0, 2, 2),
    }
    rows = csv.DictReader((tmp_path / "instances.csv").open())
    assert [row["mask_kind"] for row in rows] == ["exact", "eroded", "eroded"] * 2


def test_the_runs_selection_is_taken_unless_another_is_given(run, ycbv_sample, tmp_path):
    out = tmp_path / "results.json"
    evaluated(run, ycbv_sample, "--out", out)
    assert read(out)["selection"] == {"split": "test", "targets": "bop19", "scenes": [0], "limit": 2}
    evaluated(run, ycbv_sample, "--scenes", 0, "--limit", 3, "--out", out)
    assert (read(out)["instances"], read(out)["missed"]) == (9, 5)


def test_a_bare_file_is_scored_on_the_whole_split(run, ycbv_sample, tmp_path):
    copy = tmp_path / "foreign.csv"
    copy.write_bytes((run / "predictions.csv").read_bytes())
    evaluated(copy, ycbv_sample)
    results = read(tmp_path / "results.json")
    assert (results["instances"], results["missed"]) == (50, 46)
    assert results["certified_share"] is None


def test_options_reach_the_results(run, ycbv_sample, tmp_path):
    out = tmp_path / "results.json"
    evaluated(
        run, ycbv_sample, "--out", out, "--symmetric-ids", 14, 8, "--points", "surface", "--targets", "all"
    )
    results = read(out)
    assert results["symmetric_ids"] == [8, 14]
    assert results["points"] == "surface"
    assert results["selection"]["targets"] == "all"
    mug = results["metrics"]["objects"]["14"]
    assert mug["add_or_adds_auc"] == mug["adds_auc"] > mug["add_auc"]


def test_objects_are_selected(run, ycbv_sample, tmp_path):
    evaluated(run, ycbv_sample, "--objects", 8, 14, "--limit", 2, "--out", tmp_path / "results.json")
    results = read(tmp_path / "results.json")
    assert sorted(results["metrics"]["objects"]) == ["14", "8"]
    assert results["missed"] == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("evaluate", "Split to score (default: the run's, else the layout's only one, else test)."),
        ("evaluate", "(default: the run's, else the data set's own models/)."),
        ("train", "whose masks are taken instead of the data set's; not with recipes that read true poses."),
    ],
)
def test_help_says_what_holds_for_the_command(capsys, command, said):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert said in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_a_refined_file_beside_the_certificates_is_scored(ycbv_sample, tmp_path):
    folder = make_run(ycbv_sample, tmp_path / "run")
    refined = folder / "refined.csv"
    refined.write_text(
        re.sub(r"(\.\d{4})\d+", r"\1", (folder / "predictions.csv").read_text())
    )  # fewer digits
    evaluated(refined, ycbv_sample, "--limit", 2)
    assert read(folder / "results.json")["certified_share"] is None


def test_runs_side_by_side(run, ycbv_sample, tmp_path, capsys):
    other = make_run(ycbv_sample, tmp_path / "other")
    evaluated(run, ycbv_sample, "--compare", other, "--toolbox")
    printed = capsys.readouterr().out
    assert "side by side" in printed
    assert "toolbox" in printed
    assert (other / "results.json").is_file()


def moved_in_depth(run: Path, to: Path) -> Path:
    """The run's predictions, 10 mm farther away."""
    header, *rows = list(csv.reader((run / "predictions.csv").open()))
    for row in rows:
        x, y, z = map(float, row[5].split())
        row[5] = f"{x} {y} {z + 10}"
    with to.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return to


def test_several_runs_before_the_data_set_are_compared_with_the_first(run, ycbv_sample, tmp_path, capsys):
    same, worse = make_run(ycbv_sample, tmp_path / "same"), moved_in_depth(run, tmp_path / "worse.csv")
    evaluated(run, same, worse, ycbv_sample, "--out", tmp_path / "results.json", "--seed", 5)
    first, second = read(tmp_path / "results.json")["comparisons"]
    assert (first["run"], second["run"], second["baseline"]) == (str(same), str(worse), str(run))
    assert (first["instances"], first["block"], first["num_blocks"], first["seed"]) == (6, "image", 2, 5)
    for row in first["differences"].values():
        assert row == {"difference": 0, "interval": [0, 0], "excludes_zero": False}
    # Object 8 was 5 mm off, 14 30 mm; both a centimetre more along another axis, and two of six are missed.
    expected = -100 * sum(np.hypot(x, 0.01) - x for x in (0.005, 0.03)) / 0.1 / 3
    assert second["differences"]["add_auc"]["difference"] == pytest.approx(expected, abs=0.01)
    assert read(same / "results.json")["comparisons"] == []
    printed = capsys.readouterr().out
    assert "ADD-S AUC" in printed
    assert "not known (fewer than 6)" in printed


def test_a_run_that_was_asked_for_less_is_not_compared(run, ycbv_sample, tmp_path, capsys):
    less = make_run(ycbv_sample, tmp_path / "less", limit=1)
    assert main(["evaluate", str(run), str(less), str(ycbv_sample)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{less} was asked for other instances" in error
    assert "3 of the 6" in error
    assert not (less / "results.json").exists()
    evaluated(run, less, ycbv_sample, "--limit", 1)
    assert read(run / "results.json")["comparisons"][0]["instances"] == 3


def test_how_often_the_search_took_over_is_said(ycbv_sample, tmp_path, capsys):
    folder = make_run(ycbv_sample, tmp_path / "run")
    rows = [json.loads(line) for line in (folder / "certificates.jsonl").read_text().splitlines()]
    for row in rows:
        row["source"] = "search" if row["obj_id"] == 14 else "hypotheses"
    (folder / "certificates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    evaluated(folder, ycbv_sample)
    sources = read(folder / "results.json")["sources"]
    assert {name: ways["below_2cm"]["right"] for name, ways in sources.items()} == {
        "hypotheses": 2,
        "search": 0,
    }
    assert "the search gave 2 of 4 poses (50.0 %)" in capsys.readouterr().out


def test_bop_recalls(run, ycbv_sample, tmp_path):
    out = tmp_path / "results.json"
    evaluated(run, ycbv_sample, "--bop", "--limit", 1, "--out", out)
    objects = read(out)["metrics"]["objects"]
    # 5 mm on an object of 13 cm diameter passes every MSSD threshold; a skipped one passes none.
    assert objects["8"]["ar_mssd"] == 1
    assert objects["21"]["ar"] == 0
    assert set(read(out)["metrics"]["pooled"]) >= {"ar", "ar_vsd", "ar_mssd", "ar_mspd"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "{data}"], "no predictions"),
        (["{run}", "nowhere"], "nowhere"),
        (["{run}", "{data}", "--split", "train"], "choose one with --split"),
        (["{run}", "{data}", "--objects", "99"], "no true poses"),
        (["{run}", "{data}", "--targets", "some"], "targets"),
        (["{run}", "{data}", "--scenes", "1"], "none of its 4 predictions"),
        (["{run}"], "Required"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(run, ycbv_sample, capsys, arguments, message):
    filled = [text.format(run=run, data=ycbv_sample) for text in arguments]
    assert main(["evaluate", *filled]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert message in error


def test_a_row_that_cannot_be_read_is_named_and_the_others_are_scored(run, ycbv_sample, tmp_path, capsys):
    text = (run / "predictions.csv").read_text().splitlines()
    text[2] = "0,1,fourteen,1,1 0 0 0 1 0 0 0 1,0 0 0,1"
    (tmp_path / "broken.csv").write_text("\n".join(text))
    assert main(["evaluate", str(tmp_path / "broken.csv"), str(ycbv_sample)]) == 1, (
        "a tenth or more is left out"
    )
    assert re.search(
        "broken.csv, line 3, column obj_id: .*its instance counts as missed", capsys.readouterr().err
    )
    assert (tmp_path / "results.json").exists()
    (tmp_path / "broken.csv").write_text("\n".join([text[0], text[2]]))
    assert main(["evaluate", str(tmp_path / "broken.csv"), str(ycbv_sample)]) == 2
    assert "line 2, column obj_id" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Selection(sensor="cam1"), Selection(limit=5, sensor="cam1")),
        (Selection(sensor="cam2"), Selection(limit=5, sensor="cam2")),
        (Selection(), Selection(limit=5, sensor="cam1")),
        (Selection(frames=(3,)), Selection(frames=(3,), sensor="cam1")),
        (Selection(frames=(3,), sensor="cam2"), Selection(frames=(3,), sensor="cam2")),
    ],
)
def test_a_sensor_leaves_the_runs_frames(tmp_path, given, expected):
    data = DataConfig("test", "abc", Selection(limit=5, sensor="cam1"))
    write_config(tmp_path, new_config("annotate", data, {}, RunContext(tmp_path, "cpu")))
    command = Command(tmp_path, ScoredData(tmp_path, selection=given))
    assert command._reference_options().data.selection == expected
