import json
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labels import label

from selfpose6d.errors import UsageError
from selfpose6d.runs.certificates import load_labels
from selfpose6d.runs.config import KEPT_LABELS, DataConfig, RunContext, new_config, read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import Journal, finished_record
from selfpose6d.runs.outputs import write_outputs
from selfpose6d.runs.predictions import iterate_predictions
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey, PoseEstimate, RefinementStep

OPTIONS = {"seed": 0, "method": "verified", "search": {"rotations": 600}}
DATA = DataConfig("test", "abc", Selection(objects=(1, 2)), models=Path("models"))
CONTEXT = RunContext(Path("/data"), "cpu")


def open_run(path, options=OPTIONS, data=DATA, command="annotate", context=CONTEXT):
    return RunFolder.open(path, new_config(command, data, options, context))


def test_config_says_how_the_run_was_made(tmp_path):
    open_run(tmp_path / "run")
    config = read_config(tmp_path / "run")
    assert config.command == "annotate"
    assert config.data == DATA
    assert config.options == OPTIONS
    assert config.context == CONTEXT
    assert config.packages["torch"].startswith("2.")


def test_every_field_of_the_configuration_comes_back(tmp_path):
    data = DataConfig("all", "f", Selection((1,), (2, 3), (4,), 5), Path("a b"), "m", Path("d.json"))
    context = RunContext(Path("/data"), "cuda", Path("/net.safetensors"), "bf16-mixed")
    open_run(tmp_path / "run", data=data, context=context)
    config = read_config(tmp_path / "run")
    assert (config.data, config.context) == (data, context)


def test_the_same_options_continue_elsewhere(tmp_path):
    first = open_run(tmp_path / "run")
    first.journal.append(finished_record(FrameId(0, 1), [label(0, 1, 5)], [], 0.1))
    moved = RunContext(Path("/elsewhere"), "cuda")
    again = open_run(tmp_path / "run", context=moved)
    assert FrameId(0, 1) in again.journal
    assert read_config(tmp_path / "run").context == moved


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"options": OPTIONS | {"seed": 1}}, r"--seed is 0 there, 1 now\. "),
        ({"options": OPTIONS | {"search": {"rotations": 9}}}, "--search.rotations is 600 there, 9 now"),
        ({"options": OPTIONS | {"refine_steps": 2}}, "--refine-steps is not set there, 2 now"),
        ({"data": replace(DATA, selection=Selection((), (), (1, 2), 3))}, "--limit is not set there, 3 now"),
        (
            {"data": replace(DATA, selection=Selection(objects=(1,)))},
            r"--objects is \[1, 2\] there, \[1\] now",
        ),
        ({"data": replace(DATA, models=None)}, '--models is "models" there, not set now'),
        ({"data": replace(DATA, detections=Path("d"))}, '--detections is not set there, "d" now'),
        ({"data": replace(DATA, split="train")}, '--split is "test" there, "train" now'),
        ({"command": "estimate"}, 'command is "annotate" there, "estimate" now'),
        ({"data": replace(DATA, fingerprint="xyz")}, "the data set is another one"),
    ],
)
def test_other_options_are_refused_by_name(tmp_path, changes, named):
    open_run(tmp_path / "run")
    with pytest.raises(UsageError, match=f"made with other options: {named}"):
        open_run(tmp_path / "run", **changes)


def test_other_meshes_are_another_run(tmp_path):
    open_run(tmp_path / "run", data=replace(DATA, meshes="a"))
    open_run(tmp_path / "run", data=replace(DATA, meshes="a"))
    with pytest.raises(UsageError, match="content of the models' folder"):
        open_run(tmp_path / "run", data=replace(DATA, meshes="b"))


def test_a_run_that_does_not_say_its_meshes_goes_on(tmp_path):
    open_run(tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    path.write_text("".join(line for line in path.open() if "meshes" not in line))
    assert read_config(tmp_path / "run").data.meshes is None
    open_run(tmp_path / "run", data=replace(DATA, meshes="b"))
    assert read_config(tmp_path / "run").data.meshes is None, "whose first frames are of unknown meshes"


def test_other_labels_of_the_kept_run_are_another_run(tmp_path):
    """Reviewed, or annotated anew, after the run began; a run that does not say what they were goes on."""
    kept = OPTIONS | {"keep": "/labels"}
    open_run(tmp_path / "run", options=kept | {KEPT_LABELS: "a"})
    open_run(tmp_path / "run", options=kept | {KEPT_LABELS: "a"})
    with pytest.raises(UsageError, match='--labels-of-keep is "a" there, "b" now'):
        open_run(tmp_path / "run", options=kept | {KEPT_LABELS: "b"})
    open_run(tmp_path / "old", options=kept)
    open_run(tmp_path / "old", options=kept | {KEPT_LABELS: "b"})


def test_a_run_that_kept_a_relative_path_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_run(tmp_path / "run")
    open_run(tmp_path / "run", data=replace(DATA, models=tmp_path / "models"))
    with pytest.raises(UsageError, match='--models is "models" there'):
        open_run(tmp_path / "run", data=replace(DATA, models=tmp_path / "others"))


def test_folders_that_are_no_runs(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file, expected a folder"):
        open_run(tmp_path / "file")
    (tmp_path / "predictions.csv").touch()
    with pytest.raises(UsageError, match=r"holds predictions\.csv but no config\.yaml"):
        open_run(tmp_path)
    with pytest.raises(UsageError, match=r"is no run: config\.yaml is missing"):
        read_config(tmp_path)
    for broken in ("a: [", "", "format: 2", "format: 2\ncommand: annotate\ndata: 5"):
        (tmp_path / "config.yaml").write_text(broken)
        with pytest.raises(UsageError, match=r"config\.yaml is broken"):
            open_run(tmp_path)


OLD_CONFIG = """command: annotate
split: test
fingerprint: abc
options: {seed: 0, scenes: [], frames: [], objects: [], limit: null}
context: {dataset: /data, device: cpu}
version: 0.1.0
commit: null
packages: {}
"""


def test_a_run_of_an_earlier_version_is_one_clear_line(tmp_path):
    (tmp_path / "config.yaml").write_text(OLD_CONFIG)
    for use in (read_config, open_run):
        with pytest.raises(
            UsageError, match=r"was made by selfpose6d 0\.1\.0 and has run format 1, .* reads 2\. Make"
        ):
            use(tmp_path)


def test_results_are_sorted_and_complete(tmp_path):
    run = open_run(tmp_path / "run")
    few = PoseEstimate.none(InstanceKey("test", 0, 2, 4, 1), "few points")
    for record in (
        finished_record(FrameId(1, 2), [label(1, 2, 5), label(1, 2, 3, 7, "rejected")], [], 0.5),
        finished_record(FrameId(0, 2), [label(0, 2, 5, 1), label(0, 2, 5)], [few], 0.25),
        finished_record(FrameId(0, 1), [label(0, 1, 9, 0, "ambiguous")], [], 0.125),
    ):
        run.journal.append(record)
    run.finalise()
    rows = list(iterate_predictions(run.files.folder / "predictions.csv"))
    assert [(r.scene_id, r.im_id, r.obj_id, r.time_s) for r in rows] == [
        (0, 1, 9, 0.125),
        (0, 2, 5, 0.25),
        (0, 2, 5, 0.25),
        (1, 2, 3, 0.5),
        (1, 2, 5, 0.5),
    ]
    lines = (run.files.folder / "certificates.jsonl").read_text().splitlines()
    assert [json.loads(line)["inst_id"] for line in lines] == [0, 0, 1, 7, 0]
    assert json.loads((run.files.folder / "skipped.jsonl").read_text())["reason"] == "few points"


def test_poses_on_the_way_are_not_in_the_certificates(tmp_path):
    run = open_run(tmp_path / "run", command="estimate")
    path = (RefinementStep("estimator", np.eye(4)), RefinementStep("verified", np.eye(4)))
    run.journal.append(finished_record(FrameId(0, 1), [replace(label(0, 1, 5), path=path)], [], 0.5))
    run.finalise()
    run.write_steps()
    (row,) = map(json.loads, (run.files.folder / "certificates.jsonl").read_text().splitlines())
    assert row["status"] == "certified"
    assert "steps" not in row
    assert sorted(file.stem for file in (run.files.folder / "steps").iterdir()) == [
        "0-estimator",
        "1-verified",
    ]


def test_without_certificates(tmp_path):
    run = open_run(tmp_path / "run", command="estimate")
    run.finalise(with_certificates=False)
    assert sorted(path.name for path in run.files.folder.iterdir()) == [
        "config.yaml",
        "journal.jsonl",
        "predictions.csv",
        "skipped.jsonl",
    ]
    assert list(iterate_predictions(run.files.folder / "predictions.csv")) == []


def test_frame_names_are_kept(tmp_path):
    run = open_run(tmp_path / "run")
    run.write_frame_names({})
    assert not (run.files.folder / "frames.json").exists()
    run.write_frame_names({0: "a.png"})
    assert json.loads((run.files.folder / "frames.json").read_text()) == {"0": "a.png"}


WRITER = """
import itertools, sys
sys.path.insert(0, {tests!r})
from labels import label
from pathlib import Path
from selfpose6d.runs.config import DataConfig, RunContext, new_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import finished_record
from selfpose6d.selection import FrameId
config = new_config("annotate", DataConfig("test", "abc"), dict(seed=0), RunContext(Path("/data"), "cpu"))
run = RunFolder.open(Path({path!r}), config)
for im_id in itertools.count():
    run.journal.append(finished_record(FrameId(0, im_id), [label(0, im_id, 5)], [], 0.5))
"""


def test_a_killed_run_continues(tmp_path):
    """SIGKILL in the middle of writing: every whole record is there, and the run goes on."""
    path = tmp_path / "run"
    script = WRITER.format(tests=str(Path(__file__).parent), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script])
    journal = path / "journal.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.is_file() and journal.stat().st_size > 50_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    run = open_run(path, {"seed": 0}, DataConfig("test", "abc"))
    count = len(run.journal)
    assert count > 50
    run.journal.append(finished_record(FrameId(0, count), [label(0, count, 5)], [], 0.5))
    run.finalise()
    assert [r.im_id for r in list(iterate_predictions(path / "predictions.csv"))] == list(range(count + 1))


@pytest.fixture
def annotated(tmp_path):
    run = open_run(tmp_path / "run")
    labels = [label(0, 1, 5), label(0, 1, 6, 1, "rejected"), label(0, 1, 7, 2, "ambiguous")]
    run.journal.append(finished_record(FrameId(0, 1), labels, [], 0.5))
    run.finalise()
    return run.files.folder


def test_labels_are_the_certified_ones_after_review(annotated):
    assert [key.obj_id for key in load_labels(annotated, "abc", "test")] == [5]
    verdicts = [label(0, 1, 5).key._asdict() | {"verdict": "reject"}]
    verdicts += [label(0, 1, 7, 2).key._asdict() | {"verdict": "accept"}]
    (annotated / "review.jsonl").write_text("".join(json.dumps(row) + "\n" for row in verdicts))
    labels = load_labels(annotated, "abc", "test")
    assert [key.obj_id for key in labels] == [7]
    assert labels[InstanceKey("test", 0, 1, 7, 2)].confidence == 1.0


def test_labels_of_other_data_are_refused(annotated, tmp_path):
    with pytest.raises(UsageError, match="labels split test, training reads split train"):
        load_labels(annotated, "abc", "train")
    with pytest.raises(UsageError, match="labels another data set"):
        load_labels(annotated, "xyz", "test")
    open_run(tmp_path / "estimated", command="estimate")
    with pytest.raises(UsageError, match="made by estimate, not annotate"):
        load_labels(tmp_path / "estimated", "abc", "test")
    empty = open_run(tmp_path / "empty")
    empty.finalise()
    with pytest.raises(UsageError, match="has no certified label"):
        load_labels(empty.files.folder, "abc", "test")


def test_certificates_have_the_objects_names(tmp_path):
    run = open_run(tmp_path / "run")
    run.journal.append(finished_record(FrameId(0, 1), [label(0, 1, 5), label(0, 1, 6)], [], 0.1))
    run.finalise(names={5: "mug"})
    rows = [json.loads(line) for line in run.files.certificates.read_text().splitlines()]
    assert [(row["obj_id"], row["name"]) for row in rows] == [(5, "mug"), (6, None)]
    assert list(rows[0])[:6] == ["split", "scene_id", "im_id", "obj_id", "inst_id", "name"]


class WatchedJournal(Journal):
    """Counts how many of its records are alive at once."""

    most_alive = 0

    def records(self):
        alive: list[weakref.ref] = []
        for record in super().records():
            alive = [seen for seen in alive if seen() is not None] + [weakref.ref(record)]
            self.most_alive = max(self.most_alive, len(alive))
            yield record


def test_memory_stays_flat_while_results_are_written(tmp_path):
    """The writer holds a frame or two, not the journal."""
    journal = WatchedJournal(tmp_path / "journal.jsonl")
    for im_id in range(100):
        journal.append(finished_record(FrameId(im_id // 50, im_id), [label(im_id // 50, im_id, 5)], [], 0.5))
    write_outputs(RunFiles(tmp_path), journal, with_certificates=True)
    assert len(list(iterate_predictions(tmp_path / "predictions.csv"))) == 100
    assert journal.most_alive <= 3
