"""What tests of commands that train share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

from networks import TINY

from selfpose6d.network.config import SIZES
from selfpose6d.objects import shapes
from selfpose6d.objects.mesh_cache import default_cache_dir


@pytest.fixture(scope="session")
def five_frames(render_once) -> Path:
    """A small BOP root: two objects, five test frames."""
    return render_once("--frames", "1", "--test-frames", "5", "--objects", "1", "5", "--seed", "3")


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """Caches in a folder of the module's own, but for what follows from a mesh alone."""
    cache = tmp_path_factory.mktemp("cache")
    objects = default_cache_dir()
    objects.mkdir(parents=True, exist_ok=True)
    (cache / objects.parent.name).mkdir()
    (cache / objects.parent.name / objects.name).symlink_to(objects, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


@pytest.fixture(scope="module")
def small_and_own(own_cache):
    """A network and grids for tests, and caches in a folder of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "small", TINY)
        patch.setattr(shapes, "GRID_CELLS", 24)
        yield
