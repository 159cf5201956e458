"""Processes that fill one cache at the same time must all get what a single one gets.

    python benchmarks/contend_caches.py [--runs 100] [--processes 3] [--seed 0] [--work DIR]

In each run several processes begin at once with an empty cache: crops of a rendered data set, frames for segmentation,
constants of meshes, and one calibration file that all of them write. In every second run one of them is killed at a
random moment and started again. All must end with the same contents, and nothing but these may be left.
"""

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kill_runs import Inputs, print_origin

if TYPE_CHECKING:
    from torch import Tensor

    from selfpose6d.meshes.mesh import Mesh

CROP_PX = 32


def main() -> int:
    """Run, compare, print a table; exit code 1 where anything differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder to work in; kept, with its data set")
    arguments = parser.parse_args()
    print_origin()
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        root = Inputs(work.resolve()).root
        _preload()
        caches = Path(folder) / "caches"
        expected, duration_s = _undisturbed(root, caches / "alone")
        chooser, problems, killed = random.Random(arguments.seed), [], 0
        for index in range(arguments.runs):
            kill_after_s = chooser.uniform(0, 1.5 * duration_s) if index % 2 else None
            found, was_killed = contend(root, caches / str(index), arguments.processes, kill_after_s)
            killed += was_killed
            problems += [f"run {index}: {problem}" for problem in found if problem != expected]
            problems += [f"run {index}: left over {name}" for name in left_over(caches / str(index))]
    print("| runs | processes in each | killed and started again | problems |\n|---|---|---|---|")
    print(f"| {arguments.runs} | {arguments.processes} | {killed} | {len(problems)} |")
    print(*problems, sep="\n")
    return 1 if problems else 0


def contend(root: Path, cache: Path, processes: int, kill_after_s: float | None) -> tuple[list[str], bool]:
    """What each of the processes made of the data set, and whether the first was killed before it was done."""
    cache.mkdir(parents=True)
    running = {_start(root, cache, cache / f".result-{k}"): k for k in range(processes)}
    was_killed = False
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        first = next(iter(running))
        os.kill(first, signal.SIGKILL)
        was_killed = os.WIFSIGNALED(os.waitpid(first, 0)[1])
        running.pop(first)
        running[_start(root, cache, cache / ".result-0")] = 0
    for pid in running:
        os.waitpid(pid, 0)
    results = [cache / f".result-{k}" for k in range(processes)]
    found = [path.read_text() if path.is_file() else "no result" for path in results]
    for path in results:
        path.unlink(missing_ok=True)
    return found, was_killed


def left_over(cache: Path) -> list[str]:
    """Files that are neither locks nor what belongs in the cache."""
    names = (path.name for path in cache.rglob("*"))
    return [name for name in names if name.startswith(".") and not name.endswith(".lock")]


def fill(root: Path, cache: Path) -> str:
    """Use every cache; a hash of what came from them."""
    from selfpose6d.crops.store import CacheOptions, open_crop_store
    from selfpose6d.datasets.options import DataOptions
    from selfpose6d.labeling.calibration import default_calibration, load_calibration
    from selfpose6d.objects.mesh_cache import cached_arrays
    from selfpose6d.training.segmentation.frames import open_frames

    digest, options = hashlib.sha256(), CacheOptions(cache / "crops")
    dataset = DataOptions(root, "train").open()
    store = open_crop_store(dataset, CROP_PX, options)
    digest.update(store.keys.tobytes() + store.read(np.arange(len(store))).tobytes())
    digest.update(np.asarray(open_frames(dataset, CacheOptions(cache))).tobytes())
    for obj_id in dataset.object_ids:
        mesh = dataset.load_mesh(obj_id)
        arrays = cached_arrays(
            mesh, "contended", ("vertices",), lambda mesh=mesh: _vertices(mesh), cache / "objects"
        )
        digest.update(arrays["vertices"].numpy().tobytes())
    calibration = cache / "calibration.json"
    for _ in range(5):
        default_calibration().save(calibration)
        digest.update(load_calibration(calibration).content_hash.encode())
    return digest.hexdigest()


def _vertices(mesh: "Mesh") -> "dict[str, Tensor]":
    import torch

    return {"vertices": torch.tensor(mesh.vertices_m).repeat(20, 1)}


def _undisturbed(root: Path, cache: Path) -> tuple[str, float]:
    start_s = time.monotonic()
    (expected,), _ = contend(root, cache, 1, None)
    if expected == "no result":
        raise SystemExit("a single process fails")
    return expected, time.monotonic() - start_s


def _start(root: Path, cache: Path, result: Path) -> int:
    """Fork a process that writes its hash."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        found = fill(root, cache)
        part = result.with_suffix(".writing")
        part.write_text(found)
        os.replace(part, result)
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def _preload() -> None:
    """Load the libraries once; nothing is computed, so that forks are safe."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for name in ("crops.store", "labeling.calibration", "training.segmentation.frames", "objects.mesh_cache"):
        __import__(f"selfpose6d.{name}")


if __name__ == "__main__":
    sys.exit(main())
