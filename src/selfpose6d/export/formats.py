"""The forms that labels are exported in. A new one is a file that writes it, and a line in `FORMATS`."""

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.export import bop, coco_dataset, foundationpose, webdataset
from selfpose6d.export.files import ImagePlacer
from selfpose6d.export.frames import ExportedFrame
from selfpose6d.export.models import write_bop_models, write_metre_models
from selfpose6d.selection import FrameId

FormatName = Literal["bop", "bop-webdataset", "coco", "foundationpose"]
Row = dict[str, Any]
Rows = Iterable[tuple[FrameId, Row]]


@dataclass(frozen=True)
class Target:
    """Where an export goes: the root, its split, and the objects' names by id."""

    root: Path
    split: str
    names: Mapping[int, str]

    @property
    def split_folder(self) -> Path:
        """The split's folder."""
        return self.root / self.split


@dataclass(frozen=True)
class Format:
    """How one form is written: frame by frame, then what all of them share."""

    write_frame: Callable[[Target, ExportedFrame, ImagePlacer], Row]
    """Writes a frame's files and returns what the closing files need of it, as JSON has it."""
    finish: Callable[[Target, Rows], None]
    """Writes the closing files; `rows` come sorted by frame."""
    write_models: Callable[[Dataset, Iterable[int], Path, Collection[int]], None] | None
    """Writes the meshes of these objects into `models/`, those that are there apart; None: it has none."""
    outputs: Callable[[Target], Sequence[Path]] = lambda target: (target.split_folder,)
    """What a split consists of, models and what it shares with other splits apart."""
    tidy: Callable[[Target], None] = lambda target: None
    """Removes what only an unfinished export needs."""


FORMATS: Mapping[FormatName, Format] = {
    "bop": Format(
        lambda target, frame, place: bop.write_frame(target.split_folder, frame, place),
        lambda target, rows: bop.write_scenes(target.root, target.split, rows, target.names),
        write_bop_models,
    ),
    "bop-webdataset": Format(
        lambda target, frame, place: webdataset.write_frame(target.split_folder, frame, place),
        lambda target, rows: webdataset.write_shards(target.split_folder, rows),
        write_bop_models,
        tidy=lambda target: shutil.rmtree(target.split_folder / webdataset.PARTS, ignore_errors=True),
    ),
    "coco": Format(
        lambda target, frame, place: coco_dataset.write_frame(target.root, target.split, frame, place),
        lambda target, rows: coco_dataset.write_annotations(target.root, target.split, rows, target.names),
        None,
        outputs=lambda target: coco_dataset.outputs(target.root, target.split),
    ),
    "foundationpose": Format(
        lambda target, frame, place: foundationpose.write_frame(
            target.split_folder, frame, place, target.names
        ),
        lambda target, rows: None,
        write_metre_models,
    ),
}
