"""Rounds of annotating and training: what each is given, what is kept, and that a stopped run repeats nothing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_runs import write_label_run
from training_runs import run, same_weights, short

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.runs.config import read_config
from selfpose6d.training.round_folder import RoundFolder
from selfpose6d.training.rounds import RoundsOptions, shared_limit, train_in_rounds
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions, make_fabric
from selfpose6d.training.session import train as fit_run

REJECTED = ((4, 6, 8), (8,))
"""Frames whose label the annotator below rejects in each round."""


class Workers:
    """An annotator that writes true poses and a trainer that trains; both remember what they were asked for."""

    def __init__(self, dataset, stop_before: str = "") -> None:
        self.dataset, self.stop_before, self.asked = dataset, stop_before, []

    def annotate(self, out: Path, kept: Path | None, proposals: Path | None) -> None:
        self._begin(f"labels {out.parent.name}")
        write_label_run(self.dataset, out, rejected_frames=REJECTED[int(out.parent.name)])
        self.given = kept, proposals

    def train(self, options: TrainOptions, out: Path):
        self._begin(f"model {out.parent.name}" if out.name == "model" else "model last")
        return fit_run(self.dataset, options, out, make_fabric("cpu", "fp32"), True)

    def _begin(self, part: str) -> None:
        if part == self.stop_before:
            raise KeyboardInterrupt
        self.asked.append(part)


@pytest.fixture
def options(dataset, cache):
    data = DataOptions(dataset.root, dataset.split)
    training = TrainOptions(data, short("verified"), Limit(max_steps=9), cache=cache)
    return RoundsOptions(2, training, {"risk": 0.01})


def go(dataset, options, out, workers, resume=False):
    return list(train_in_rounds(dataset, options, out, workers.annotate, workers.train, resume))


@given(st.integers(1, 1000), st.integers(1, 12))
def test_the_rounds_share_all_steps_evenly(steps, count):
    parts = [
        last - first for first, last in [(steps * i // count, steps * (i + 1) // count) for i in range(count)]
    ]
    if steps >= count:
        assert [shared_limit(Limit(max_steps=steps), i, count).max_steps for i in range(count)] == parts
    assert sum(parts) == steps
    assert max(parts) - min(parts) <= 1


def test_minutes_are_shared_too():
    assert shared_limit(Limit(max_minutes=6.0), 1, 3) == Limit(max_minutes=2.0)


def test_each_round_goes_on_from_the_one_before(dataset, options, tmp_path):
    out, workers = tmp_path / "run", Workers(dataset)
    rows = go(dataset, options, out, workers)
    assert workers.asked == ["labels 0", "model 0", "labels 1", "model last"]
    assert workers.given == (out / "rounds/0/labels", out / "rounds/0/model")
    first, last = (read_config(folder).options for folder in (out / "rounds/0/model", out))
    assert (first["max_steps"], last["max_steps"]) == (4, 5)
    assert (first["init"], last["init"]) == (None, str((out / "rounds/0/model").resolve()))
    assert last["labels"] == str((out / "rounds/1/labels").resolve())
    counts = [(row.instances, row.certified, row.newly_certified, row.steps) for row in rows]
    assert counts == [(10, 7, 7, 4), (10, 9, 2, 5)]
    assert [row.proposals for row in rows] == [None, "rounds/0/model"]
    assert rows[0].labels_hash != rows[1].labels_hash
    written = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert [(row["round"], row["certified_share"], row["model"]) for row in written] == [
        (0, 0.7, "rounds/0/model"),
        (1, 0.9, "."),
    ]


@pytest.mark.parametrize(
    ("stop_before", "left"),
    [
        ("model 0", ["model 0", "labels 1", "model last"]),
        ("labels 1", ["labels 1", "model last"]),
        ("model last", ["model last"]),
    ],
)
def test_a_stopped_run_repeats_nothing_and_ends_the_same(dataset, options, tmp_path, stop_before, left):
    whole, out = tmp_path / "whole", tmp_path / "run"
    rows = go(dataset, options, whole, Workers(dataset))
    with pytest.raises(KeyboardInterrupt):
        go(dataset, options, out, Workers(dataset, stop_before))
    workers = Workers(dataset)
    again = go(dataset, options, out, workers, resume=True)
    assert workers.asked == left
    assert same_weights(out, whole)
    assert [row.labels_hash for row in again] == [row.labels_hash for row in rows]
    assert len((out / "rounds.jsonl").read_text().splitlines()) == 2


def test_a_finished_run_makes_nothing_again(dataset, options, tmp_path):
    rows = go(dataset, options, tmp_path / "run", Workers(dataset))
    (tmp_path / "run" / "rounds.jsonl").unlink()
    workers = Workers(dataset)
    assert go(dataset, options, tmp_path / "run", workers, resume=True) == rows
    assert workers.asked == []
    assert len((tmp_path / "run" / "rounds.jsonl").read_text().splitlines()) == 2


def test_given_labels_are_those_of_the_first_round(dataset, options, label_run, tmp_path):
    options = replace(options, training=replace(options.training, labels=label_run))
    workers = Workers(dataset)
    rows = go(dataset, options, tmp_path / "run", workers)
    assert workers.asked == ["model 0", "labels 1", "model last"]
    assert workers.given[0] == label_run.resolve()
    assert [row.certified for row in rows] == [9, 9]
    assert rows[0].labels == str(label_run.resolve())
    assert not (tmp_path / "run" / "rounds" / "0" / "labels").exists()


def test_the_hash_of_the_labels_ignores_times(dataset, options, tmp_path):
    rows = go(dataset, replace(options, count=1), tmp_path / "a", Workers(dataset))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    path = tmp_path / "b" / "rounds" / "0" / "labels" / "certificates.jsonl"
    lines = [json.loads(line) | {"time_s": 99.0} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "b" / "rounds" / "0" / "round.json").unlink()
    shutil.rmtree(tmp_path / "b" / "checkpoints")
    for name in ("config.yaml", "log.jsonl"):
        (tmp_path / "b" / name).unlink()
    workers = Workers(dataset)
    workers.annotate = lambda *_: None
    assert (
        go(dataset, replace(options, count=1), tmp_path / "b", workers, True)[0].labels_hash
        == rows[0].labels_hash
    )


def test_other_recipes_and_too_few_steps_are_refused(options):
    with pytest.raises(UsageError, match=r"recipe paper learns from no labels\. Use --recipe verified"):
        replace(options, training=replace(options.training, recipe=short("paper")))
    with pytest.raises(UsageError, match="--rounds must be at least 1, got 0"):
        replace(options, count=0)
    with pytest.raises(UsageError, match="--max-steps 9 for --rounds 10: less than a step a round"):
        replace(options, count=10)


def test_folders_of_something_else_are_refused_before_annotating(dataset, options, cache, tmp_path):
    workers = Workers(dataset)
    run(dataset, tmp_path / "plain", cache, steps=2)
    for resume in (False, True):
        with pytest.raises(UsageError, match="was not made in rounds"):
            go(dataset, options, tmp_path / "plain", workers, resume)
    go(dataset, replace(options, count=1), tmp_path / "run", workers)
    with pytest.raises(UsageError, match="Continue it with --resume"):
        go(dataset, replace(options, count=1), tmp_path / "run", workers)
    with pytest.raises(UsageError, match="--rounds is 1 there, 2 now"):
        go(dataset, options, tmp_path / "run", workers, resume=True)
    with pytest.raises(UsageError, match=r"--annotate\.risk is 0\.01 there, 0\.1 now"):
        go(
            dataset,
            replace(options, count=1, annotating={"risk": 0.1}),
            tmp_path / "run",
            workers,
            resume=True,
        )
    assert workers.asked == ["labels 0", "model last"]


def test_labels_that_do_not_fit_and_several_processes_are_refused(dataset, options, tmp_path, monkeypatch):
    workers = Workers(dataset)
    with pytest.raises(UsageError, match="no run"):
        go(
            dataset,
            replace(options, training=replace(options.training, labels=tmp_path)),
            tmp_path / "run",
            workers,
        )
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="annotates in one process"):
        go(dataset, options, tmp_path / "run", workers)
    assert workers.asked == []
    assert not (tmp_path / "run").exists()


def test_a_broken_note_is_named(dataset, options, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        go(dataset, options, out, Workers(dataset, "model 0"))
    (out / "rounds" / "0" / "round.json").write_text("{")
    from selfpose6d.errors import DataError

    with pytest.raises(DataError, match="Remove it: its round is looked at again"):
        RoundFolder(out, 2).read(0)
