"""Reasons counted by kind: those that differ in their numbers only are one, which says from where to where they go."""

import re
from collections.abc import Hashable, Iterable
from typing import TypeVar

_NUMBER = re.compile(r"(?<![\w.])(?<!object )-?\d+(?:\.\d+)?(?!\w)")
"""Parts of names and ids of objects are none."""
_PLACE = re.compile(r"^\S*[/\\]\S*$|\.\w{2,5}$|^detection \d+$|^(mask|image) of ")
"""How a reason names the file, row or image that it is about."""
Group = TypeVar("Group", bound=Hashable)


def count_reasons(reasons: Iterable[tuple[Group, str]]) -> list[tuple[Group, str, int]]:
    """Group, text and count of each kind of reason, most frequent first; reasons of two groups are never one.

    Of a number that is not the same in all of them the least and the greatest are said: `margin 0.01 to 0.03`.
    """
    alike: dict[tuple[Group, str], list[str]] = {}
    for group, reason in reasons:
        alike.setdefault((group, reason_kind(reason)), []).append(reason)
    counted = [(group, _in_one(texts), len(texts)) for (group, _), texts in alike.items()]
    return sorted(counted, key=lambda row: -row[2])


def reason_kind(reason: str) -> str:
    """What reasons that differ in their numbers only have in common; for comparing, not for reading."""
    return _NUMBER.sub("\0", reason)


def without_details(reason: str) -> str:
    """A reason without its details and the file that it begins with."""
    parts = reason.split(": ")
    said = [part for part in parts[:-1] if not _PLACE.search(part)] or parts[-1:]
    return said[0]


def _in_one(reasons: list[str]) -> str:
    """One text for reasons of one kind."""
    numbers = iter(zip(*map(_NUMBER.findall, reasons), strict=True))
    return _NUMBER.sub(lambda _: _range(next(numbers)), reasons[0])


def _range(numbers: tuple[str, ...]) -> str:
    low, high = min(numbers, key=float), max(numbers, key=float)
    return low if float(low) == float(high) else f"{low} to {high}"
