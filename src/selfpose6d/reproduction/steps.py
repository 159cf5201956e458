"""What is done already, and how long it took: `steps.json`, so that a stopped reproduction goes on."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfpose6d.errors import MALFORMED, DataError, UsageError
from selfpose6d.json_files import read_json
from selfpose6d.json_stream import write_json

Result = dict[str, Any]
REQUEST = "request"


class Steps:
    """Finished steps by name. One that was stopped half-way is begun again; the commands in it go on by themselves."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one.

        Raises:
            DataError: it is broken.
        """
        self._path = path
        self._started_s, self._earlier_s = time.monotonic(), 0.0
        try:
            self._done: dict[str, Result] = read_json(path) if path.is_file() else {}
            self._earlier_s = sum(step["wall_s"] for step in self._done.values())
        except (OSError, *MALFORMED) as error:
            raise DataError(f"{path} is broken ({error}). Remove it, or choose another --out.") from None

    def __contains__(self, name: str) -> bool:
        return name in self._done

    @property
    def used_s(self) -> float:
        """Seconds of work so far: finished steps of earlier calls, and all of this one."""
        return self._earlier_s + time.monotonic() - self._started_s

    def once(self, name: str, make: Callable[[], Result | None]) -> Result:
        """The result of a step (as JSON gives it back), which is made if it is not there yet."""
        if name not in self._done:
            start_s = time.monotonic()
            result = json.loads(json.dumps(make() or {}))
            self._done[name] = {"result": result, "wall_s": round(time.monotonic() - start_s, 3)}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, self._done)
        return self._done[name]["result"]

    def wall_s(self, name: str) -> float | None:
        """Seconds that a finished step took (its last call), None where it was not made here."""
        return self._done[name]["wall_s"] if name in self._done else None

    def require_same(self, request: Result) -> None:
        """Keep what was asked for; a folder is gone on with by the same request only.

        Raises:
            UsageError: it was made by another one; each difference is named.
        """
        there = self.once(REQUEST, lambda: request)
        now = json.loads(json.dumps(request))
        different = [
            f"--{key.replace('_', '-')} {there.get(key)!r} there, {now.get(key)!r} now"
            for key in now
            if there.get(key) != now.get(key)
        ]
        if different:
            raise UsageError(
                f"{self._path.parent} was made with other options: {'; '.join(different)}. "
                "Choose another --out, or use the same options to go on."
            )
