"""Files that appear whole or not at all, made by one process at a time: a kill, a full disk or a power cut leaves what
was there.
"""

import errno
import glob
import hashlib
import io
import os
import platform
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

SAYS_IT_WAITS_S = 5.0
"""Of waiting for another process until a line says so."""
_ASIDE = ".part"
"""Ending of what is written aside."""


def user_cache() -> Path:
    """Folder of what is slow to compute: in the user's cache directory; without a home, in the temporary folder."""
    try:
        folder = user_cache_path("selfpose6d")
    except RuntimeError:  # how platformdirs says that there is no home
        folder = Path("~")
    if folder.is_absolute():
        return folder
    return Path(tempfile.gettempdir()) / f"selfpose6d-{os.getuid()}"


def read_whole(path: Path) -> bytes:
    """The content of a file, never of a pipe or a device, which may have no end.

    Raises:
        OSError: there is none, it is something else, or it cannot be read.
    """
    with open_file(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, a byte order mark left out.

    Raises:
        OSError: as `read_whole` does.
        UnicodeDecodeError: it is no UTF-8.
    """
    return read_whole(path).decode("utf-8-sig").replace("\r\n", "\n")


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that only grows; what a kill left of the last one is cut off.

    Raises:
        OSError: as `read_whole` does.
    """
    content = read_whole(path)
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(path, end)
    return content[:end].splitlines()


def open_text(path: Path) -> io.TextIOWrapper:
    """Open a text file in UTF-8 to read, a byte order mark left out, line ends as they are.

    Raises:
        OSError: as `open_file` does.
    """
    return io.TextIOWrapper(open_file(path), encoding="utf-8-sig", newline="")


def open_file(path: Path) -> io.BufferedReader:
    """Open a file to read, never a pipe or a device: opening one may wait forever.

    Raises:
        OSError: there is none, it is something else, or it cannot be read.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - whoever asked closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a file but a pipe or a device", str(path))
    return file


def require_files(path: Path) -> None:
    """Refuse a pipe or a device, also one within a folder, before a library opens it by name and waits for ever.

    Raises:
        OSError: as `open_file` does.
    """
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not each.is_dir():
            open_file(each).close()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_plain_name(name: object) -> bool:
    """Whether this names a file or folder within a folder: no path, so that it leads nowhere else."""
    return (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and len(os.fsencode(name)) < 256
        and not set(name) & set("/\\\0")
    )


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file to write that replaces `path` when the block ends well; else `path` stays as it is."""
    with _aside(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file
        to_disk(file)


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, on disk when this returns; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _aside(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        to_disk(file)


def copy_whole(source: Path, path: Path) -> None:
    """Replace `path` by a copy of `source`."""
    with _aside(path) as temporary:
        shutil.copyfile(source, temporary)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Other processes that want to make the same file or folder wait until this one has; a killed one keeps none
    waiting, and what it wrote aside is removed.

    On a file system without locks none waits: what is made appears whole in any case, only perhaps twice.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_of(folder))
    with suppress(NotImplementedError):
        _acquire(lock, folder)
    try:
        remove_stale(folder.parent, folder.name)
        yield
    finally:
        if lock.is_locked:
            # who waits sees that it is gone and locks a new one; Windows keeps an open file
            with suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()


def is_being_made(folder: Path) -> bool:
    """Whether another process is making a file or folder, one at a time."""
    path = _lock_of(folder)
    if not path.is_file():
        return False
    lock = FileLock(path)
    try:
        with lock.acquire(timeout=0):
            return False
    except (Timeout, OSError, NotImplementedError):
        return True


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system that do not say which file they are about name this one, as that of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def aside_of(path: Path) -> Path:
    """Where this process writes what shall become `path`; names it, so that what a killed one left is known."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}{_ASIDE}")


def remove_stale(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes of this machine have left aside in a folder: of this name, or all of it."""
    for path in folder.glob(f".{'*' if name is None else glob.escape(name)}.{_host()}-*{_ASIDE}"):
        number = path.name.removesuffix(_ASIDE).rpartition("-")[2]
        if number.isdigit() and not is_running(int(number)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Whether there is such a process on this machine; True where the system does not say it (Windows)."""
    if os.name == "nt":  # there, the call below would stop it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def to_disk(file: IO[Any]) -> None:
    """Have what was written to an open file on disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the folder's names on disk; nothing where the system has no such thing."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    temporary = aside_of(path)
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):  # a disk that is gone: the error that says so is under way
            temporary.unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=SAYS_IT_WAITS_S)
    except Timeout:
        warnings.warn(f"waiting for another process that makes {folder}", stacklevel=2)
        lock.acquire()


def _host() -> str:
    """This machine's name, as it can stand in a file's name."""
    return "".join(letter if letter.isalnum() else "_" for letter in platform.node()) or "unknown"


def content_hash(path: Path) -> str:
    """What tells a file's content from others', for a run's configuration."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
