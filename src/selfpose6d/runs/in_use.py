"""One process at a time works in a folder: a second one is told who does, and takes over from one that is gone.

The lock itself is the system's, which ends with its process. Beside it stands who holds it, for the message and for
machines whose locks do not see each other.
"""

import json
import os
import platform
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from selfpose6d.errors import UsageError
from selfpose6d.files import is_running, remove_stale, write_whole
from selfpose6d.json_files import read_json

LOCK_NAME = ".lock"
"""In a folder that is worked in."""
LOCK_NAMES = (LOCK_NAME, f"{LOCK_NAME}.json")
"""What of it lies in the folder: the lock, and who holds it."""
SIGN_EVERY_S = 30.0
"""How often an owner touches its file, for other machines to see."""
GONE_AFTER_S = 300.0
"""Without a sign for as long as this, an owner on another machine is gone."""
_UNREADABLE = "of an unknown process"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_held: set[Path] = set()


@dataclass(frozen=True)
class Owner:
    """The process that works in a folder."""

    command: str
    pid: int
    host: str
    boot_id: str
    """Of the running system, which a restart changes; "" where it has none."""
    process_start: str
    """When the process began, as the system counts: tells it from a later one of the same number."""
    since: str
    """ISO 8601."""

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid} on {self.host}, since {self.since})"

    @property
    def is_of_this_system(self) -> bool:
        """Whether it ran on this machine since its last start."""
        return (self.boot_id, self.boot_id or self.host) == (_boot_id(), _boot_id() or platform.node())

    @property
    def is_running(self) -> bool:
        """Whether that very process, of this system, is there."""
        return is_running(self.pid) and self.process_start in ("", _process_start(self.pid))


@contextmanager
def working_in(folder: Path, option: str = "--out", what: str = "run folder") -> Iterator[None]:
    """Make the folder, if it is not there, and keep other processes from working in it until the block ends.

    What killed processes have left aside in it is removed. A folder that is still empty at the end goes again.

    Raises:
        UsageError: it is a file, or another process works in it, which is named.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{option} {folder} is a file, expected a folder. Choose another {option}.")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with claimed(folder / LOCK_NAME, f"{what} {folder}", option):
            for path, _, _ in os.walk(folder):
                remove_stale(Path(path))
            yield
    finally:
        if is_new:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def claimed(lock: Path, what: str, option: str = "--out") -> Iterator[None]:
    """Hold a lock file until the block ends; within one process it may be held several times.

    Raises:
        UsageError: another process holds it, which is named.
    """
    path = lock.resolve()
    if path in _held:
        yield
        return
    guard = FileLock(path)
    owner_file = owner_file_of(path)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        owner = _wait_for_owner(owner_file) or _UNREADABLE
        raise UsageError(f"{what} is in use by {owner}; wait, or use another {option}.") from None
    _held.add(path)
    written: Owner | None = None
    try:
        _take_over(owner_file, what, option)
        written = _this_process()
        write_whole(owner_file, json.dumps(asdict(written)).encode())
        with _signs_of_life(owner_file):
            yield
    finally:
        _held.discard(path)
        with suppress(OSError):
            # ids of processes repeat on other machines and in containers
            if written is not None and _read_owner(owner_file) == written:
                owner_file.unlink()
                path.unlink()  # who waits sees that it is gone; Windows keeps an open file
        guard.release()


def lock_beside(path: Path) -> Path:
    """The lock of a file, or of a folder that must not be there or hold anything else; makes the folder around it."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}{LOCK_NAME}")


def owner_file_of(lock: Path) -> Path:
    """Where it stands who holds a lock."""
    return lock.with_name(f"{lock.name}.json")


def owner_of(folder: Path) -> Owner | None:
    """Who works in a folder just now; None: nobody, or this process."""
    path = folder / LOCK_NAME
    owner_file = owner_file_of(path)
    if path.resolve() in _held or (owner := _read_owner(owner_file)) is None:
        return None
    is_there = owner.is_running if owner.is_of_this_system else _is_fresh(owner_file)
    return owner if is_there else None


def warn_if_in_use(folder: Path) -> None:
    """Say of a run that is about to be read that another process still works in it."""
    if (owner := owner_of(folder)) is not None:
        warnings.warn(
            f"run folder {folder} is in use by {owner}: what it holds now is read, not what will be there in the end",
            stacklevel=2,
        )


def _take_over(owner_file: Path, what: str, option: str) -> None:
    """What to do with an owner's file although its lock was free: it was killed, or its locks are not seen from here.

    Raises:
        UsageError: it is on another machine and gave a sign of life not long ago.
    """
    if (owner := _read_owner(owner_file)) is None:
        return
    on_another_machine = not owner.is_of_this_system and owner.host != platform.node()
    if on_another_machine and _is_fresh(owner_file):
        raise UsageError(
            f"{what} is in use by {owner}; wait, or use another {option}. It is taken over {GONE_AFTER_S / 60:.0f} "
            "minutes after that process's last sign of life."
        )
    warnings.warn(f"{what} is taken over from {owner}, which is gone", stacklevel=2)


@contextmanager
def _signs_of_life(owner_file: Path) -> Iterator[None]:
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(SIGN_EVERY_S):
            with suppress(OSError):
                os.utime(owner_file)

    thread = threading.Thread(target=touch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _is_fresh(owner_file: Path) -> bool:
    """Whether the owner gave a sign not long ago, by the clock of the file system, which all machines share."""
    probe = owner_file.with_name(f"{owner_file.name}.{os.getpid()}.probe")
    try:
        probe.touch()
        return probe.stat().st_mtime - owner_file.stat().st_mtime < GONE_AFTER_S
    except OSError:
        return True
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _wait_for_owner(owner_file: Path, attempts: int = 20) -> Owner | None:
    """Who holds a lock that was just taken has perhaps not written yet who it is."""
    for _ in range(attempts):
        if (owner := _read_owner(owner_file)) is not None:
            return owner
        time.sleep(0.05)
    return None


def _read_owner(owner_file: Path) -> Owner | None:
    try:
        return Owner(**read_json(owner_file))
    except (OSError, ValueError, TypeError):
        return None


def _this_process() -> Owner:
    since = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    return Owner(_command(), os.getpid(), platform.node(), _boot_id(), _process_start(os.getpid()), since)


def _command() -> str:
    """The command at work, without its arguments: they may be long, and its folder is named anyway."""
    name = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].isalpha() else ""
    return f"selfpose6d {name}".strip()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _process_start(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
