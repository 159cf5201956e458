"""What a command prints: lines for people, or with `--json` one object; nothing with `--quiet`."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from selfpose6d.options import QUIET_VARIABLE

_RESULT: dict[str, Any] = {}


def add_result(**fields: Any) -> None:
    """Say what came of the command, for `--json`: plain values, paths and numbers."""
    _RESULT.update(fields)


@contextlib.contextmanager
def printed(as_json: bool, quiet: bool) -> Iterator[io.StringIO | None]:
    """What is printed on standard output goes to the yielded text, to nobody, or where it always goes (None)."""
    _RESULT.clear()
    if not (as_json or quiet):
        yield None
        return
    text = io.StringIO()
    before = os.environ.get(QUIET_VARIABLE)
    os.environ[QUIET_VARIABLE] = "1"
    try:
        with contextlib.redirect_stdout(text):
            yield text
    finally:
        if before is None:
            del os.environ[QUIET_VARIABLE]
        else:
            os.environ[QUIET_VARIABLE] = before


def write_json_result(command: str, exit_code: int, error: str, text: str) -> None:
    """Print the one object: `command`, `exit_code`, `error` (null without one), what the command said of its result,
    and its lines for people under `text`.
    """
    result = {"command": command, "exit_code": exit_code, "error": error or None, **_RESULT}
    result["text"] = text.splitlines()
    json.dump(_plain(result), sys.stdout, allow_nan=False)
    print()


def _plain(value: Any) -> Any:
    """JSON's own types: paths as text, tuples as lists, no NaN."""
    from selfpose6d.runs.json_lines import without_nan

    return without_nan(json.loads(json.dumps(value, default=str)))
