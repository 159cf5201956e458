"""`config.yaml`: how a run was made, typed; written and read here only."""

import dataclasses
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from selfpose6d.errors import MALFORMED, UsageError
from selfpose6d.files import replacing
from selfpose6d.meshes.units import Unit
from selfpose6d.runs.files import RunFiles
from selfpose6d.selection import Selection
from selfpose6d.version import __version__
from selfpose6d.yaml_files import read_yaml

FORMAT = 2
"""Of the run folder. 1 had the data set among the options, under two names."""
KEPT_LABELS = "labels_of_keep"
"""The option that says what the labels of `--keep` were; earlier versions did not record it."""
_PATHS = ("dataset", "model", "models", "detections")
_PACKAGES = ("torch", "numpy", "scipy", "numba", "opencv-python-headless", "roma", "trimesh")


@dataclass(frozen=True)
class DataConfig:
    """What a run was made on; another one is another run."""

    split: str
    fingerprint: str
    selection: Selection = field(default_factory=Selection)
    models: Path | None = None
    model_unit: Unit | None = None
    detections: Path | None = None
    meshes: str | None = None
    """`ModelFiles.content`; None: an earlier version made the run, and nothing is known of them."""

    def has_other_meshes(self, meshes: str | None) -> bool:
        """Whether these meshes are known to be others than the run's."""
        return None not in (self.meshes, meshes) and self.meshes != meshes


@dataclass(frozen=True)
class RunContext:
    """What does not change results but is worth keeping: where things were."""

    dataset: Path
    device: str
    model: Path | None = None
    """The checkpoint of an estimate."""
    precision: str | None = None
    """Of a training's layers."""


@dataclass(frozen=True)
class RunConfig:
    """What `config.yaml` says: enough to make the run again. `options` are the command's own, as YAML has them."""

    command: str
    data: DataConfig
    options: Mapping[str, Any]
    context: RunContext
    version: str
    commit: str | None
    packages: Mapping[str, str]


def new_config(command: str, data: DataConfig, options: Mapping[str, Any], context: RunContext) -> RunConfig:
    """The configuration of a run that is made now. `options`: every resolved one that changes results, by its name."""
    return RunConfig(command, data, _plain(options), context, __version__, _commit(), _versions())


def code_version() -> str:
    """The version of this package that runs, with its commit where it is a checkout."""
    commit = _commit()
    return f"{__version__} ({commit})" if commit else __version__


def write_config(run: Path, config: RunConfig) -> None:
    """Write `config.yaml`; it appears whole or not at all."""
    with replacing(RunFiles(run).config) as file:
        yaml.safe_dump({"format": FORMAT} | _plain(dataclasses.asdict(config)), file, sort_keys=False)


def read_config(run: Path) -> RunConfig:
    """The configuration of a run's folder.

    Raises:
        UsageError: there is none, it is broken, or an earlier version made the run.
    """
    path = RunFiles(run).config
    try:
        stored = read_yaml(path)
        if stored.get("format") != FORMAT:
            made_by = f"selfpose6d {stored.get('version', 'of unknown version')}"
            raise UsageError(
                f"{run} was made by {made_by} and has run format {stored.get('format', 1)}, this version reads "
                f"{FORMAT}. Make the run again with another --out."
            )
        data = _restored(stored["data"])
        data["selection"] = Selection(**_restored(data["selection"]))
        return RunConfig(
            command=str(stored["command"]),
            data=DataConfig(**data),
            options=dict(stored["options"]),
            context=RunContext(**_restored(stored["context"])),
            version=str(stored["version"]),
            commit=stored["commit"],
            packages=dict(stored["packages"]),
        )
    except FileNotFoundError:
        raise UsageError(
            f"{run} is no run: {path.name} is missing. Pass the --out of an earlier run."
        ) from None
    except (OSError, *MALFORMED) as error:
        raise UsageError(
            f"{path} is broken ({' '.join(str(error).split())}). Choose another --out."
        ) from None


def differences(there: RunConfig, now: RunConfig) -> list[str]:
    """What keeps one run from being continued by another, each option by its name; empty where nothing does."""
    pairs = {"command": (there.command, now.command), "--split": (there.data.split, now.data.split)}
    old, new = (dict(_flags(config)) for config in (there, now))
    if _flag(KEPT_LABELS) not in old and "--keep" in old:
        new.pop(_flag(KEPT_LABELS), None)
    pairs |= {name: (old.get(name), new.get(name)) for name in [*old, *(n for n in new if n not in old)]}
    found = [
        f"{name} is {_show(a)} there, {_show(b)} now"
        for name, (a, b) in pairs.items()
        if not _same(name, a, b)
    ]
    if there.data.fingerprint != now.data.fingerprint:
        found.append(
            f"the data set is another one (fingerprint {there.data.fingerprint} there, "
            f"{now.data.fingerprint} now)"
        )
    if there.data.has_other_meshes(now.data.meshes):
        found.append("the content of the models' folder (meshes, textures, models_info.json) is another one")
    return found


def flat_options(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by name; those of a group under `group.name`."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from flat_options(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _flags(config: RunConfig) -> Iterator[tuple[str, Any]]:
    data = _plain(dataclasses.asdict(config.data))
    named = {name: data[name] for name in ("models", "model_unit", "detections")}
    for name, value in flat_options({**config.options, **data["selection"], **named}):
        yield _flag(name), value


def _same(name: str, there: Any, now: Any) -> bool:
    """Whether two values of an option are the same; earlier versions kept paths as they were given."""
    if name in ("--models", "--detections") and there and now:
        return Path(there).resolve() == Path(now).resolve()
    return there == now


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _show(value: Any) -> str:
    return "not set" if value in (None, [], "") else json.dumps(value)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as YAML gives them back: tuples as lists, paths and other objects as text."""
    return json.loads(json.dumps(dict(options), default=str))


def _restored(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A dataclass's fields from their plain form: lists as tuples, paths as `Path`."""
    paths = {name: Path(stored[name]) for name in _PATHS if stored.get(name) is not None}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()} | paths


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
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
