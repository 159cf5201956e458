"""Files that are read once for several questions: the last ones stay in memory."""

from collections import OrderedDict
from collections.abc import Callable, Sized
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

Content = TypeVar("Content", bound=Sized)

MAX_FILES = 4
"""Each of one frame: twice the threads that decode frames (`CacheOptions.workers`), so that none evicts another's."""


class FileCache(Generic[Content]):
    """What `read` made of files, the least recently used dropped first; always the last one stays.

    `max_items` limits the summed lengths of what stays, None: the last `MAX_FILES` files stay. Safe among threads:
    they read different files at once, and each file once; other processes get an empty cache.
    """

    def __init__(self, read: Callable[[Path], Content], max_items: int | None = None) -> None:
        self._read, self._max_items = read, max_items
        self._contents: OrderedDict[Path, Content] = OrderedDict()
        self._lock = Lock()
        self._reading: WeakValueDictionary[Path, Any] = WeakValueDictionary()

    def get(self, path: Path) -> Content:
        """What is in the file at `path`; raises what `read` does."""
        with self._lock:
            reading = self._reading.setdefault(path, Lock())
        with reading:
            with self._lock:
                if path in self._contents:
                    self._contents.move_to_end(path)
                    return self._contents[path]
            content = self._read(path)
            with self._lock:
                self._contents[path] = content
                while len(self._contents) > 1 and self._exceeds():
                    self._contents.popitem(last=False)
            return content

    def _exceeds(self) -> bool:
        if self._max_items is None:
            return len(self._contents) > MAX_FILES
        return sum(map(len, self._contents.values())) > self._max_items

    def __reduce__(self) -> tuple[Any, ...]:
        return FileCache, (self._read, self._max_items)
