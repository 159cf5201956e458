"""What tests of commands that train share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

from networks import TINY

from selfpose6d.network.config import SIZES
from selfpose6d.objects import shapes


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """Caches in a folder of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def small_and_own(own_cache):
    """A network and grids for tests, and caches in a folder of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "small", TINY)
        patch.setattr(shapes, "GRID_CELLS", 24)
        yield
