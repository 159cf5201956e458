"""`reproduce` as a user runs it: a tiny Table II from start to end, going on, dry runs; wrong use is one line."""

import csv
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))

from small_roots import write_bop

from selfpose6d.cli import reproduce as command
from selfpose6d.cli.main import main
from selfpose6d.runs.config import read_config

pytestmark = pytest.mark.usefixtures("small_and_own")


STEPS = "12"
RENDERED = ["--objects", "1", "7", "--train-frames", "4", "--test-frames", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Table II of two built-in objects, a few steps a network: enough that every refiner learns something."""
    out = tmp_path_factory.mktemp("runs") / "table2"
    assert main(["reproduce", "table2", "--max-steps", STEPS, "--out", str(out), *RENDERED]) == 0
    return out


def error_of(capsys) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_a_tiny_table_2(made):
    rows = list(csv.DictReader((made / "table2.csv").open()))
    names = ["unweighted", "weighted", "densefusion-real", "weighted-synthetic"]
    assert list(dict.fromkeys(row["column"] for row in rows)) == names
    assert all(0 <= float(row["value"]) <= 100 for row in rows if row["object"] == "pooled")
    content = json.loads((made / "table2.json").read_text())
    assert [column["training"]["steps"] for column in content["columns"]] == 4 * [int(STEPS)]
    assert all(column["results"]["instances"] >= 2 for column in content["columns"])
    words = "\n".join(content["protocol"])
    assert "rendered scenes, 4 of 4 train frames" in words
    assert "none of the paper's" in words
    assert f"{STEPS} steps for each network" in words
    markdown = (made / "table2.md").read_text()
    assert "| w/o weighted |" in markdown
    assert "ADD(-S)" in markdown
    assert "with weighted" in (made / "index.html").read_text()


def test_its_columns_are_ordinary_runs(made):
    for name in ("unweighted", "weighted-synthetic"):
        assert {"config.yaml", "predictions.csv", "results.json"} <= {p.name for p in (made / name).iterdir()}
    assert (made / "models" / "weighted" / "checkpoints" / "last.safetensors").is_file()
    weighted = [
        read_config(made / "models" / name).options["recipe_settings"]["weighted"]
        for name in ("weighted", "unweighted")
    ]
    assert weighted == [True, False]


def test_finished_columns_are_not_made_again(made, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(command, "_run", lambda name, arguments: calls.append(name) or 0)
    assert main(["reproduce", "table2", "--max-steps", STEPS, "--out", str(made), *RENDERED]) == 0
    assert {"train", "estimate", "evaluate", "annotate"}.isdisjoint(calls)
    assert "MEAN in the paper" in capsys.readouterr().out
    assert main(["reproduce", "table2", "--max-steps", "13", "--out", str(made), *RENDERED]) == 2
    assert "--max-steps 12 there, 13 now" in error_of(capsys)


def test_a_stopped_one_goes_on_where_it_was(made, tmp_path, monkeypatch):
    """Stopped while the second network is scored: its training is not done again."""
    whole, calls = command._run, []

    def stop_at_the_second(name, arguments):
        calls.append(name)
        if calls.count("estimate") == 2:
            raise KeyboardInterrupt
        return whole(name, arguments)

    data = ["--runs", f"densefusion-real={made / 'densefusion-real'}"]
    columns = ["--columns", "unweighted", "weighted", "densefusion-real"]
    arguments = ["reproduce", "table2", "--max-steps", "2", "--out", str(tmp_path / "run"), *RENDERED]
    monkeypatch.setattr(command, "_run", stop_at_the_second)
    assert main([*arguments, *columns, *data]) == 130
    assert calls.count("train") == 2
    later = []
    monkeypatch.setattr(command, "_run", lambda name, rest: later.append(name) or whole(name, rest))
    assert main([*arguments, *columns, *data]) == 0
    assert later == ["synth", "estimate", "evaluate", "evaluate"], "frames are looked for, nothing is trained"
    content = json.loads((tmp_path / "run" / "table2.json").read_text())
    taken = content["columns"][2]
    assert taken["taken_from"] == str(made / "densefusion-real")
    assert taken["results"]["instances"] >= 2
    assert any("poses were taken from" in line for line in content["protocol"])


def test_figure_4_is_a_picture(made, tmp_path):
    import cv2

    runs = [f"densefusion-refine={made / 'densefusion-real'}", f"ours-refine={made / 'weighted-synthetic'}"]
    arguments = ["reproduce", "figure4", str(made / "data"), "--out", str(tmp_path), "--objects", "1", "7"]
    assert main([*arguments, "--runs", *runs]) == 0
    picture = cv2.imread(str(tmp_path / "figure4.png"))
    assert picture is not None
    rows = len({row["obj_id"] for row in csv.DictReader((made / "weighted" / "instances.csv").open())})
    assert picture.shape[0] >= 200 * min(rows, 1)
    assert picture.std() > 20, "it is not one colour"
    assert "chosen by rule" in (tmp_path / "figure4.md").read_text()


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tmp_path, capsys):
    root = write_bop(tmp_path / "data", {1: 4}, split="train")
    other = write_bop(tmp_path / "other", {2: 3})
    (other / "test").rename(root / "test")
    out = tmp_path / "run"
    arguments = ["reproduce", "table2", str(root), "--dry-run", "--device", "cpu", "--out", str(out)]
    assert main([*arguments, "--budget", "20", "--columns", "unweighted", "weighted"]) == 0
    shown = capsys.readouterr().out
    rows = {cells[0]: cells for cells in (line.split() for line in shown.splitlines()) if cells}
    assert rows["train"][1:5] == ["train", "4", "4", "8"]
    assert rows["test"][1:5] == ["test", "3", "3", "6"]
    minutes = [float(rows[name][-2]) for name in ("unweighted", "weighted")]
    assert minutes[0] == minutes[1]
    assert 5 < minutes[0] < 10
    assert "memory:" in shown
    assert not out.exists()


@pytest.mark.parametrize("layout", ["ycbv-sample", "ycbv-original-layout"])
def test_a_dry_run_of_both_layouts(shared_data, tmp_path, capsys, layout):
    split = {"ycbv-sample": ["--train-split", "test"]}.get(layout, [])
    models = ["--models", str(shared_data / "ycbv-sample" / "models")]
    arguments = ["reproduce", "table2", str(shared_data / layout), *models, *split, "--objects", "2"]
    assert main([*arguments, "--dry-run", "--columns", "weighted", "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "frames" in shown
    assert "measured on" in shown
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say how long table2 may take"),
        (["--budget", "3"], "too small to train anything"),
        (["--budget", "60", "--columns", "magic"], "no such column, expected some of unweighted"),
        (["--max-steps", "1", "--objects", "99"], "no such built-in object"),
        (["--max-steps", "1", "--models", "nowhere"], "models folder not found"),
        (["--max-steps", "1", "--runs", "weighted"], "expected COLUMN=FOLDER"),
        (["--max-steps", "1", "--train-split", "train"], "splits of a DATASET"),
    ],
)
def test_wrong_use_is_one_line(tmp_path, capsys, options, message):
    assert main(["reproduce", "table2", "--out", str(tmp_path / "run"), "--device", "cpu", *options]) == 2
    assert message in error_of(capsys)


def test_a_data_set_without_train_frames_says_what_to_do(tmp_path, capsys):
    root = write_bop(tmp_path / "data", {1: 2})
    arguments = ["reproduce", "table2", str(root), "--max-steps", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 2
    message = error_of(capsys)
    assert "no train frames in" in message
    assert "--train-split" in message
    assert main([*arguments[:-1], str(tmp_path / "other"), "--train-split", "test"]) == 2
    assert "have frames in common" in error_of(capsys)


def test_table_3_trains_nothing(tmp_path, capsys):
    assert main(["reproduce", "table3", "--max-steps", "1", "--out", str(tmp_path)]) == 2
    assert "measures training steps and trains nothing" in error_of(capsys)
