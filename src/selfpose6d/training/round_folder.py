"""What a training in rounds leaves behind: where its parts lie, and what came of each round."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.files import replacing
from selfpose6d.json_files import read_json
from selfpose6d.json_stream import write_json
from selfpose6d.runs.certificates import pose_row
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import to_line
from selfpose6d.types import InstanceKey, LabeledPose

_HASHED = ("confidence", "R", "t_mm")


@dataclass(frozen=True)
class Round:
    """What came of one round: a row of `rounds.jsonl`. Paths are relative to the run, minutes those of the last call.

    The last three are None while the training is not finished.
    """

    round: int
    instances: int
    """Of the labels' run, skipped ones included."""
    certified: int
    certified_share: float
    newly_certified: int
    from_hypotheses: int
    """Of the newly certified, those whose pose is another one than the search alone led to."""
    annotate_min: float
    labels: str
    labels_hash: str
    proposals: str | None
    """The model whose hypotheses joined the search."""
    model: str
    train_min: float | None = None
    steps: int | None = None
    validation: float | None = None


@dataclass(frozen=True)
class RoundFolder:
    """Where the parts of a run of `count` rounds lie, and what is finished of them."""

    out: Path
    count: int

    @property
    def parts(self) -> RunFiles:
        """The folder of all parts but the last training, with the configuration of the whole."""
        return RunFiles(RunFiles(self.out).rounds_folder)

    def labels(self, index: int) -> Path:
        """The annotate run of a round."""
        return self.parts.folder / str(index) / "labels"

    def model(self, index: int) -> Path:
        """The training run of a round: the last one is the whole run's."""
        return self.out if index == self.count - 1 else self.parts.folder / str(index) / "model"

    def shown(self, path: Path) -> str:
        """A path as rows have it: relative where it lies in the run, else absolute."""
        return str(path.relative_to(self.out) if path.is_relative_to(self.out) else path.resolve())

    def read(self, index: int) -> Round | None:
        """What is known of a round, None before its labels are made.

        Raises:
            DataError: the file is broken.
        """
        path = self._note(index)
        try:
            return Round(**read_json(path)) if path.is_file() else None
        except (OSError, *MALFORMED) as error:
            raise DataError(f"{path} is broken ({error}). Remove it: its round is looked at again.") from None

    def write(self, row: Round) -> None:
        """Keep what is known of a round; whole or not at all."""
        self._note(row.round).parent.mkdir(parents=True, exist_ok=True)
        write_json(self._note(row.round), asdict(row))

    def write_table(self) -> None:
        """Write `rounds.jsonl`: a row for every round whose training is finished."""
        known = (self.read(index) for index in range(self.count))
        with replacing(RunFiles(self.out).rounds) as file:
            file.writelines(to_line(asdict(row)) for row in known if row and row.steps is not None)

    def _note(self, index: int) -> Path:
        return self.parts.folder / str(index) / "round.json"


def labels_hash(labels: Mapping[InstanceKey, LabeledPose]) -> str:
    """A hash of keys, poses and weights, which a training depends on; times are not part of it."""
    digest = hashlib.sha256()
    for key in sorted(labels):
        row = pose_row(labels[key])
        digest.update(json.dumps([key, *(row[name] for name in _HASHED)]).encode())
    return digest.hexdigest()[:16]
