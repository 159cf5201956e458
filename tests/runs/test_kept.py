"""Labels that a later run keeps: certified ones to the last digit, and what a person said."""

import json
from pathlib import Path

import pytest
from labels import label
from written import write_certificates

from selfpose6d.errors import DataError, UsageError
from selfpose6d.runs.config import DataConfig, RunContext, new_config
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.kept import kept_hash, kept_rows
from selfpose6d.runs.review import Verdict, append_verdict
from selfpose6d.selection import FrameId

STATUSES = ("certified", "rejected", "ambiguous", "certified", "rejected")


@pytest.fixture
def labelled(tmp_path) -> Path:
    """An annotate run: objects 1 to 5 in one frame, of these statuses."""
    run = tmp_path / "labels"
    config = new_config("annotate", DataConfig("train", "abc"), {}, RunContext(tmp_path, "cpu"))
    RunFolder.open(run, config)
    labels = [label(3, 7, i + 1, status=status, split="train") for i, status in enumerate(STATUSES)]
    write_certificates(run / "certificates.jsonl", labels)
    return run


def kept(run: Path) -> dict[int, dict]:
    rows = kept_rows(run, "abc", "train")
    assert set(rows) == {FrameId(3, 7)}
    return {key.obj_id: row for key, row in rows[FrameId(3, 7)].items()}


def test_certified_rows_are_kept_as_they_are(labelled):
    stored = [json.loads(line) for line in (labelled / "certificates.jsonl").read_text().splitlines()]
    assert kept(labelled) == {1: stored[0], 4: stored[3]}


def test_the_name_is_left_to_the_run_that_keeps(labelled):
    path = labelled / "certificates.jsonl"
    rows = [json.loads(line) | {"name": "drill"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "name" not in kept(labelled)[1]


def test_a_persons_verdict_is_kept_either_way(labelled):
    verdicts = {1: "reject", 2: "accept", 5: "reject"}
    lines = [
        {"split": "train", "scene_id": 3, "im_id": 7, "obj_id": i, "inst_id": 0, "verdict": verdict}
        for i, verdict in verdicts.items()
    ]
    (labelled / "review.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {i: (row["status"], row["reason"]) for i, row in kept(labelled).items()}
    assert found == {
        1: ("rejected", "review: reject"),
        2: ("certified", "review: accept"),
        4: ("certified", "why"),
        5: ("rejected", "review: reject"),
    }


def test_the_chosen_pose_is_kept(labelled):
    key = label(3, 7, 3, split="train").key
    append_verdict(labelled / "review.jsonl", key, Verdict("alternative", alternative=1))
    row = kept(labelled)[3]
    assert (row["status"], row["reason"]) == ("certified", "review: alternative 1")
    assert (row["t_mm"], row["confidence"], row["alternatives"]) == ([0, 0, 600], 1.0, [])
    append_verdict(labelled / "review.jsonl", key._replace(im_id=8), Verdict("accept"))
    with pytest.raises(DataError, match="image 8, has no pose in this run"):
        kept(labelled)


@pytest.mark.parametrize(
    ("fingerprint", "split", "message"),
    [
        ("other", "train", "labels another data set"),
        ("abc", "test", "labels split train, this is split test"),
    ],
)
def test_labels_of_other_data_are_refused(labelled, fingerprint, split, message):
    with pytest.raises(UsageError, match=message):
        kept_rows(labelled, fingerprint, split)


def test_labels_of_other_meshes_are_refused(tmp_path):
    config = new_config("annotate", DataConfig("train", "abc", meshes="a"), {}, RunContext(tmp_path, "cpu"))
    RunFolder.open(tmp_path / "run", config)
    write_certificates(tmp_path / "run" / "certificates.jsonl", [label(3, 7, 1, split="train")])
    assert kept_rows(tmp_path / "run", "abc", "train", "a")
    with pytest.raises(UsageError, match="made with other meshes"):
        kept_rows(tmp_path / "run", "abc", "train", "b")


def test_labels_and_their_review_are_told_apart(labelled):
    before = kept_hash(labelled)
    assert kept_hash(labelled) == before
    (labelled / "review.jsonl").write_text("{}\n")
    reviewed = kept_hash(labelled)
    (labelled / "certificates.jsonl").write_text("")
    assert len({before, reviewed, kept_hash(labelled)}) == 3


def test_runs_of_other_commands_are_refused(tmp_path):
    config = new_config("estimate", DataConfig("train", "abc"), {}, RunContext(tmp_path, "cpu"))
    RunFolder.open(tmp_path / "run", config)
    with pytest.raises(
        UsageError, match=r"was made by estimate, not annotate\. Pass an annotate run to --keep"
    ):
        kept_rows(tmp_path / "run", "abc", "train")
