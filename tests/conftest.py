"""Shape checks on (jaxtyping + beartype), one thread per worker, and where the real data lives."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

PACKAGE = Path(__file__).parents[1] / "src" / "selfpose6d"
# numba cannot compile functions that the hook has wrapped
CHECKED = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem != "__init__" and not path.stem.endswith(("_numba", "_kernels"))
]
_HOOK = install_import_hook(CHECKED, "beartype.beartype")

# a first example imports and compiles: no deadline, so that a busy machine fails no test
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def own_user_cache(tmp_path_factory) -> Iterator[None]:
    """Tests, and processes that they start, neither read nor write the user's own cache directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))
        yield


SHARED_DATA = Path(os.environ.get("SELFPOSE6D_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real YCB-Video frames, models and published poses, or a skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"skipped: no shared data ({SHARED_DATA} does not exist)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def ycbv_sample(shared_data: Path) -> Path:
    """BOP root with 15 real YCB-Video frames."""
    return shared_data / "ycbv-sample"
