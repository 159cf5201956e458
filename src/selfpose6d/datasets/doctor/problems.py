"""What `validate` finds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfpose6d.datasets.images import list_images


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, why, and what mends it. Only errors fail."""

    level: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        return f"{self.level}: {' '.join(self.message.split())}"


def error(path: Path | str, reason: str, remedy: str) -> Problem:
    """A fault that some command would stumble over."""
    return Problem("error", f"{path}: {reason}. {remedy}")


def warning(path: Path | str, reason: str, remedy: str) -> Problem:
    """Something that is probably not meant so."""
    return Problem("warning", f"{path}: {reason}. {remedy}")


def check_duplicates(folder: Path) -> Iterator[Problem]:
    """Images of one name, with different suffixes."""
    for stem in repeated(path.stem for path in list_images(folder)):
        yield error(folder, f"duplicate id: several images are named {stem}", "Keep one of them.")


def repeated(items: Iterable) -> list:
    """What is there more than once, sorted."""
    return sorted(item for item, count in Counter(items).items() if count > 1)


def shared_ids(named: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Each id that several names have, sorted, with these names."""
    names_of: defaultdict[int, list[str]] = defaultdict(list)
    for item_id, name in named:
        names_of[item_id].append(name)
    return ((i, ", ".join(sorted(names))) for i, names in sorted(names_of.items()) if len(names) > 1)
