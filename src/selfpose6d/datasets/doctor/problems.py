"""What `validate` finds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


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
