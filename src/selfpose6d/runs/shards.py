"""Parts of a run that are worked on apart, each by whoever gets it: frames of one scene, written whole or not at all.

A shard may be worked on twice, even at the same time: whoever is last replaces the same rows by the same rows.
"""

import hashlib
import json
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.files import naming, sync_folder, to_disk, write_whole
from selfpose6d.json_files import read_json
from selfpose6d.runs.journal import JournalRecord
from selfpose6d.runs.json_lines import to_line
from selfpose6d.selection import FrameId, FrameIds


@dataclass(frozen=True)
class Shard:
    """Frames of one scene that lie side by side in the order of the run; `name` is `<scene>_<first>-<last>`."""

    name: str
    scene_id: int
    im_ids: Sequence[int]

    def frame_ids(self) -> Iterator[FrameId]:
        """Its frames, sorted."""
        return (FrameId(self.scene_id, im_id) for im_id in self.im_ids)

    def without(self, finished: Container[FrameId]) -> "Shard":
        """The same shard with only the frames that are not finished elsewhere; there may be none."""
        left = tuple(frame_id.im_id for frame_id in self.frame_ids() if frame_id not in finished)
        return self if len(left) == len(self.im_ids) else replace(self, im_ids=left)


def plan_shards(frame_ids: FrameIds, frames_per_shard: int) -> Iterator[Shard]:
    """The frames in shards of at most that many, sorted: the same ones whoever asks."""
    for scene_id, images in frame_ids.by_scene():
        for first in range(0, len(images), frames_per_shard):
            part = images[first : first + frames_per_shard]
            yield Shard(f"{scene_id:06d}_{part[0]:06d}-{part[-1]:06d}", scene_id, part)


@dataclass(frozen=True)
class ShardFiles:
    """The rows of shards, lines of a journal, in one folder; a marker beside each says that it is whole."""

    folder: Path

    def rows(self, name: str) -> Path:
        """The rows of a shard."""
        return self.folder / f"{name}.jsonl"

    def marker(self, name: str) -> Path:
        """Is there when the rows are."""
        return self.folder / f"{name}.done"

    def is_done(self, name: str) -> bool:
        """Whether its rows are there, however few they are."""
        return self.marker(name).is_file() and self.rows(name).is_file()

    def write(self, name: str, records: Iterable[JournalRecord]) -> int:
        """Write a shard as its records come; on disk when this returns. Gives the number of rows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rows, digest, count = self.rows(name), hashlib.sha256(), 0
        # ids of processes repeat on other machines
        aside = rows.with_name(f".{rows.name}.{uuid4().hex}.part")
        try:
            with naming(rows), aside.open("wb") as file:
                for record in records:
                    line = to_line(record.to_json()).encode()
                    file.write(line)
                    digest.update(line)
                    count += 1
                to_disk(file)
            os.replace(aside, rows)
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(self.folder)
        content = {"rows": count, "sha256": digest.hexdigest()}
        write_whole(self.marker(name), json.dumps(content).encode() + b"\n")
        return count

    def lines(self, name: str) -> Iterator[bytes]:
        """The rows as they are written, one in memory at a time.

        Raises:
            DataError: they are not those that the marker speaks of; nothing tells which ones are right.
        """
        path, digest = self.rows(name), hashlib.sha256()
        try:
            stated = read_json(self.marker(name))["sha256"]
            with path.open("rb") as file:
                for line in file:
                    digest.update(line)
            if digest.hexdigest() == stated:
                with path.open("rb") as file:
                    yield from file
                return
        except (FileNotFoundError, *MALFORMED):
            pass
        raise DataError(
            f"{path}: not the rows that {self.marker(name).name} speaks of. Remove {self.marker(name).name}, and run "
            "the command that wrote the shard again."
        )

    def remove_remains(self) -> None:
        """Remove what killed workers left half-written."""
        for path in self.folder.glob(".*.part"):
            path.unlink(missing_ok=True)
