"""Files that are read once for several questions: the last ones stay in memory."""

from collections import OrderedDict
from collections.abc import Callable, Sized
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

Content = TypeVar("Content", bound=Sized)


class FileCache(Generic[Content]):
    """What `read` made of files, the least recently used dropped first; always the last one stays.

    `max_items` limits the summed lengths of what stays. Safe among threads; other processes get an empty one.
    """

    def __init__(self, read: Callable[[Path], Content], max_items: int = 0) -> None:
        self._read, self._max_items = read, max_items
        self._contents: OrderedDict[Path, Content] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path) -> Content:
        """What is in the file at `path`; raises what `read` does."""
        with self._lock:
            if path not in self._contents:
                self._contents[path] = self._read(path)
                while len(self._contents) > 1 and sum(map(len, self._contents.values())) > self._max_items:
                    self._contents.popitem(last=False)
            self._contents.move_to_end(path)
            return self._contents[path]

    def __reduce__(self) -> tuple[Any, ...]:
        return FileCache, (self._read, self._max_items)
