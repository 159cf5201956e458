"""The split into training and held-out instances: whole blocks in time, every object on both sides, no frame."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from training_runs import run, short

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions, make_fabric, train
from selfpose6d.training.split import FrameSplit, split_frames

TEST_OBJECTS = range(1, 6)


def keys(rows) -> np.ndarray:
    """Of (scene, frame, object) triples; the same triple again is another instance."""
    seen: Counter = Counter()
    table = []
    for row in rows:
        table.append((*row, seen[row]))
        seen[row] += 1
    return np.array(table, np.int32).reshape(-1, 4)


def frames_of(table: np.ndarray, index: np.ndarray) -> set[tuple[int, int]]:
    return {(int(scene), int(image)) for scene, image in table[index, :2]}


def objects_of(table: np.ndarray, index: np.ndarray | slice) -> set[int]:
    return set(table[index, 2].tolist())


def single_frame_objects(table: np.ndarray) -> set[int]:
    frames = {obj: frames_of(table, table[:, 2] == obj) for obj in objects_of(table, slice(None))}
    return {obj for obj, its in frames.items() if len(its) == 1}


def check(table: np.ndarray) -> FrameSplit:
    """What holds for every data set."""
    split = split_frames(table)
    everything = objects_of(table, slice(None))
    single = single_frame_objects(table)
    assert objects_of(table, split.training) == everything, "an object without training data"
    assert set(split.on_both_sides) == single
    both = frames_of(table, split.training) & frames_of(table, split.held_out)
    of_single = frames_of(table, np.isin(table[:, 2], sorted(single)))
    assert both <= of_single
    on_both = np.intersect1d(split.training, split.held_out)
    assert objects_of(table, on_both) <= single
    if len(table) <= 256:
        held = objects_of(table, split.held_out)
        assert held == everything - set(split.never_held_out)
        whole_frames = frames_of(table, np.setdiff1d(np.arange(len(table)), split.training))
        assert not whole_frames & frames_of(table, split.training)
    assert len(split.held_out) <= 256
    return split


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(1, 6)), min_size=1, max_size=120)
)
def test_for_any_data_set_every_object_is_trained_and_no_frame_is_on_both_sides(rows):
    table = keys(rows)
    split = check(table)
    again = split_frames(table)
    assert np.array_equal(split.training, again.training)
    assert np.array_equal(split.held_out, again.held_out)


@settings(max_examples=50)
@given(st.integers(1, 4), st.integers(2, 300), st.integers(1, 5))
def test_full_frames_hold_out_about_a_twentieth_of_every_object(scenes, frames, objects):
    table = keys((s, f, o) for s in range(scenes) for f in range(frames) for o in range(objects))
    split = check(table)
    assert not split.never_held_out
    counts = np.bincount(table[:, 2])
    held = counts - np.bincount(table[split.training, 2], minlength=objects)
    target = np.maximum(1, 0.05 * counts)
    block = max(split.block_frames)
    assert (np.abs(held - target) <= max(1, block / 2 + 0.5)).all()


@pytest.mark.parametrize("count", [20, 100, 1296])
def test_one_object_a_scene_as_in_t_less(count):
    table = keys((obj, frame, obj) for obj in TEST_OBJECTS for frame in range(count))
    split = check(table)
    held = np.setdiff1d(np.arange(len(table)), split.training)
    shares = [np.mean(table[held, 2] == obj) for obj in TEST_OBJECTS]
    assert shares == pytest.approx([0.2] * 5)
    assert len(held) == pytest.approx(0.05 * len(table), rel=0.02)
    assert objects_of(table, split.held_out) == set(TEST_OBJECTS)


def test_blocks_are_neighbours_in_time_and_spread_over_the_scene():
    table = keys((0, frame, 0) for frame in range(740))
    split = check(table)
    assert (
        split.describe() == "held out: 36 of 740 instances, 4 blocks of 9 frames, every object in both parts"
    )
    images = table[split.held_out, 1]
    runs = np.split(images, np.flatnonzero(np.diff(images) != 1) + 1)
    assert [len(run) for run in runs] == [9] * 4
    assert images[-1] == 739, "a scene's end has one neighbour in training, where others have two"
    assert np.diff([run[0] for run in runs]).min() > 740 / 8


def test_one_object_of_many_scenes_is_held_out_in_all_of_them():
    table = keys((scene, frame, 0) for scene in range(12) for frame in range(60))
    split = check(table)
    assert set(table[split.held_out, 0].tolist()) == set(range(12))
    assert split.block_frames == (3,) * 12


def test_many_short_scenes_and_rendered_frames_give_some_of_them():
    table = keys((scene, 0, obj) for scene in range(400) for obj in TEST_OBJECTS)
    split = check(table)
    held_scenes = np.unique(table[split.held_out, 0])
    assert len(held_scenes) == 20
    assert np.diff(held_scenes).max() < 60, "not spread over the scenes"
    short = keys((scene, frame, 1) for scene in range(40) for frame in range(6))
    assert len(check(short).held_out) == 12


def test_scenes_of_different_length_give_alike_parts():
    lengths = {0: 900, 1: 100, 2: 60, 3: 40}
    table = keys((scene, frame, 7) for scene, count in lengths.items() for frame in range(count))
    split = check(table)
    held = np.bincount(table[split.held_out, 0])
    blocks = np.array([11.25, 5, 3, 2])  # frames: of 80 places, and of 20
    assert (np.abs(held - 0.05 * np.array([*lengths.values()])) <= blocks).all()
    assert held.sum() == pytest.approx(55, abs=3)
    assert (held > 0).all()


def test_recordings_with_several_objects_that_come_and_go():
    generator = np.random.default_rng(3)
    rows = []
    for scene in range(10):
        for obj in generator.choice(8, 4, replace=False):
            first = generator.integers(0, 100)
            rows += [(scene, frame, int(obj)) for frame in range(first, first + generator.integers(30, 100))]
    table = keys(rows)
    split = check(table)
    assert not split.never_held_out
    held = 1 - np.bincount(table[split.training, 2]) / np.bincount(table[:, 2])
    assert held.min() > 0.01
    assert held.max() < 0.15
    assert 0.03 < held.mean() < 0.09


def test_two_frames_give_one_to_each_side():
    table = keys((0, frame, obj) for frame in (4, 9) for obj in (1, 2))
    split = check(table)
    assert table[split.training, 1].tolist() == [4, 4]
    assert table[split.held_out, 1].tolist() == [9, 9]


def test_a_single_frame_serves_for_both():
    table = keys((0, 3, obj) for obj in (1, 2))
    split = check(table)
    assert split.training.tolist() == split.held_out.tolist() == [0, 1]
    assert split.describe() == (
        "held out: 2 of 2 instances, every object in both parts; objects with one frame, which serves for both: 1 2"
    )


def test_a_block_that_has_all_of_an_object_is_cut_in_two_in_time():
    """Frames 100 to 103 of 400 lie in one block of 20; the object's frames are split, the other object's with them."""
    rows = [(0, frame, 1) for frame in range(400)] + [(0, frame, 2) for frame in range(100, 104)]
    table = keys(rows)
    split = check(table)
    its = frames_of(table, table[:, 2] == 2)
    sides = [sorted(frames_of(table, side) & its) for side in (split.training, split.held_out)]
    assert sorted(sides) == [[(0, 100), (0, 101)], [(0, 102), (0, 103)]]


def test_other_objects_of_a_held_out_frame_are_held_out_too():
    """Object 2 is in the first frames alone: these frames give no training instance of object 1 either."""
    table = keys([(0, f, 1) for f in range(40)] + [(0, f, 2) for f in range(6)])
    split = check(table)
    held_frames = frames_of(table, np.setdiff1d(np.arange(len(table)), split.training))
    of_two = frames_of(table, split.held_out[table[split.held_out, 2] == 2])
    assert of_two
    assert of_two <= held_frames


def test_a_frame_with_the_only_sight_of_an_object_stays_in_training():
    table = keys([(0, f, 1) for f in range(20)] + [(0, 19, 2)])
    split = check(table)
    assert split.on_both_sides == (2,)
    assert (0, 19) in frames_of(table, split.training)
    assert 2 in objects_of(table, split.held_out)
    assert (0, 19) not in frames_of(table, split.held_out[table[split.held_out, 2] == 1])


def test_objects_that_cannot_be_held_out_are_named():
    """Every frame of object 9 is the only one of some other object."""
    table = keys([(0, f, 9) for f in range(5)] + [(0, f, f) for f in range(5)])
    split = check(table)
    assert split.never_held_out == (9,)
    assert split.describe().endswith("objects that are never held out: 9")


def test_large_sets_are_thinned_evenly_per_object():
    """Object 3 is rare: it keeps all of its held-out instances, the others share the rest."""
    rows = [(s, f, o) for s in range(10) for f in range(1000) for o in (1, 2)]
    rows += [(0, f, 3) for f in range(0, 1000, 5)]
    table = keys(rows)
    split = check(table)
    counts = np.bincount(table[split.held_out, 2])[1:]
    assert counts.sum() == 256
    assert counts[0] == pytest.approx(counts[1], abs=1)
    held = np.setdiff1d(np.arange(len(table)), split.training)
    assert counts[2] == np.sum(table[held, 2] == 3) > 0
    assert len(np.unique(split.held_out)) == 256
    assert set(table[split.held_out, 0].tolist()) == set(range(10))
    assert f"({split.instances_in_blocks} instances, thinned evenly per object)" in split.describe()


def test_more_objects_than_held_out_instances():
    table = keys((0, f, o) for f in range(20) for o in range(300))
    split = check(table)
    assert len(split.held_out) == 256
    assert len(objects_of(table, split.held_out)) == 256


def test_a_training_says_once_what_it_holds_out(dataset, cache, tmp_path, capsys):
    """Of the ten frames of one scene the last."""
    run(dataset, tmp_path / "run", cache, steps=2)
    line = "held out: 1 of 10 instances, 1 block of 1 frame, every object in both parts"
    assert line in capsys.readouterr().out.splitlines()
    rows = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[0] == {"step": 0, "kind": "held out", "note": line}
    assert {row["instances"] for row in rows if row["kind"] == "validation"} == {1}


def test_what_has_no_label_takes_no_part_in_the_split(dataset, cache, tmp_path, label_run, capsys):
    """The last frame has no certified label: the one before it is held out."""
    run(dataset, tmp_path / "run", cache, steps=1, recipe="verified", labels=label_run)
    assert "held out: 1 of 9 instances, 1 block of 1 frame" in capsys.readouterr().out


def test_more_processes_than_the_batch_are_refused_before_any_work(dataset, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(Fabric, "world_size", property(lambda fabric: 5))
    data = DataOptions(dataset.root, dataset.split)
    options = TrainOptions(data, short(batch=4), Limit(max_steps=2), cache=cache)
    with pytest.raises(UsageError, match="--batch 4 is less than the 5 processes"):
        train(dataset, options, tmp_path / "run", make_fabric("cpu", "fp32"))
    assert not cache.root.exists()
    assert not (tmp_path / "run").exists()
