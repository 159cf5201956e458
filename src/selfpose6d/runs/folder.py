"""A run's folder: made once, continued by the same options only."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from selfpose6d.errors import UsageError
from selfpose6d.files import replacing
from selfpose6d.runs.config import RunConfig, differences, read_config, write_config
from selfpose6d.runs.detections import write_detections
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.in_use import working_in
from selfpose6d.runs.journal import Journal
from selfpose6d.runs.outputs import ResultFiles, write_outputs, write_steps


@dataclass(frozen=True)
class RunFolder:
    """An open run: its files and configuration."""

    files: RunFiles
    config: RunConfig

    @classmethod
    def open(cls, path: Path, config: RunConfig) -> "RunFolder":
        """Create the folder (`--out`), or continue one that was made in the same way.

        Raises:
            UsageError: the folder was made with other options; each is named, with its value there and now.
        """
        config = require_same_run(path, config)
        path.mkdir(parents=True, exist_ok=True)
        write_config(path, config)
        return cls(RunFiles(path), config)

    @classmethod
    @contextmanager
    def working(cls, path: Path, config: RunConfig) -> "Iterator[RunFolder]":
        """As `open`; until the block ends no other process works in the folder.

        Raises:
            UsageError: what `open` says, or another process works in it.
        """
        require_same_run(path, config)  # refused before anything is written
        with working_in(path):
            yield cls.open(path, config)

    @cached_property
    def journal(self) -> Journal:
        """The record of finished frames."""
        return Journal(self.files.journal)

    def write_results(self, which: ResultFiles, names: Mapping[int, str]) -> None:
        """Write all result files from the journal; `names` are the objects' by id."""
        self.finalise(which.certificates, names)
        if which.found:
            self.write_found(names)
        if which.steps:
            self.write_steps()

    def finalise(self, with_certificates: bool = True, names: Mapping[int, str] | None = None) -> None:
        """Write the result files from the journal, sorted by key; memory stays flat.

        `names` are the objects' by id, as `Dataset.object_names` has them.
        """
        write_outputs(self.files, self.journal, with_certificates, names)

    def write_found(self, names: Mapping[int, str] | None = None) -> None:
        """Write the masks of found objects, `detections.json`, and what was turned away beside them, with the objects'
        names by id.
        """
        write_detections(self.files, self.journal, names or {})

    def write_steps(self) -> None:
        """Write the poses after each step of refinement into `steps/`."""
        write_steps(self.files.steps, self.journal)

    def write_frame_names(self, names: Mapping[int, str]) -> None:
        """Keep which file is which `im_id`, for data sets whose names do not say it."""
        if names:
            with replacing(self.files.frame_names) as file:
                json.dump({str(im_id): name for im_id, name in names.items()}, file, indent=1)


def require_same_run(path: Path, config: RunConfig) -> RunConfig:
    """The configuration that a run of `config` in this folder has: an earlier one's stays. Nothing is written.

    Raises:
        UsageError: what `RunFolder.open` says.
    """
    files = RunFiles(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"--out {path} is a file, expected a folder. Choose another --out.")
    if files.config.is_file():
        there = read_config(path)
        if different := differences(there, config):
            raise UsageError(
                f"{path} was made with other options: {'; '.join(different)}. "
                "Choose another --out, or use the same options to continue."
            )
        return replace(there, context=config.context)
    if present := files.existing_outputs():
        raise UsageError(
            f"{path} holds {', '.join(present)} but no {files.config.name}: they would be overwritten. "
            "Choose another --out."
        )
    return config
