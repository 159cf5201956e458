"""Object models made when first needed and kept within a memory budget: by id for a data set, by content for meshes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from selfpose6d.checks import require_plausible_object_size
from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.meshes.mesh import Mesh, require_mesh
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.object_model import ObjectModel, build_object_model
from selfpose6d.processes import return_freed_memory
from selfpose6d.recent import Recent

MAX_MODELS = 48
"""About 20 MB each: a gigabyte."""


_PREPARED: Recent[ObjectModel] = Recent(MAX_MODELS)


def prepared(mesh: Mesh | ObjectModel, name: str = "mesh") -> ObjectModel:
    """The object model of a mesh: prepared at its first use, then remembered by its content, on disk too.

    At most `MAX_MODELS` are remembered, those used last. A mesh's arrays are read-only: its content stays what it is.

    Raises:
        UsageError: it is neither; `name` says which.
        MeshError: its size is not plausible: its unit is another.
    """
    if isinstance(mesh, ObjectModel):
        return mesh
    known = require_mesh(mesh, name)

    def make() -> ObjectModel:
        require_plausible_object_size(float(np.ptp(known.vertices_m, axis=0).max()), name)
        model = build_object_model(known, cache_dir=default_cache_dir())
        return_freed_memory()
        return model

    return _PREPARED.get(known.content_hash, make)


class ObjectStore(Mapping[int, ObjectModel]):
    """`ObjectModel`s of a data set, loaded lazily; at most `MAX_MODELS` stay in memory."""

    def __init__(
        self,
        object_ids: tuple[int, ...],
        load_mesh: Callable[[int], Mesh],
        symmetries: Mapping[int, SymmetryGroup],
        cache_dir: Path | None,
        device: str = "cpu",
    ) -> None:
        self._object_ids = object_ids
        self._load_mesh = load_mesh
        self._symmetries = symmetries
        self._cache_dir = cache_dir
        self._device = device
        self._models: Recent[ObjectModel] = Recent(MAX_MODELS)

    def __getitem__(self, obj_id: int) -> ObjectModel:
        if obj_id not in self._object_ids:
            raise KeyError(obj_id)
        return self._models.get(obj_id, lambda: self._make(obj_id))

    def __contains__(self, obj_id: object) -> bool:
        return obj_id in self._object_ids

    def _make(self, obj_id: int) -> ObjectModel:
        mesh = self._load_mesh(obj_id)
        declared = self._symmetries.get(obj_id)
        model = build_object_model(mesh, declared, self._cache_dir, f"object {obj_id}").to(self._device)
        return_freed_memory()
        return model

    def __iter__(self):
        return iter(self._object_ids)

    def __len__(self) -> int:
        return len(self._object_ids)
