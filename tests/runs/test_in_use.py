"""Two at once: the second is told who works in the folder; what a killed process held is taken over."""

import json
import os
import platform
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest

from selfpose6d.errors import UsageError
from selfpose6d.files import aside_of
from selfpose6d.runs import in_use
from selfpose6d.runs.in_use import claimed, lock_beside, owner_file_of, owner_of, warn_if_in_use, working_in

HOLDER = """
import sys
from pathlib import Path
from selfpose6d.runs.in_use import working_in
sys.argv[1:] = ["annotate", *sys.argv[1:]]
with working_in(Path(sys.argv[2])):
    print("holds", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder):
    """Another process that works in the folder until the block ends."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
    finally:
        process.communicate()


def take_over(folder) -> None:
    with working_in(folder):
        assert json.loads((folder / ".lock.json").read_text())["pid"] == os.getpid()


def left_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_second_is_refused_and_told_who_works_there(tmp_path):
    run = tmp_path / "run"
    with holder(run) as process:
        who = rf"\(process {process.pid} on {platform.node()}, since 2"
        told = rf"run folder .*/run is in use by `selfpose6d annotate` {who}"
        with pytest.raises(UsageError, match=told), working_in(run):
            pytest.fail("two work in the folder")
        with pytest.warns(
            UserWarning, match=f"is in use by .*process {process.pid} .*what it holds now is read"
        ):
            warn_if_in_use(run)
    with working_in(run):
        assert owner_of(run) is None
        assert left_in(run) == [".lock", ".lock.json"]


def test_a_killed_one_is_taken_over_and_what_it_left_aside_is_removed(tmp_path):
    run = tmp_path / "run"
    with holder(run) as process:
        (run / "overlays").mkdir()
        for path in (run / "config.yaml", run / "overlays" / "a.png"):
            name = aside_of(path).name.replace(f"-{os.getpid()}.", f"-{process.pid}.")
            (path.parent / name).write_text("half")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert owner_of(run) is None
        own = aside_of(run / "being written")
        own.touch()
        with pytest.warns(UserWarning, match=f"taken over from .*process {process.pid} on"):
            take_over(run)
        assert left_in(run) == sorted([own.name, "overlays"])
        assert left_in(run / "overlays") == []


def test_a_folder_that_stays_empty_goes_again(tmp_path):
    with pytest.raises(UsageError, match="wrong"), working_in(tmp_path / "run"):
        raise UsageError("wrong")
    assert left_in(tmp_path) == []
    with working_in(tmp_path / "run"):
        (tmp_path / "run" / "result").touch()
    assert left_in(tmp_path / "run") == ["result"]


def test_one_process_may_hold_a_folder_twice(tmp_path):
    with working_in(tmp_path / "run"):
        with working_in(tmp_path / "run"):
            pass
        assert left_in(tmp_path / "run") == [".lock", ".lock.json"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(UsageError, match="is a file"), working_in(tmp_path / "run"):
        pass


@pytest.fixture
def elsewhere(tmp_path):
    """A folder that an owner on another machine has left, whose locks are not seen from here."""
    owner = replace(in_use._this_process(), host="another", boot_id="other", pid=7)
    folder = tmp_path / "run"
    folder.mkdir()
    owner_file_of(folder / ".lock").write_text(json.dumps(asdict(owner)))
    return folder


def test_of_another_machine_a_sign_of_life_counts(elsewhere):
    told = "process 7 on another.*taken over 5 minutes after"
    with pytest.raises(UsageError, match=told), working_in(elsewhere):
        pass
    assert str(owner_of(elsewhere)).startswith("`selfpose6d")
    an_hour_ago = (elsewhere / ".lock.json").stat().st_mtime - 3600
    os.utime(elsewhere / ".lock.json", (an_hour_ago, an_hour_ago))
    assert owner_of(elsewhere) is None
    with pytest.warns(UserWarning, match="taken over from .*process 7 on another"):
        take_over(elsewhere)


def test_a_sign_is_given_while_the_folder_is_worked_in(tmp_path, monkeypatch):
    monkeypatch.setattr(in_use, "SIGN_EVERY_S", 0.01)
    with working_in(tmp_path / "run"):
        path = tmp_path / "run" / ".lock.json"
        os.utime(path, (0, 0))
        for _ in range(500):
            if path.stat().st_mtime > 0:
                break
            in_use.time.sleep(0.01)
        assert path.stat().st_mtime > 0


@pytest.mark.parametrize("change", [{"boot_id": "before"}, {"process_start": "1"}])
def test_after_a_restart_and_for_a_number_given_anew_the_owner_is_gone(tmp_path, change):
    folder = tmp_path / "run"
    folder.mkdir()
    owner = replace(in_use._this_process(), **change)
    owner_file_of(folder / ".lock").write_text(json.dumps(asdict(owner)))
    with pytest.warns(UserWarning, match="taken over"):
        take_over(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff"])
def test_a_broken_note_of_an_owner_keeps_nobody_out(tmp_path, content):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock.json").write_bytes(content)
    take_over(folder)
    assert left_in(folder) == []


def test_a_lock_beside_what_must_not_be_there_yet(tmp_path):
    with claimed(lock_beside(tmp_path / "new" / "out"), "folder"):
        assert left_in(tmp_path / "new") == [".out.lock", ".out.lock.json"]
    assert left_in(tmp_path / "new") == []


def test_who_is_refused_leaves_the_owners_note(tmp_path):
    """The owner is on another machine, in a container where it has this process's id."""
    lock = tmp_path / ".lock"
    owner = replace(in_use._this_process(), host="elsewhere", boot_id="another")
    owner_file_of(lock).write_text(json.dumps(asdict(owner)))
    lock.touch()
    for _ in range(2):
        with pytest.raises(UsageError, match="on elsewhere"), claimed(lock, "run folder"):
            pytest.fail("two work in the folder")
        assert left_in(tmp_path) == [".lock", ".lock.json"]


def test_the_note_of_who_took_over_stays(tmp_path):
    lock = tmp_path / ".lock"
    with claimed(lock, "run folder"):
        later = replace(in_use._this_process(), host="elsewhere", boot_id="another")
        owner_file_of(lock).write_text(json.dumps(asdict(later)))
    assert json.loads(owner_file_of(lock).read_text())["host"] == "elsewhere"
