"""`selfpose6d symmetries MODELS`: find the symmetries of meshes, show them, write them in BOP's form."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from selfpose6d.errors import UsageError
from selfpose6d.meshes.units import Unit
from selfpose6d.options import Several, Unset

if TYPE_CHECKING:
    from selfpose6d.datasets.model_files import ModelFiles
    from selfpose6d.geometry.symmetry import SymmetryGroup
    from selfpose6d.objects.symmetry_study import SymmetryStudy


@dataclass(frozen=True)
class Command:
    """Find the motions that map each mesh onto itself, by shape and by shape and texture; nothing is written unasked.

    Prints what each leaves (and what models_info.json declares already), and draws every object. Declared symmetries
    are equals: training, metrics and certificates take their poses as the same.
    """

    models: Annotated[Positional[Path], arg(metavar="MODELS")]
    """Folder of meshes: obj_NNNNNN.ply (BOP), or PLY, OBJ, GLB, STL, OFF, STEP."""
    model_unit: Unset[Unit] = None
    """Unit of the meshes; obj_NNNNNN.ply is in mm unless said otherwise."""
    objects: Several[int] = ()
    """Ids of the objects to study (default: all)."""
    shape_only: bool = False
    """Write the symmetries of the shape, whatever the texture: for objects whose sides are equal to you."""
    write: bool = False
    """Write symmetries_discrete and symmetries_continuous into MODELS/models_info.json. What an object declares
    already is kept."""
    replace: bool = False
    """With --write: put what is found in the place of what an object declares already."""
    out: Path = Path("symmetries")
    """Folder of the pictures, obj_NNNNNN.png."""

    def run(self) -> int:
        """Study every object, print the table, draw, and write where asked to."""
        from rich.progress import track

        from selfpose6d.reporting.console import plain_console
        from selfpose6d.reporting.symmetries import symmetry_table
        from selfpose6d.reporting.tables import to_rich

        if self.replace and not self.write:
            raise UsageError("--replace says what --write does. Pass both, or neither.")
        models = self._open()
        ids = tuple(dict.fromkeys(self.objects)) or models.object_ids
        declared = self._declared(ids)
        progress = track(ids, "symmetries", console=plain_console(stderr=True), transient=True)
        studies = [self._study(models, obj_id, declared[obj_id]) for obj_id in progress]
        console = plain_console()
        console.print(to_rich(symmetry_table(studies), "symmetries", console.width), highlight=False)
        print(f"written: {self.out}/obj_NNNNNN.png ({len(studies)} pictures)")
        self._write(studies)
        return 0

    def _open(self) -> "ModelFiles":
        import os

        from selfpose6d.checks import require_existing
        from selfpose6d.datasets.model_files import find_model_files, require_models

        folder = require_existing(self.models, "models folder", "Correct the path.")
        models = require_models(find_model_files(folder, self.model_unit))
        for obj_id in self.objects:
            models.find(obj_id)
        if self.write and not os.access(folder, os.W_OK):
            raise UsageError(f"{folder} cannot be written. Copy the models and pass the copy.")
        return models

    def _declared(self, ids: Sequence[int]) -> "dict[int, SymmetryGroup]":
        import numpy as np

        from selfpose6d.datasets.symmetries import read_symmetries
        from selfpose6d.geometry.symmetry import SymmetryGroup

        declared = read_symmetries(self.models)
        return {obj_id: declared.get(obj_id, SymmetryGroup(np.empty((0, 4, 4)))) for obj_id in ids}

    def _study(self, models: "ModelFiles", obj_id: int, declared: "SymmetryGroup") -> "SymmetryStudy":
        from selfpose6d.image_files import write_png
        from selfpose6d.objects.mesh_cache import default_cache_dir
        from selfpose6d.objects.symmetry_study import study_symmetries
        from selfpose6d.reporting.symmetries import symmetry_picture

        name = models.find(obj_id).name
        study = study_symmetries(models.load(obj_id), declared, obj_id, name, default_cache_dir())
        write_png(self.out / f"obj_{obj_id:06d}.png", symmetry_picture(study))
        return study

    def _write(self, studies: "Sequence[SymmetryStudy]") -> None:
        """Write what is found of each object that declares nothing; say what is kept."""
        from selfpose6d.datasets.object_label import object_label
        from selfpose6d.datasets.symmetries import describe_mesh, write_symmetries
        from selfpose6d.objects.symmetry_study import count_words

        if not self.write:
            print("models_info.json is as it was: --write declares what was found by shape + texture,")
            print("--shape-only --write what was found by shape")
            return
        chosen, described = {}, {}
        for study in studies:
            label = object_label(study.obj_id, {study.obj_id: study.name})
            found = (study.shape if self.shape_only else study.textured).group
            words, declared = count_words(found), count_words(study.declared.group)
            if words == "none":
                kept = "" if study.declared.is_trivial else f"; the declared ({declared}) are kept"
                print(f"{label}: none found{kept}")
            elif not (study.declared.is_trivial or self.replace):
                print(f"{label}: kept as declared ({declared}); --replace writes what was found ({words})")
            else:
                before = "" if study.declared.is_trivial else f", in place of {declared}"
                print(f"{label}: {words}{before}")
                chosen[study.obj_id], described[study.obj_id] = found, describe_mesh(study.mesh)
        if chosen:
            write_symmetries(self.models, chosen, described)
        done = f"written: {self.models / 'models_info.json'}" if chosen else "models_info.json is as it was"
        print(f"{done} ({len(chosen)} of {len(studies)} objects)")
