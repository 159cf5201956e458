"""Files appear whole, whoever else writes them; what the killed left goes; errors of the system name their file."""

import errno
import os
import pwd
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from selfpose6d.cli import main as command_line
from selfpose6d.files import (
    aside_of,
    copy_whole,
    is_being_made,
    is_running,
    naming,
    one_at_a_time,
    remove_stale,
    replacing,
    user_cache,
    write_whole,
)

WRITER = """
import sys
from pathlib import Path
from selfpose6d.files import write_whole
for k in range(60):
    write_whole(Path(sys.argv[1]), sys.argv[2].encode() * 20_000)
"""


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_processes_that_write_one_file_leave_one_of_their_contents(tmp_path):
    path = tmp_path / "file"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.is_file():
            content = path.read_bytes()
            assert len(content) == 20_000
            assert len(set(content)) == 1
            seen.add(content[:1])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {b"a", b"b"}
    assert left_in(tmp_path) == ["file"]


def test_a_failure_midway_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), replacing(path) as file:
        file.write("half, then what no file can hold: \ud800")
    assert path.read_text() == "before"
    with pytest.raises(FileNotFoundError):
        copy_whole(tmp_path / "missing", path)
    assert path.read_text() == "before"
    assert left_in(tmp_path) == ["file"]


def test_what_the_killed_left_aside_goes_and_what_is_being_written_stays(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not is_running(gone.pid)
    own, parent = aside_of(tmp_path / "a"), f".a.elsewhere-{gone.pid}.part"
    names = [own.name, own.name.replace(f"-{os.getpid()}.", f"-{gone.pid}."), parent, "a.part", ".a.part"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / names[1].replace(".a.", ".folder.")).mkdir()
    remove_stale(tmp_path, "other")
    assert len(left_in(tmp_path)) == 6
    remove_stale(tmp_path)
    assert left_in(tmp_path) == sorted([own.name, parent, "a.part", ".a.part"])


def test_a_system_error_without_a_file_names_the_one_that_was_written(tmp_path):
    with pytest.raises(OSError, match="No space") as full, naming(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.filename == str(tmp_path / "file")
    with pytest.raises(FileNotFoundError) as missing, naming(tmp_path / "file"):
        (tmp_path / "missing").read_bytes()
    assert missing.value.filename == str(tmp_path / "missing")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Check the path"),
        (OSError(errno.ENOSPC, "No space", "from", None, "to"), "No space: to. Check the path"),
        (PermissionError(errno.EACCES, "Permission denied", "file"), "Permission denied: file. Check"),
    ],
)
def test_a_system_error_is_one_line_and_exit_code_2(error, said, monkeypatch, capsys, tmp_path):
    class Failing:
        def run(self) -> int:
            raise error

    monkeypatch.setattr(command_line, "parse", lambda *_: Failing())
    assert command_line.main(["train", str(tmp_path), "--out", "run", "--max-steps", "1"]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {said}")
    assert line.endswith("then the same command with --resume continues where it stopped.\n")
    assert line.count("\n") == 1


def test_files_are_whole_where_signals_interrupt_every_call(tmp_path):
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for k in range(60):
            write_whole(tmp_path / "file", bytes([k]) * 50_000)
            assert (tmp_path / "file").read_bytes() == bytes([k]) * 50_000
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert heard
    assert left_in(tmp_path) == ["file"]


def test_of_several_that_make_the_same_one_makes_it(tmp_path):
    made = []

    def make(_: int) -> None:
        with one_at_a_time(tmp_path / "folder"):
            if not (tmp_path / "folder").is_dir():
                assert is_being_made(tmp_path / "folder")
                made.append(1)
                (tmp_path / "folder").mkdir()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(20)))
    assert made == [1]
    assert not is_being_made(tmp_path / "folder")


def test_without_a_home_the_cache_is_in_the_temporary_folder(monkeypatch, tmp_path):
    def nobody(_: int):
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert user_cache() == tmp_path / f"selfpose6d-{os.getuid()}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache() == tmp_path / "cache" / "selfpose6d"
