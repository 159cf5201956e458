"""JSON from files: one rule for encodings, depth and what is no text, whoever reads."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from selfpose6d.files import read_whole

Pairs = Callable[[list[tuple[str, Any]]], Any]


def read_json(path: Path, pairs: Pairs | None = None) -> Any:
    """The content of a JSON file: UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    `pairs` makes what stands for an object of its names and values, as in `json.load`.

    Raises:
        OSError: there is no such file, or it is no file.
        ValueError: it is broken, too deep, or text in it is no text.
    """
    return parse_json(read_whole(path), pairs)


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
