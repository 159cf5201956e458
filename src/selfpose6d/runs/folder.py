"""A run's folder: `config.yaml` says how it was made, and other options may not continue it."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from selfpose6d.errors import UsageError
from selfpose6d.runs.journal import Journal
from selfpose6d.runs.json_lines import replacing
from selfpose6d.runs.outputs import OUTPUT_NAMES, write_annotations, write_outputs, write_steps
from selfpose6d.version import __version__

CONFIG_NAME = "config.yaml"
_PACKAGES = ("torch", "numpy", "scipy", "numba", "opencv-python-headless", "roma", "trimesh")


@dataclass(frozen=True)
class RunConfig:
    """What `config.yaml` says: enough to make the run again."""

    command: str
    split: str
    fingerprint: str
    options: Mapping[str, Any]
    context: Mapping[str, Any]
    """What does not change the results: where the data set was, the device."""
    version: str
    commit: str | None
    packages: Mapping[str, str]


@dataclass(frozen=True)
class RunFolder:
    """An open run: its path and configuration."""

    path: Path
    config: RunConfig

    @classmethod
    def open(
        cls,
        path: Path | str,
        command: str,
        options: Mapping[str, Any],
        fingerprint: str,
        split: str,
        context: Mapping[str, Any] | None = None,
    ) -> "RunFolder":
        """Create the folder, or continue one that was made in the same way.

        Args:
            path: the folder (`--out`).
            command: the command's name.
            options: every resolved option that changes results, by its name.
            fingerprint: `Dataset.fingerprint()`.
            split: the data set's split.
            context: what does not change results but is worth keeping (data set path, device).

        Raises:
            UsageError: the folder was made with other options; each is named, with its value there and now.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise UsageError(f"--out {path} is a file, expected a folder. Choose another --out.")
        wanted = RunConfig(
            command,
            split,
            fingerprint,
            _plain(options),
            _plain(context or {}),
            __version__,
            _commit(),
            _versions(),
        )
        if (path / CONFIG_NAME).is_file():
            wanted = _continued(read_config(path), wanted, path)
        else:
            _refuse_foreign_results(path)
        path.mkdir(parents=True, exist_ok=True)
        with replacing(path / CONFIG_NAME) as file:
            yaml.safe_dump(vars(wanted), file, sort_keys=False)
        return cls(path, wanted)

    @cached_property
    def journal(self) -> Journal:
        """The record of finished frames."""
        return Journal(self.path / "journal.jsonl")

    def finalise(self, with_certificates: bool = True) -> None:
        """Write the result files from the journal, sorted by key; memory stays flat."""
        write_outputs(self.path, self.journal, with_certificates)

    def write_annotations(self) -> None:
        """Write the certified poses into `annotations/`."""
        write_annotations(self.path / "annotations", self.journal.records())

    def write_steps(self) -> None:
        """Write the poses after each step of refinement into `steps/`."""
        write_steps(self.path / "steps", self.journal)

    def write_frame_names(self, names: Mapping[int, str]) -> None:
        """Keep which file is which `im_id` (`frames.json`), for data sets whose names do not say it."""
        if names:
            with replacing(self.path / "frames.json") as file:
                json.dump({str(im_id): name for im_id, name in names.items()}, file, indent=1)


def read_config(run: Path) -> RunConfig:
    """The configuration of a run's folder.

    Raises:
        UsageError: there is none, or it is broken.
    """
    path = run / CONFIG_NAME
    try:
        return RunConfig(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(
            f"{run} is no run: {CONFIG_NAME} is missing. Pass the --out of an earlier run."
        ) from None
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is broken ({' '.join(str(error).split())}). Choose another --out."
        ) from None


def _continued(there: RunConfig, now: RunConfig, path: Path) -> RunConfig:
    """The earlier configuration with today's context.

    Raises:
        UsageError: it was made in another way.
    """
    differences = _differences(there, now)
    if differences:
        raise UsageError(
            f"{path} was made with other options: {'; '.join(differences)}. "
            "Choose another --out, or use the same options to continue."
        )
    return RunConfig(**{**vars(there), "context": now.context})


def _differences(there: RunConfig, now: RunConfig) -> list[str]:
    pairs = {"command": (there.command, now.command), "--split": (there.split, now.split)}
    names = [*there.options, *(name for name in now.options if name not in there.options)]
    pairs |= {
        f"--{name.replace('_', '-')}": (there.options.get(name), now.options.get(name)) for name in names
    }
    found = [
        f"{name} is {_show(old)} there, {_show(new)} now" for name, (old, new) in pairs.items() if old != new
    ]
    if there.fingerprint != now.fingerprint:
        found.append(
            f"the data set is another one (fingerprint {there.fingerprint} there, {now.fingerprint} now)"
        )
    return found


def _show(value: Any) -> str:
    return "not set" if value in (None, [], "") else json.dumps(value)


def _refuse_foreign_results(path: Path) -> None:
    present = [name for name in OUTPUT_NAMES if (path / name).exists()]
    if present:
        raise UsageError(
            f"{path} holds {', '.join(present)} but no {CONFIG_NAME}: they would be overwritten. "
            "Choose another --out."
        )


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as YAML gives them back: tuples as lists, paths and other objects as text."""
    return json.loads(json.dumps(dict(options), default=str))


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of the checkout that this package runs from, None for an installed one."""
    checkout = Path(__file__).parents[3]
    if not (checkout / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
