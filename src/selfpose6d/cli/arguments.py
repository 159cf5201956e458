"""What every command takes beside its own options: `--config FILE`, `--json`, `--quiet`; guesses for mistyped ones."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from selfpose6d.errors import UsageError
from selfpose6d.yaml_files import read_yaml

HASHED = ("prompts", "segmenter")
"""Options of which a run keeps the content's hash."""
RUN_OPTIONS = {"certificate.risk": "risk", "search.refinement": "refinement"}
"""Options that a run's `config.yaml` keeps inside a group, by their names on the command line."""


@dataclass(frozen=True)
class Common:
    """The options of every command, and the other arguments as they were given."""

    rest: tuple[str, ...]
    config: Path | None = None
    as_json: bool = False
    """Print one JSON object on standard output, and nothing else there."""
    quiet: bool = False
    """Print errors and warnings only."""


def split_common(arguments: Sequence[str]) -> Common:
    """Take `--config FILE`, `--json` and `--quiet` out of a command's arguments, wherever they stand.

    Raises:
        UsageError: `--config` without a file, or twice.
    """
    rest: list[str] = []
    config, flags, words = None, set(), iter(arguments)
    for word in words:
        if word in ("--json", "--quiet"):
            flags.add(word)
        elif word == "--config" or word.startswith("--config="):
            given = word.partition("=")[2] if "=" in word else next(words, "")
            if not given or config is not None:
                raise UsageError("--config: expected one YAML file, as --config FILE.")
            config = Path(given)
        else:
            rest.append(word)
    return Common(tuple(rest), config, "--json" in flags, "--quiet" in flags)


def with_config(path: Path, command: str, command_type: type, arguments: Sequence[str]) -> list[str]:
    """The arguments with those of a YAML file of options; what is on the command line goes before the file.

    The file has options by name (`model_unit` or `model-unit`), also the positional ones; or it is the `config.yaml` of
    a run of the same command, whose options are taken. Paths in it are relative to the working directory.

    Raises:
        UsageError: it is unreadable, no mapping, names an option that the command does not have, or is of a run of
            another command.
    """
    options = _options(command_type)
    positional = [name for name, is_positional in options.items() if is_positional]
    content = _read(path)
    words = (word[2:].split("=")[0] for word in arguments if word.startswith("--"))
    given = {word.replace("-", "_").removeprefix("no_") for word in words}
    if "format" in content and "command" in content:
        content = {k: v for k, v in _of_run(path, content, command, given).items() if k in options}
    values = {str(name).replace("-", "_"): value for name, value in content.items()}
    if unknown := [name for name in values if name not in options]:
        guess = _guess(unknown[0], options)
        raise UsageError(
            f"{path}: {command} has no option {unknown[0]!r}{guess} See selfpose6d {command} --help"
        )
    leading = [] if arguments and not arguments[0].startswith("-") else positional
    front = [str(values[name]) for name in leading if values.get(name) is not None]
    named = [name for name in values if name not in positional and name not in given]
    return [*front, *arguments, *(word for name in named for word in _words(name, values[name]))]


def require_known_options(command: str, command_type: type, arguments: Iterable[str]) -> None:
    """Refuse an option that the command does not have, with the nearest one that it has.

    Raises:
        UsageError: names it.
    """
    options = _options(command_type)
    for word in arguments:
        name = word[2:].split("=")[0].replace("-", "_")
        if word in ("--", "--help") or not word.startswith("--") or name.startswith("tyro"):
            continue
        if name not in options and name.removeprefix("no_") not in options:
            guess = _guess(name, options)
            raise UsageError(
                f"{command} has no option {word.split('=')[0]}{guess} See selfpose6d {command} --help"
            )


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to a mistyped one; "" where none is near."""
    return next(iter(get_close_matches(word, list(known), 1, 0.6)), "")


def _guess(name: str, options: Mapping[str, bool]) -> str:
    found = nearest(name, options)
    shown = found if options.get(found) else f"--{found.replace('_', '-')}"
    return f"; did you mean {shown}?" if found else "."


def _options(command_type: type) -> dict[str, bool]:
    """Names of a command's options, groups resolved; True for positional ones, in their order."""
    found: dict[str, bool] = {}
    hints = get_type_hints(command_type, include_extras=True)
    for item in dataclasses.fields(command_type):
        hint = hints[item.name]
        plain, markers = hint, ()
        if get_origin(hint) is Annotated:
            plain, *markers = get_args(hint)
        if dataclasses.is_dataclass(plain) and isinstance(plain, type):
            found |= _options(plain)
        elif not any("Suppress" in repr(marker) for marker in markers):
            found[item.name] = any("Positional" in repr(marker) for marker in markers)
            aliases = (alias for marker in markers for alias in getattr(marker, "aliases", None) or ())
            found |= {alias.lstrip("-").replace("-", "_"): False for alias in aliases}
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise UsageError(f"no config file: {path} does not exist. Correct --config.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a YAML file ({error}). Correct it.") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected options by name, got {type(content).__name__}. Correct it.")
    return content


def _section(path: Path, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = content.get(name)
    if section is not None and not isinstance(section, dict):
        raise UsageError(f"{path}: {name} must hold options by name, got {section!r:.80}. Correct it.")
    return dict(section or {})


def _of_run(path: Path, content: Mapping[str, Any], command: str, given: Collection[str]) -> dict[str, Any]:
    """The command line's options of a run's `config.yaml`, those that are set; `given` are on the command line."""
    if content["command"] != command:
        raise UsageError(
            f"{path} is of a run of {content['command']}, got command {command}. Pass one of {command}."
        )
    data, context, options = (_section(path, content, name) for name in ("data", "context", "options"))
    found = {name: data.get(name) for name in ("split", "models", "model_unit", "detections")}
    found |= _section(path, data, "selection")
    options |= _section(path, options, "annotate")  # what estimate --verify certifies by
    found |= {name: value for name, value in options.items() if not isinstance(value, dict)}
    found |= {name: context.get(name) for name in ("dataset", "device", "precision", "model")}
    if options.get("depth_noise_m") is not None:
        found["depth_noise_mm"] = round(1e3 * options["depth_noise_m"], 9)
    if "proposals" in options:  # the run keeps its content's hash, and where it was
        found["proposals"] = context.get("model")
    if command == "estimate" and "annotate" in options:
        found["verify"] = True
    _require_places(path, options, given)
    for name, option in RUN_OPTIONS.items():
        group, _, key = name.partition(".")
        if isinstance(options.get(group), dict):
            found[option] = options[group].get(key)
    return {name: value for name, value in found.items() if value not in (None, [], "")}


def _require_places(path: Path, options: Mapping[str, Any], given: Collection[str]) -> None:
    """Refuse a run made with files of which it keeps the content's hash only, unless they are on the command line.

    Raises:
        UsageError: names the option.
    """
    made_with = [name for name in HASHED if options.get(name) is not None]
    certificate = options.get("certificate")
    if isinstance(certificate, Mapping) and "calibration" in certificate:
        from selfpose6d.labeling.calibration import load_calibration

        if certificate["calibration"] != load_calibration(None).content_hash:
            made_with.append("calibration")
    if missing := [name for name in made_with if name not in given]:
        flags = ", ".join(f"--{name}" for name in missing)
        raise UsageError(
            f"{path}: the run was made with {flags}, of which it keeps the content's hash, not the place. Add {flags}."
        )


def _words(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag] if value else [f"--no-{flag[2:]}"]
    if isinstance(value, Mapping):
        return [flag, *(str(word) for pair in value.items() for word in pair)]
    values = value if isinstance(value, list | tuple) else [value]
    return [flag, *map(str, values)] if values else []
