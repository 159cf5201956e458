"""Object models by id, made when first needed and kept within a memory budget."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import platformdirs

from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.objects.object_model import ObjectModel, build_object_model

MAX_MODELS = 48


def default_cache_dir() -> Path:
    """Where constants of meshes are kept between runs, in the user's cache directory."""
    return Path(platformdirs.user_cache_dir("selfpose6d")) / "objects"


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
        self._models: OrderedDict[int, ObjectModel] = OrderedDict()

    def __getitem__(self, obj_id: int) -> ObjectModel:
        if obj_id not in self._object_ids:
            raise KeyError(obj_id)
        if obj_id not in self._models:
            mesh = self._load_mesh(obj_id)
            model = build_object_model(mesh, self._symmetries.get(obj_id), self._cache_dir)
            self._models[obj_id] = model.to(self._device)
            if len(self._models) > MAX_MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(obj_id)
        return self._models[obj_id]

    def __iter__(self):
        return iter(self._object_ids)

    def __len__(self) -> int:
        return len(self._object_ids)
