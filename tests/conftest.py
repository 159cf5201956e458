"""Shape checks on (jaxtyping + beartype), one thread per worker, and where the real data lives."""

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

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


LONGEST = (
    "cli/test_without_masks.py",
    "evaluation/test_keyframes.py",
    "objects/test_find_symmetries.py",
    "cli/test_annotate.py",
    "cli/test_train_estimate.py",
    "inference/test_onnx_export.py",
    "cli/test_reproduce.py",
    "examples/test_onnx_inference.py",
    "cli/test_killed_full_contended.py",
    "cli/test_find.py",
    "test_fuzzed_doors.py",
    "training/test_segmentation_training.py",
    "cli/test_shards_command.py",
    "cli/test_report.py",
    "cli/test_review_command.py",
    "finding/test_hard_scenes.py",
    "labeling/test_verify.py",
    "test_notebook.py",
    "test_examples.py",
)
"""Files that take longest. They begin first, lest one worker is left with one of them when the others have ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order within a file stays."""
    place = {Path(__file__).parent / name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def own_user_cache(tmp_path_factory) -> Iterator[Path]:
    """Tests, and processes that they start, neither read nor write the user's own cache directory.

    The workers of one run share theirs, so that what is slow to compute of a mesh is computed once.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "user-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def own_share_of_the_cores() -> Iterator[None]:
    """Commands that are not told how many processes to start count with this worker's share of the cores."""
    from selfpose6d import processes

    cores = max(1, processes.available_cores() // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "available_cores", lambda: cores)
        yield


@pytest.fixture(scope="session")
def make_once(own_user_cache: Path) -> Iterator[Callable[[str, Callable[[Path], int]], Path]]:
    """The folder of this name, which the workers of one run share: who asks first makes it, no test may change it."""
    from selfpose6d.files import one_at_a_time

    made = {}

    def once(name: str, make: Callable[[Path], int]) -> Path:
        folder = own_user_cache.parent / "shared" / name
        done = folder.with_name(f"{name}.done")
        with one_at_a_time(done):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                assert make(folder) == 0
                done.write_text(json.dumps(_stamps(folder)))
        made[folder] = json.loads(done.read_text())
        return folder

    yield once
    for folder, stamps in made.items():
        assert _stamps(folder) == stamps, f"a test has changed {folder}, which others read"


def _stamps(folder: Path) -> dict[str, list[int]]:
    stats = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


@pytest.fixture(scope="session")
def render_once(make_once) -> Callable[..., Path]:
    """The data set that `synth` writes with these options."""
    from selfpose6d.cli.main import main

    def render(*options: str) -> Path:
        name = "-".join(["synth", *(word.strip("-") for word in options)])
        return make_once(name, lambda root: main(["synth", str(root), *options, "--quiet"]))

    return render


@pytest.fixture(scope="session")
def rendered_pair(render_once) -> Path:
    """Two objects in 16 frames to train on, and two to test with."""
    return render_once("--frames", "16", "--test-frames", "2", "--objects", "1", "5", "--seed", "3")


@pytest.fixture(scope="session")
def pair_segmenter(make_once, rendered_pair: Path) -> Path:
    """A segmentation network that 40 steps on them have taught."""
    from selfpose6d.cli.main import main

    words = ["train", str(rendered_pair), "--task", "segment", "--recipe", "synthetic", "--max-steps", "40"]
    return make_once("segmenter", lambda out: main([*words, "--out", str(out)]))


@pytest.fixture(scope="session")
def load_script() -> Iterator[Callable[[Path], ModuleType]]:
    """Imports a script that lies in no package, under its file's name, until the tests end."""
    loaded = []

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        loaded.append(spec.name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in loaded:
        del sys.modules[name]


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
