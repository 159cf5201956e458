"""The objects of a data set, ready for use."""

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.store import ObjectStore


def object_store(dataset: Dataset, device: str) -> ObjectStore:
    """The data set's objects, with their declared symmetries; what is slow to compute of them is kept on disk."""
    symmetries = read_symmetries(dataset.models.folder)
    return ObjectStore(dataset.object_ids, dataset.load_mesh, symmetries, default_cache_dir(), device)
