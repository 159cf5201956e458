"""Files that appear whole or not at all, made by one process at a time: a kill or a full disk leaves what was there."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file to write that replaces `path` when the block ends well; else `path` stays as it is."""
    with _aside(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, on disk when this returns; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _aside(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Replace a JSON file, one entry of the outermost list or object a line."""
    if isinstance(content, dict):
        brackets, lines = "{}", [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    else:
        brackets, lines = "[]", [json.dumps(value) for value in content]
    with replacing(path) as file:
        file.write("\n".join([brackets[0], ",\n".join(lines), brackets[1], ""]))


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Other processes that want to make the same folder wait until this one has; a killed one keeps none waiting."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with FileLock(lock):
        try:
            yield
        finally:  # who waits sees that the file is gone and locks a new one; Windows keeps it while it is open
            with suppress(OSError):
                lock.unlink()


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def content_hash(path: Path) -> str:
    """What tells a file's content from others', for a run's configuration."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
