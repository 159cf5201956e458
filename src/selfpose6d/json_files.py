"""JSON from files: one rule for encodings, depth and what is no text, whoever reads."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from selfpose6d.files import read_whole

GZIP = b"\x1f\x8b"
"""What a gzip file begins with."""
Value = TypeVar("Value")
Pairs = Callable[[list[tuple[str, Any]]], Any]


def read_json(path: Path, pairs: Pairs | None = None) -> Any:
    """The content of a JSON file: UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    `pairs` makes what stands for an object of its names and values, as in `json.load`.

    Raises:
        OSError: there is no such file, or it is no file.
        ValueError: it is broken, empty, compressed, too deep, an object has a name twice, or text in it is no text.
    """
    content = read_whole(path)
    if content.startswith(GZIP):
        raise ValueError("it is compressed (gzip); it is read unpacked only")
    if not content.strip():
        raise ValueError("it is empty")

    def named_once(names_and_values: list[tuple[str, Any]]) -> Any:
        named = once(names_and_values)
        return named if pairs is None else pairs(names_and_values)

    return parse_json(content, named_once)


def once(names_and_values: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's values by name. Of two with one name others take the last or the first, and the rest is lost.

    Raises:
        ValueError: a name stands twice.
    """
    named = dict(names_and_values)
    if len(named) < len(names_and_values):
        names = [name for name, _ in names_and_values]
        twice = next(name for name in named if names.count(name) > 1)
        raise ValueError(f"the name {twice[:40]!r} stands twice in one object")
    return named


def parse_json(content: bytes | str, pairs: Pairs | None = None) -> Any:
    """The value of a JSON text. Raises ValueError, as `read_json` does."""
    try:
        value = json.loads(content, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("too many lists within lists") from None
    mark = b"\\ud" if isinstance(content, bytes) else "\\ud"
    if mark in content.lower():  # pyright: ignore[reportOperatorIssue]
        # half a character cannot be printed or written
        json.dumps(value, ensure_ascii=False, default=str).encode()
    return value


def by_number(named: Mapping[str, Value]) -> dict[int, Value]:
    """The values of an object whose names are ids, however they are written.

    Raises:
        ValueError: a name is no whole number, or two are the same one (`1` and `000001`).
    """
    numbered = {whole_number(name): value for name, value in named.items()}
    if len(numbered) < len(named):
        numbers = Counter(map(whole_number, named))
        raise ValueError(f"{numbers.most_common(1)[0][0]} stands twice, in two ways of writing")
    return numbered


def whole_number(value: object) -> int:
    """An id or a count as files have it: a number, also one written as text or with a fraction of 0.

    Raises:
        ValueError: it is something else, or beyond 32 bits.
    """
    number = value
    with suppress(ValueError):
        number = float(value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"expected a whole number, got {str(value)[:40]!r}")
    if abs(number) >= 1 << 31:
        raise ValueError(f"{str(value)[:40]} is too large a number")
    return number
