"""How a run was made, in words that do not say where anything lies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfpose6d.datasets.model_files import object_names
from selfpose6d.errors import SelfPose6DError
from selfpose6d.evaluation.inputs import ReferenceOptions
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.runs.config import flat_options
from selfpose6d.runs.json_lines import read_lines


def describe_run(sources: RunSources) -> tuple[str, dict[str, str], dict[str, str]]:
    """A line that says what the run is, what it was made on and by, and the options that it was made with."""
    about: dict[str, str] = {}
    options: dict[str, str] = {}
    words = []
    if (config := sources.config) is not None:
        words.append(config.command)
        about["made by"] = (
            f"{config.command}, selfpose6d {config.version} {(config.commit or '')[:12]}".strip()
        )
        about["packages"] = ", ".join(f"{name} {version}" for name, version in config.packages.items())
        if config.context.model is not None:
            about["model"] = "/".join(config.context.model.parts[-3:])
        options = {
            name: _shown(value) for name, value in flat_options(config.options) if value not in (None, [], "")
        }
    if (data := sources.data) is not None:
        chosen = data.selection.describe()
        words.append(f"{data.dataset.resolve().name}, split {data.split or 'test'} {chosen}".strip())
        about["data set"] = words[-1]
        about |= {
            name: path.name
            for name, path in (("models", data.models), ("detections", data.detections))
            if path
        }
    return " on ".join(words), about, options


def run_folders(sources: RunSources, others: tuple[Path, ...]) -> list[Path]:
    """The folders that messages about the run may name."""
    data, config = sources.data, sources.config
    paths = [sources.run, *others]
    paths += [] if data is None else [path for path in (data.dataset, data.models, data.detections) if path]
    paths += [] if config is None or config.context.model is None else [config.context.model]
    return paths


def names_of_objects(sources: RunSources) -> dict[int, str]:
    """Object names by id: those that the run keeps, and those that its data set has by now."""
    return dict(_kept_names(sources)) | _data_set_names(sources)


def _kept_names(sources: RunSources) -> Iterator[tuple[int, str]]:
    path = sources.files.certificates
    for _, row in read_lines(path) if path.is_file() else ():
        if isinstance(row.get("name"), str) and isinstance(row.get("obj_id"), int):
            yield row["obj_id"], row["name"]


def _data_set_names(sources: RunSources) -> dict[int, str]:
    if sources.data is None:
        return {}
    try:
        return object_names(ReferenceOptions(sources.data).model_files())
    except (SelfPose6DError, OSError):  # a data set that is gone
        return {}


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_shown, value))
    path = Path(str(value))
    return path.name if path.is_absolute() else str(value)
