"""Shards of a run: planned alike by everyone, whole or not there, joined once however often they were done."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from labels import label

from selfpose6d.errors import DataError, UsageError
from selfpose6d.runs import frame_lines, shards
from selfpose6d.runs.config import DataConfig, RunContext, new_config
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import finished_record, unreadable_record
from selfpose6d.runs.manifest import Manifest, read_manifest, share_manifest
from selfpose6d.runs.merge import merge_shards
from selfpose6d.runs.outputs import ResultFiles
from selfpose6d.runs.shards import ShardFiles, plan_shards
from selfpose6d.selection import FrameId, FrameIds, Selection
from selfpose6d.types import InstanceKey

FRAMES = FrameIds(
    [*(FrameId(1, im_id) for im_id in range(1, 8)), *(FrameId(3, im_id) for im_id in (2, 9, 10))]
)
NAMES = ("000001_000001-000003", "000001_000004-000006", "000001_000007-000007", "000003_000002-000010")


def record(frame_id, obj_id=1):
    return finished_record(frame_id, [label(*frame_id, obj_id)], [], 0.5)


def open_run(folder: Path) -> RunFolder:
    data = DataConfig("test", "0" * 32, Selection())
    return RunFolder.open(folder, new_config("annotate", data, {"seed": 3}, RunContext(folder, "cpu")))


def manifest_of(run: RunFolder, meshes: str = "m", frames_per_shard: int = 3) -> Manifest:
    names = [shard.name for shard in plan_shards(FRAMES, frames_per_shard)]
    return Manifest.of_run(run.config, meshes, frames_per_shard, ResultFiles(), names)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return open_run(tmp_path / "run")


@pytest.fixture
def files(run) -> ShardFiles:
    return ShardFiles(run.files.shards)


def test_shards_are_frames_of_one_scene_in_order():
    planned = list(plan_shards(FRAMES, 3))
    assert tuple(shard.name for shard in planned) == NAMES
    assert [frame_id for shard in planned for frame_id in shard.frame_ids()] == list(FRAMES)
    assert sorted(NAMES) == list(NAMES)


def test_a_shard_is_there_when_its_marker_is(files):
    assert not files.is_done(NAMES[0])
    assert files.write(NAMES[0], map(record, FRAMES[:3])) == 3
    assert files.is_done(NAMES[0])
    assert [json.loads(line)["frame"] for line in files.lines(NAMES[0])] == [[1, 1], [1, 2], [1, 3]]
    assert {path.name for path in files.folder.iterdir()} == {f"{NAMES[0]}.jsonl", f"{NAMES[0]}.done"}


def test_an_empty_shard_is_done_too(files):
    assert files.write(NAMES[0], ()) == 0
    assert files.is_done(NAMES[0])
    assert list(files.lines(NAMES[0])) == []


def test_a_shard_that_ends_midway_leaves_nothing(files):
    def records():
        yield record(FRAMES[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write(NAMES[0], records())
    assert list(files.folder.iterdir()) == []


def test_half_written_rows_of_a_killed_worker_are_no_shard_and_go_with_the_merge(run, files):
    write_all(files)
    remains = files.folder / f".{NAMES[0]}.jsonl.abc.part"
    remains.write_text('{"frame": [1')
    merge_shards(run, manifest_of(run))
    assert not remains.exists()


def write_all(files: ShardFiles) -> None:
    for shard in plan_shards(FRAMES, 3):
        files.write(shard.name, map(record, shard.frame_ids()))


@pytest.mark.parametrize("change", [lambda rows: rows[:-9], lambda rows: rows.replace(b"0.5", b"0.7"), None])
def test_rows_that_the_marker_does_not_speak_of_are_refused(run, files, change):
    write_all(files)
    rows = files.rows(NAMES[1])
    if change is None:
        files.marker(NAMES[1]).write_text("{")
    else:
        rows.write_bytes(change(rows.read_bytes()))
    with pytest.raises(DataError, match=rf"{NAMES[1]}\.jsonl: not the rows that .*Remove {NAMES[1]}\.done"):
        merge_shards(run, manifest_of(run))


def test_a_merged_run_is_the_run_of_one_process(run, files, tmp_path):
    alone = open_run(tmp_path / "alone")
    for frame_id in FRAMES:
        alone.journal.append(record(frame_id))
    write_all(files)
    assert merge_shards(run, manifest_of(run)) == len(FRAMES)
    assert run.files.journal.read_bytes() == alone.files.journal.read_bytes()
    for folder in (run, alone):
        folder.write_results(ResultFiles(), {1: "mug"})
    assert run.files.certificates.read_bytes() == alone.files.certificates.read_bytes()
    assert run.files.predictions.read_bytes() == alone.files.predictions.read_bytes()


def test_what_is_merged_twice_or_was_done_twice_counts_once(run, files):
    write_all(files)
    files.write(NAMES[1], map(record, FRAMES[3:6]))
    merge_shards(run, manifest_of(run))
    before = run.files.journal.read_bytes()
    assert merge_shards(run, manifest_of(run)) == 0
    fresh = open_run(run.files.folder)
    assert merge_shards(fresh, manifest_of(fresh)) == 0
    assert run.files.journal.read_bytes() == before


def test_a_merge_that_was_killed_goes_on(run, files):
    write_all(files)
    merge_shards(run, manifest_of(run))
    whole = run.files.journal.read_bytes()
    for end in range(0, len(whole), 97):
        run.files.journal.write_bytes(whole[:end])
        again = open_run(run.files.folder)
        merge_shards(again, manifest_of(again))
        assert run.files.journal.read_bytes() == whole


def test_rows_of_one_frame_from_two_shards_count_once(run, files):
    """Whatever a queue of jobs did: the first finished row of a frame stays."""
    write_all(files)
    files.write(NAMES[3], [record(FRAMES[0], obj_id=9), *map(record, FRAMES[7:])])
    assert merge_shards(run, manifest_of(run)) == len(FRAMES)
    assert [row["obj_id"] for made in run.journal.records() for row in made.labels] == [1] * len(FRAMES)


def test_what_the_journal_has_is_neither_done_nor_taken_again(run, files):
    for frame_id in FRAMES[:4]:
        run.journal.append(record(frame_id, obj_id=9))
    shards = [shard.without(run.journal) for shard in plan_shards(FRAMES, 3)]
    assert [len(shard.im_ids) for shard in shards] == [0, 2, 1, 3]
    assert tuple(shard.name for shard in shards) == NAMES
    write_all(files)
    merge_shards(run, manifest_of(run))
    assert [row["obj_id"] for made in run.journal.records() for row in made.labels] == [9] * 4 + [1] * 6


def test_a_frame_that_could_not_be_read_is_taken_over_and_tried_again_later(run, files):
    write_all(files)
    key = InstanceKey("test", *FRAMES[0], 1, 0)
    lost = unreadable_record(FRAMES[0], [key], "no such image")
    files.write(NAMES[0], [lost, *map(record, FRAMES[1:3])])
    merge_shards(run, manifest_of(run))
    assert merge_shards(run, manifest_of(run)) == 0
    assert FRAMES[0] not in run.journal
    assert run.journal.num_seen == len(FRAMES)


def test_a_missing_shard_is_named(run, files):
    write_all(files)
    files.marker(NAMES[2]).unlink()
    with pytest.raises(UsageError, match=rf"1 of 4 shards are missing \({NAMES[2]}\)"):
        merge_shards(run, manifest_of(run))
    assert len(run.journal) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: replace(m, made_of=m.made_of | {"meshes": "n"}), 'meshes is "m" there, "n" now'),
        (lambda m: replace(m, made_of=m.made_of | {"code": "9.9"}), "code is .* there, .9.9. now"),
        (
            lambda m: replace(m, made_of=m.made_of | {"options": {"seed": 4}}),
            "options.seed is 3 there, 4 now",
        ),
        (lambda m: replace(m, frames_per_shard=4), "--frames-per-shard is 3 there, 4 now"),
        (lambda m: replace(m, shards=m.shards[:-1]), "4 shards there, 3 now"),
    ],
)
def test_only_like_joins_like(run, change, said):
    manifest = manifest_of(run)
    share_manifest(run.files.manifest, manifest)
    share_manifest(run.files.manifest, manifest)
    assert read_manifest(run.files.manifest) == manifest
    with pytest.raises(UsageError, match=said):
        share_manifest(run.files.manifest, change(manifest))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 7}', '{"format": 1, "made_of": {}}'])
def test_a_broken_manifest_is_said(run, content):
    run.files.manifest.write_text(content)
    with pytest.raises(UsageError, match=r"manifest\.json is broken"):
        read_manifest(run.files.manifest)


def test_two_writers_of_one_shard_end_with_the_same_rows(files):
    """One is in the middle while the other one finishes; both finish."""
    whole = list(map(record, FRAMES[:3]))

    def slowly():
        yield whole[0]
        files.write(NAMES[0], whole)
        yield from whole[1:]

    files.write(NAMES[0], slowly())
    assert len(list(files.lines(NAMES[0]))) == 3
    assert len(os.listdir(files.folder)) == 2


def test_a_full_disk_names_the_file(run, files, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards, "to_disk", full)
    with pytest.raises(OSError, match="No space left") as of_shard:
        files.write(NAMES[0], [record(FRAMES[0])])
    assert of_shard.value.filename == str(files.rows(NAMES[0]))
    monkeypatch.setattr(frame_lines, "to_disk", full)
    with pytest.raises(OSError, match="No space left") as of_journal:
        run.journal.take_over([])
    assert of_journal.value.filename == str(run.files.journal)


def test_a_merge_that_was_killed_while_it_removed_shards_goes_on(run, files):
    write_all(files)
    merge_shards(run, manifest_of(run))
    whole = run.files.journal.read_bytes()
    for path in (files.marker(NAMES[0]), files.rows(NAMES[1])):
        path.unlink()
    again = open_run(run.files.folder)
    assert merge_shards(again, manifest_of(again), frame_ids=FRAMES) == 0
    assert run.files.journal.read_bytes() == whole
    run.files.journal.write_bytes(b"".join(whole.splitlines(keepends=True)[1:]))
    fewer = open_run(run.files.folder)
    with pytest.raises(UsageError, match=f"1 of 4 shards are missing .{NAMES[0]}"):
        merge_shards(fewer, manifest_of(fewer), frame_ids=FRAMES)
