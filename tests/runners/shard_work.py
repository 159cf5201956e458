"""Work on frames that needs no data; one kind kills the process that does it, once."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from selfpose6d.errors import DataError
from selfpose6d.runners.runner import Work
from selfpose6d.runs.journal import JournalRecord
from selfpose6d.selection import FrameId


@dataclass(frozen=True)
class MakeWork:
    """Makes rows that follow from the frame alone."""

    kills_at: FrameId | None = None
    killed: Path | None = None
    """Is made before the process kills itself; None: it does so every time."""
    fails_at: FrameId | None = None
    seconds: float = 0.0

    def __call__(self) -> Work:
        return self._record

    def _record(self, frame_id: FrameId) -> JournalRecord:
        time.sleep(self.seconds)
        if frame_id == self.fails_at:
            raise DataError(f"{frame_id}: no such mesh. Restore it.")
        if frame_id == self.kills_at and not (self.killed and self.killed.exists()):
            if self.killed is not None:
                self.killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        row = {"scene_id": frame_id.scene_id, "im_id": frame_id.im_id, "obj_id": 1, "inst_id": 0}
        return JournalRecord(frame_id, ({"split": "test"} | row | {"confidence": 1 / (1 + frame_id.im_id)},))
