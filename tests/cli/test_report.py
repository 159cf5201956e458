"""`selfpose6d report`: what stands on the page, with and without true poses, for training runs too."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import pytest
import yaml
from scored_run import make_run

from selfpose6d.cli.main import main
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.runs.review import Verdict
from selfpose6d.types import InstanceKey


@pytest.fixture
def run(ycbv_sample: Path, tmp_path: Path) -> Path:
    return make_run(ycbv_sample, tmp_path / "my-run")


def page(run: Path, *arguments: object) -> str:
    assert main(["report", str(run), *map(str, arguments)]) == 0
    return (run / "report.html").read_text()


class _Outline(HTMLParser):
    """Headings, table rows, number of pictures, and anything that would be fetched from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.images = 0
        self.fetched: list[str] = []
        self._into: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "xlink:href") and not value.startswith(("data:", "#")):
                self.fetched.append(value)
        self.images += tag == "img"
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "h2"):
            self._into = {"td": self.rows[-1] if self.rows else None, "h2": self.headings}[tag]

    def handle_data(self, data):
        if self._into is not None and data.strip():
            self._into.append(data.strip())

    def handle_endtag(self, tag):
        if tag in ("td", "h2"):
            self._into = None


def test_page_of_a_scored_run(run):
    text = page(run)
    outline = _Outline(text)
    assert outline.headings == [
        "Frames",
        "Rejected instances",
        "Farthest from the truth",
        "Instances",
        "Scores by object",
        "Reliability",
        "Certificates",
        "Why instances are not certified",
        "Curves",
        "About",
    ]
    assert outline.fetched == []
    assert not re.search(r"@import|url\((?!#)", text)
    # 2 frames, photo, rendering and outline of 2 rejected and of 4 found instances, 4 thumbnails.
    assert outline.images == 2 + 3 * (2 + 4) + 4
    gelatin = next(row for row in outline.rows if row and row[0] == "009_gelatin_box (8)" and len(row) > 9)
    assert (gelatin[1], gelatin[3]) == ("2", "95.00")
    exact = next(row for row in outline.rows if row and row[0] == "mask exact")
    assert exact[1:4] == ["2", "100.0 [15.8 100.0]", "100.0 [15.8 100.0]"]
    assert "certified at risk 0.01" in text
    assert "right: &lt; 10 % of the diameter" in text
    assert "of certified within 10 % of d" in text
    assert ["runner-up too close (margin 0.01)", "rejected", "2"] in outline.rows
    assert ["12 pixels with depth", "skipped", "2"] in outline.rows
    assert "ADD-S" in text
    assert "<svg" in text


def test_contact_sheets_are_written_beside_the_page(run):
    page(run)
    for name in ("contact_sheet_worst.png", "contact_sheet_rejected.png"):
        assert cv2.imread(str(run / name)).shape[1] > 600
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_pictures_can_be_left_out(run):
    assert _Outline(page(run, "--pictures", 0)).images == 0
    assert main(["report", str(run), "--pictures", "-1"]) == 2


def test_several_runs_share_the_curves(run, ycbv_sample, tmp_path):
    other = make_run(ycbv_sample, tmp_path / "other-run")
    text = page(run, "--compare", other, "--pictures", 0)
    outline = _Outline(text)
    expected = {
        "Runs side by side",
        "other-run - my-run",
        "Reliability of my-run",
        "Reliability of other-run",
    }
    assert expected <= set(outline.headings)
    assert ["ADD AUC", "+0.00", "+0.00", "+0.00", "not known (fewer than 6)"] in outline.rows
    assert {"my-run (pooled)", "other-run (mean)"} <= {row[0] for row in outline.rows if row}
    assert text.count("</i>other-run</span>") == 3


def test_what_compared_runs_differ_in_is_shown(run, ycbv_sample, tmp_path):
    other = make_run(ycbv_sample, tmp_path / "other-run")
    same = page(run, "--compare", other, "--pictures", 2)
    assert "no instance differs by 1 mm or in its status" in same
    moved = (other / "predictions.csv").read_text().splitlines()
    fields = moved[1].split(",")
    x_mm, y_mm, z_mm = map(float, fields[5].split())
    fields[5] = f"{x_mm + 50} {y_mm} {z_mm}"
    csv = tmp_path / "moved.csv"
    csv.write_text("\n".join([moved[0], ",".join(fields), *moved[2:]]) + "\n")
    text = page(run, "--compare", csv, "--pictures", 2)
    assert _Outline(text).headings[0] == "What differs"
    assert "my-run | moved.csv: the instances whose result differs most" in text
    differs = text[text.index("What differs</h2>") : text.index("Frames</h2>")]
    assert differs.count("<img") == 2 * 3
    assert "differ by 5" in differs


def test_a_run_to_compare_with_that_is_not_there_is_one_line(run, tmp_path, capsys):
    assert main(["report", str(run), "--compare", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_path_and_no_hash_stands_on_the_page(run, tmp_path):
    text = page(run)
    shown = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<script>.*?</script>", "", text, flags=re.DOTALL)
    shown = re.sub(r'data:image/[^"]*', "", shown)
    assert str(tmp_path) not in shown
    assert "ycbv-sample, split test --scenes 0 --limit 2" in shown
    assert not re.search(r">[^<]*#[^<]*<", shown)
    assert not re.search(r"[\s>(]/\w+/\w", shown)


def test_ambiguous_instances_show_their_alternatives(ycbv_sample, tmp_path):
    run = make_run(ycbv_sample, tmp_path / "run", limit=1)
    rows = [json.loads(line) for line in (run / "certificates.jsonl").read_text().splitlines()]
    for row in rows:
        pose = {"R": row["R"], "t_mm": row["t_mm"]}
        row["status"], row["reason"] = "ambiguous", "poses fit about as well"
        row["alternatives"] = [pose | {"confidence": share / 100} for share in (52, 31, 17)]
    (run / "certificates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = page(run)
    assert "Ambiguous instances" in _Outline(text).headings
    gallery = text[text.index("Ambiguous instances</h2>") : text.index("Farthest from the truth</h2>")]
    assert gallery.count("<img") == 4 * len(rows)
    for line in ("pose 1: 0.52", "pose 2: 0.31", "pose 3: 0.17"):
        assert gallery.count(f">{line}<") == len(rows)


def test_a_review_is_shown_and_its_pose_drawn(ycbv_sample, tmp_path):
    run = make_run(ycbv_sample, tmp_path / "run", limit=1)
    rows = [json.loads(line) for line in (run / "certificates.jsonl").read_text().splitlines()]
    keys = [{name: row[name] for name in ("split", "scene_id", "im_id", "obj_id", "inst_id")} for row in rows]
    truth = next(true for true in load_ground_truth(ycbv_sample) if true.key == InstanceKey(**keys[1]))
    pose = Verdict("pose", T_cam_obj=truth.T_cam_obj).row(truth.key)
    verdicts = [keys[0] | {"verdict": "reject"}, pose]
    (run / "review.jsonl").write_text("".join(json.dumps(row) + "\n" for row in verdicts))
    text = page(run, "--pictures", 2)
    first = next(
        row for row in _Outline(text).rows if row[:1] == ["009_gelatin_box (8)"] and "rejected" in row
    )
    assert "(review: reject)" in first
    assert "was certified" in first
    mug = next(row for row in _Outline(text).rows if row[:1] == ["025_mug (14)"] and "certified" in row)
    assert "(review: pose)" in mug
    assert "was rejected: runner-up too close (margin 0.01)" in mug
    assert "0.0" in mug  # at the corrected pose
    assert "review: 1 reject, 1 pose" in text


def test_a_folder_whose_name_is_markup_is_text(ycbv_sample, tmp_path):
    run = make_run(ycbv_sample, tmp_path / "<script>alert(1)<", limit=1)
    other = make_run(ycbv_sample, tmp_path / "$x_{<b>", limit=1)
    text = page(run, "--compare", other, "--pictures", 1)
    assert text.count("<script>") == 1
    assert "<b>" not in re.sub(r"<b>\d[^<]*</b>", "", text)
    assert "$x_{&lt;b&gt;" in text


def counts(text: str) -> dict[str, str]:
    """Instances by row of the tables; the scores by object come first, then runs side by side."""
    return {row[0]: row[1] for row in _Outline(text).rows if len(row) > 3}


def test_all_runs_are_scored_against_the_reference_of_the_page(run, ycbv_sample, tmp_path):
    other = make_run(ycbv_sample, tmp_path / "other-run")
    assert main(["evaluate", str(run), str(ycbv_sample), "--objects", "8"]) == 0
    assert main(["evaluate", str(other), str(ycbv_sample), "--limit", "3"]) == 0
    kept = [(folder / "results.json").read_bytes() for folder in (run, other)]
    found = counts(page(run, "--compare", other, "--pictures", 0))
    assert found["my-run (pooled)"] == found["other-run (pooled)"] == "6"
    assert [(folder / "results.json").read_bytes() for folder in (run, other)] == kept


def test_scores_of_the_same_reference_are_taken_over(run, ycbv_sample, monkeypatch):
    options = ["--symmetric-ids", "14", "8", "--points", "surface", "--targets", "all"]
    assert main(["evaluate", str(run), str(ycbv_sample), *options]) == 0
    monkeypatch.setattr("selfpose6d.reporting.contents.evaluate", None)
    assert "Scores by object" in page(run, "--pictures", 0)


def test_the_way_to_be_right_is_taken_over(run, ycbv_sample, tmp_path, monkeypatch):
    models = tmp_path / "models"
    shutil.copytree(ycbv_sample / "models", models)
    info = json.loads((models / "models_info.json").read_text())
    info["8"]["symmetries_continuous"] = [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]
    (models / "models_info.json").chmod(0o644)
    (models / "models_info.json").write_text(json.dumps(info))
    options = ["--right", "least-add", "--models", str(models)]
    assert main(["evaluate", str(run), str(ycbv_sample), *options]) == 0
    page(run, "--pictures", 0, "--models", models)
    assert json.loads((run / "results.json").read_text())["right"] == "least-add"
    info["8"]["symmetries_continuous"][0]["axis"] = [1, 0, 0]
    (models / "models_info.json").write_text(json.dumps(info))
    monkeypatch.setattr("selfpose6d.reporting.contents.evaluate", None)
    with pytest.raises(TypeError):  # other symmetries: what was evaluated before does not hold
        page(run, "--pictures", 0, "--models", models)


def test_broken_results_are_made_again(run):
    (run / "results.json").write_text("{")
    assert "Scores by object" in page(run, "--pictures", 0)
    assert json.loads((run / "results.json").read_text())["instances"] == 6


def test_files_beside_a_compared_file_stay(run, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    shutil.copy(run / "predictions.csv", foreign / "theirs.csv")
    for name in ("results.json", "instances.csv"):
        (foreign / name).write_text("theirs")
    assert (
        counts(page(run, "--compare", foreign / "theirs.csv", "--pictures", 0))["theirs.csv (pooled)"] == "6"
    )
    assert {path.read_text() for path in foreign.iterdir() if path.name != "theirs.csv"} == {"theirs"}
    assert len(list(foreign.iterdir())) == 3


def test_without_true_poses_the_page_has_statuses_and_pictures(ycbv_sample, tmp_path):
    root = tmp_path / "unlabelled"
    shutil.copytree(
        ycbv_sample, root, ignore=shutil.ignore_patterns("000001", "*_info.json", "test_targets*")
    )
    run = make_run(root, tmp_path / "run", limit=1)
    scene = root / "test" / "000000" / "scene_gt.json"
    entries = json.loads(scene.read_text())
    scene.write_text(json.dumps({k: [{"obj_id": e["obj_id"]} for e in v] for k, v in entries.items()}))
    text = page(run, "--pictures", 1)
    outline = _Outline(text)
    assert "Not scored: " in text
    assert "Scores by object" not in outline.headings
    assert {"Certificates", "Frames", "Rejected instances"} <= set(outline.headings)
    assert "009_gelatin_box (8)" in text
    assert outline.images == 1 + 3 + 2


def test_a_data_set_that_is_gone_leaves_the_tables(ycbv_sample, tmp_path):
    run = make_run(ycbv_sample, tmp_path / "run", limit=1)
    config = (run / "config.yaml").read_text().replace(str(ycbv_sample), str(tmp_path / "gone"))
    (run / "config.yaml").write_text(config)
    text = page(run)
    assert str(tmp_path) not in text
    assert "gone, split test" in text
    assert "Not scored: " in text
    assert "No pictures: " in text
    assert "Certificates" in _Outline(text).headings


def test_training_run_has_its_curves(tmp_path):
    rows = [
        {"step": i, "kind": kind, "loss": 1.0 / (i + 1)} for i in range(5) for kind in ("train", "validation")
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = page(tmp_path)
    assert "<figcaption>loss</figcaption>" in text
    assert text.count("</i>train</span>") == text.count("</i>validation</span>") == 1


def test_an_estimates_page_has_the_curves_of_its_model(run, tmp_path):
    log = tmp_path / "model" / "log.jsonl"
    (log.parent / "checkpoints").mkdir(parents=True)
    log.write_text("".join(json.dumps({"step": i, "kind": "train", "loss": 0.5}) + "\n" for i in range(3)))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["context"]["model"] = str(log.parent / "checkpoints" / "best.safetensors")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "train loss: always 0.5" in page(run, "--pictures", 0)


def test_names_are_escaped(run):
    (run / "skipped.jsonl").write_text(
        json.dumps(
            {"split": "test", "scene_id": 0, "im_id": 1, "obj_id": 21, "inst_id": 2, "reason": "<b>x</b>"}
        )
    )
    assert "<b>x</b>" not in page(run, "--pictures", 0)


@pytest.mark.parametrize("content", [[], ["report.html"]])
def test_nothing_to_report_is_one_line(tmp_path, capsys, content):
    for name in content:
        (tmp_path / name).touch()
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "neither predictions.csv nor log.jsonl" in error


def test_no_such_run(tmp_path, capsys):
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err
