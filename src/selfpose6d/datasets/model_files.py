"""Which mesh file belongs to which object id, and in which unit it is."""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from selfpose6d.errors import MALFORMED, DataError, UsageError
from selfpose6d.files import content_hash
from selfpose6d.json_files import by_number, read_json
from selfpose6d.json_stream import write_json
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.units import METRES_PER_MM, UNITS, Unit, unit_of_file

SUFFIXES = (".ply", ".obj", ".glb", ".gltf", ".off", ".stl", ".step", ".stp")
"""Of mesh files; of two with one name, the one whose suffix comes first here is taken."""
IDS_FILE = "models.json"
"""Object ids by name, beside meshes that have names."""
_INNER_NAMES = ("textured", "textured_simple", "nontextured", "model", "mesh")


@dataclass(frozen=True)
class ModelFile:
    """One object's mesh file; `unit` None means that nobody said it."""

    obj_id: int
    name: str
    path: Path
    unit: Unit | None


@dataclass(frozen=True)
class ModelFiles:
    """The mesh files of a data set by object id."""

    folder: Path
    files: Mapping[int, ModelFile]
    names: Mapping[str, int] = field(default_factory=dict)
    """Object id by object name, also for names without a mesh file."""

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids that have a mesh file, ascending."""
        return tuple(sorted(self.files))

    @cached_property
    def content(self) -> str:
        """What tells these meshes, their textures and their declared symmetries from others: all files beside them.

        Hidden files, texts, the list of ids that a first run writes, and where the folder lies do not count.
        """
        ids = {obj_id: model.path.name for obj_id, model in sorted(self.files.items())}
        digest = hashlib.sha256(f"{ids}\n".encode())
        folders = {model.path.parent for model in self.files.values()} | {self.folder}
        for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
            counts = path.suffix.lower() not in (".md", ".txt") and path.name != IDS_FILE
            if counts and path.is_file() and not path.name.startswith("."):
                place = "" if path.parent == self.folder else f"{path.parent.name}/"
                digest.update(f"{place}{path.name} {content_hash(path)}\n".encode())
        return digest.hexdigest()[:16]

    def load(self, obj_id: int) -> Mesh:
        """Read one object's mesh, in metres.

        Raises:
            DataError: there is no mesh file for this id.
            UsageError: nothing says the file's unit.
            MeshError: the file is unreadable or implausible.
        """
        from selfpose6d.meshes.io import load_mesh

        model = self.find(obj_id)
        if model.unit is None:
            raise UsageError(f"the unit of {model.path} is not known. Pass --model-unit {UNITS}.")
        return load_mesh(model.path, model.unit)

    def find(self, obj_id: int) -> ModelFile:
        """The file of one object.

        Raises:
            DataError: there is no mesh file for this id.
        """
        if obj_id not in self.files:
            raise DataError(
                f"no model for object {obj_id} in {self.folder}: found ids {list_some(self.object_ids)}. "
                "Add its mesh file, or leave the object out with --objects."
            )
        return self.files[obj_id]


def find_model_files(
    folder: Path, unit: Unit | None = None, class_names: Iterable[str] = (), named_unit: Unit | None = None
) -> ModelFiles:
    """List the meshes of a folder.

    `obj_NNNNNN.ply` (BOP) is in millimetres unless `unit` says otherwise. `<name>/textured.obj` and
    `<name>.obj` get their id from `class_names` (1-based), else from `stated_ids`, else by sorted name; their unit is
    `unit`, else `named_unit`. glTF is in metres unless `unit` says otherwise; STEP files say their unit, and neither
    is used for them (`unit_of_file`).

    Raises:
        DataError: `models_info.json` or `models.json` cannot be read, or name an object twice.
    """
    if bop := dict(numbered_meshes(folder)):
        names = _bop_names(folder, bop)
        by_id = {obj_id: name for name, obj_id in names.items()}
        files = ((i, by_id.get(i, path.stem), path) for i, path in sorted(bop.items()))
        default: Unit | None = "mm"
    else:
        named, default = dict(_named_paths(folder)), named_unit
        listed = {name: obj_id for obj_id, name in enumerate(class_names, start=1)}
        names = listed or _with_new_names(stated_ids(folder), named)
        files = ((names[name], name, path) for name, path in named.items() if name in names)
    found = [ModelFile(*file, unit_of_file(file[2], unit) or default) for file in files]
    return ModelFiles(folder, {file.obj_id: file for file in found}, names)


def stated_ids(folder: Path) -> dict[str, int]:
    """Object ids by name as the folder says them: `models_info.json`, and `models.json` (`{"<name>": id}`).

    Raises:
        DataError: one of them cannot be read, or a name or an id is there twice.
    """
    path = folder / IDS_FILE
    ids = _read_ids(path) if path.is_file() else {}
    declared = declared_names(folder)
    ids |= {name: obj_id for obj_id, name in declared.items()}
    if len(set(ids.values())) < len(ids) or len(set(declared.values())) < len(declared):
        shared = sorted(name for name, obj_id in ids.items() if list(ids.values()).count(obj_id) > 1)
        what = f"{list_some(shared, separator=', ')} share an id" if shared else "two ids have one name"
        raise DataError(f"{folder}: {what} in models_info.json or {IDS_FILE}. Give each object its own.")
    return ids


def ids_to_keep(models: ModelFiles) -> dict[str, int]:
    """What a `models.json` beside the models would say, for ids to stay when a mesh is added; empty where they do.

    They do where meshes are numbered and where `models_info.json` or `models.json` names every one of them.
    """
    named = {model.name: obj_id for obj_id, model in models.files.items()}
    if numbered_meshes(models.folder) or named.items() <= stated_ids(models.folder).items():
        return {}
    return dict(models.names)


def write_ids(models: ModelFiles, run_folder: Path) -> None:
    """Write `models.json` at the first run that takes named meshes, so that adding one renumbers nothing: beside the
    models, or into the run's folder where these cannot be written. Nothing where ids stay by themselves.
    """
    if ids := ids_to_keep(models):
        try:
            write_json(models.folder / IDS_FILE, ids)
        except OSError:
            write_json(run_folder / IDS_FILE, ids)


def _with_new_names(stated: Mapping[str, int], found: Iterable[str]) -> dict[str, int]:
    """The ids that are stated, and the next free ones for names that are not, in their order."""
    new = sorted(set(found) - stated.keys())
    return {**stated, **{name: max(stated.values(), default=0) + n for n, name in enumerate(new, start=1)}}


def _read_ids(path: Path) -> dict[str, int]:
    try:
        ids = read_json(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: unreadable ({error}). Correct it, or remove it.") from error
    if not isinstance(ids, dict) or any(type(i) is not int or i < 0 for i in ids.values()):
        raise DataError(
            f'{path}: expected {{"<name>": id}} with whole numbers as ids. Correct it, or remove it.'
        )
    return ids


def require_models(models: ModelFiles) -> ModelFiles:
    """Return `models`, or say that there are none.

    Raises:
        UsageError: not one mesh file was found.
    """
    if not models.files:
        raise UsageError(
            f"no models: looked for {models.folder}/obj_NNNNNN.ply and {models.folder}/<name>/textured.obj, "
            f"found {describe_folder(models.folder)}. Pass --models DIR (and --model-unit {UNITS})."
        )
    return models


def describe_folder(folder: Path, most: int = 8) -> str:
    """What is in a folder, in a few words, for messages."""
    if not folder.is_dir():
        return "a file" if folder.exists() else "no such folder"
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    return list_some(names, most) if names else "an empty folder"


def list_some(items: Iterable[object], most: int = 8, separator: str = " ") -> str:
    """The first items and how many there are, for messages."""
    words = [str(item) for item in items]
    return separator.join(words[:most]) + (f" ... ({len(words)})" if len(words) > most else "") or "none"


def numbered_meshes(folder: Path) -> list[tuple[int, Path]]:
    """The `obj_NNNNNN` mesh files of a folder with their ids; of two with one name, the preferred format comes last."""
    paths = _mesh_paths(folder)
    return [(int(match[1]), path) for path in paths if (match := re.fullmatch(r"obj_(\d+)", path.stem))]


def _mesh_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    paths = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return sorted(paths, key=lambda path: (path.stem, SUFFIXES.index(path.suffix.lower())), reverse=True)


def _named_paths(folder: Path) -> Iterable[tuple[str, Path]]:
    yield from ((path.stem, path) for path in _mesh_paths(folder))
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ():
        if found := _mesh_paths(inner):
            by_stem = {path.stem: path for path in found}
            preferred = [by_stem[stem] for stem in (*_INNER_NAMES, inner.name) if stem in by_stem]
            yield inner.name, (preferred or sorted(by_stem.values()))[0]


def _bop_names(folder: Path, files: Mapping[int, Path]) -> dict[str, int]:
    names = {path.stem: obj_id for obj_id, path in files.items()}
    declared: dict[str, int] = {}
    for obj_id, name in declared_names(folder).items():
        if (other := declared.setdefault(name, obj_id)) != obj_id:
            raise DataError(
                f"{folder / 'models_info.json'}: two ids have one name: objects {other} and {obj_id} are {name!r}. "
                "Give each its own."
            )
    return names | declared


def object_names(models: ModelFiles) -> dict[int, str]:
    """Object names by id, as `models_info.json` or the folders say them; needs no mesh file."""
    named = {i: name for name, i in models.names.items() if name != f"obj_{i:06d}"}
    return named | declared_names(models.folder)


def declared_names(folder: Path) -> dict[int, str]:
    """Object names by id as `models_info.json` says them.

    Raises:
        DataError: it is not BOP's form.
    """
    info = read_models_info(folder)
    return {obj_id: entry["name"] for obj_id, entry in info.items() if isinstance(entry.get("name"), str)}


def read_models_info(folder: Path) -> dict[int, dict]:
    """`models_info.json` by object id; empty where there is none.

    Raises:
        DataError: it is not BOP's form.
    """
    path = folder / "models_info.json"
    if not path.is_file():
        return {}
    try:
        return {obj_id: dict(entry) for obj_id, entry in by_number(read_json(path)).items()}
    except (OSError, *MALFORMED) as error:
        raise DataError(f"{path}: not BOP's models_info.json ({error}). Correct it or remove it.") from error


def stated_diameter_m(entry: Mapping[str, object]) -> float | None:
    """An object's diameter by its entry in `models_info.json`, in metres; None where it says none that can be one."""
    stated_mm = entry.get("diameter")
    if isinstance(stated_mm, bool) or not isinstance(stated_mm, int | float):
        return None
    try:
        diameter_m = stated_mm * METRES_PER_MM
    except OverflowError:  # JSON's whole numbers have any length
        return None
    return diameter_m if 0 < diameter_m < math.inf else None
