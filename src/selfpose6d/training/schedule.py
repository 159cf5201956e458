"""How many steps a training takes, and the learning rate of each of them."""

import math
import time
from dataclasses import dataclass

from selfpose6d.errors import UsageError

_NOT_MEASURED = 5
_MEASURED = 20


@dataclass(frozen=True)
class Limit:
    """When to stop, as the user said it: after a number of steps, or of minutes (turned into steps once)."""

    max_steps: int | None = None
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.max_steps is None) == (self.max_minutes is None):
            raise UsageError("say how long to train: pass either --max-steps N or --max-minutes N.")
        if (self.max_steps is not None and self.max_steps < 1) or (
            self.max_minutes is not None and not self.max_minutes > 0
        ):
            raise UsageError("--max-steps must be at least 1, --max-minutes more than 0.")


def learning_rate(step: int, total: int | None, highest: float, warm_up_steps: int) -> float:
    """Rate of step `step` (from 0): a linear rise, then a cosine to 0 at `total`.

    While the total is not known yet only the rise is there; it must be longer than it takes to find out.
    """
    if total is None:
        return highest * min(1.0, (step + 1) / warm_up_steps)
    rise = max(1, min(warm_up_steps, total // 10))
    if step < rise:
        return highest * (step + 1) / rise
    return highest * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


class SpeedMeter:
    """Turns minutes into steps: times some steps after the first few, then fixes the number."""

    def __init__(self, max_minutes: float, reserved_s: float = 0.0) -> None:
        """`reserved_s` is left for what is not a step: validation and saving."""
        self._seconds = max(60.0 * max_minutes - reserved_s, 6.0 * max_minutes)
        self._times_s: list[float] = []
        self._start_s = self._last_s = time.perf_counter()

    def note_step(self) -> int | None:
        """Call after every step; returns the total number of steps once it is known."""
        now_s = time.perf_counter()
        self._times_s.append(now_s - self._last_s)
        self._last_s = now_s
        measured = sorted(self._times_s[_NOT_MEASURED:])
        if len(measured) < _MEASURED and now_s - self._start_s < 0.2 * self._seconds:
            return None
        typical_s = (measured or self._times_s)[len(measured) // 2]
        left_s = self._seconds - (now_s - self._start_s)
        return len(self._times_s) + max(0, round(left_s / typical_s))
