"""Peak resident memory of a training on data sets of different lengths: it does not grow with the frames.

    python benchmarks/train_memory.py [--frames 1000 100000] [--json]

The frames are made up as they are read (64x48 pixels, one cube), so that only their number matters. Each length runs in
a process of its own; the disk holds 5.3 kB of crop a frame.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from provenance import print_provenance, provenance
from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.masks import MaskEntry, MaskSource
from selfpose6d.datasets.model_files import ModelFile, ModelFiles
from selfpose6d.datasets.options import DataOptions
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.primitives.catalogue import BOX_ID, CATALOGUE
from selfpose6d.network.config import SIZES
from selfpose6d.selection import FrameId, Selection
from selfpose6d.training.recipe import find_recipe
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions, make_fabric, train

SHAPE = (48, 64)
K = np.array([[100.0, 0.0, 31.5], [0.0, 100.0, 23.5], [0.0, 0.0, 1.0]])
STEPS = 40
MB = 1e6


class _Square(MaskSource):
    """One square mask in every frame."""

    def entries(self, frame_id: FrameId) -> list[MaskEntry]:
        return [MaskEntry(BOX_ID, 0)]

    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> np.ndarray:
        mask = np.zeros(shape, bool)
        mask[12:36, 20:44] = True
        return mask

    def content_key(self) -> str:
        return "square"

    def inputs(self, frame_id: FrameId) -> tuple[()]:
        return ()


class _MadeUp(Dataset):
    """Frames of a wall with a box before it, coloured by their index."""

    layout = "made up"

    def __init__(self, frames: int, models: Path) -> None:
        files = ModelFiles(models, {BOX_ID: ModelFile(BOX_ID, "box", models / "obj_000001.ply", "mm")})
        super().__init__(Path("made-up"), "train", Selection(), files, _Square())
        self._frames = frames

    def scene_ids(self) -> list[int]:
        return [0]

    def list_scene(self, scene_id: int) -> list[int]:
        return list(range(self._frames))

    def rgb_path(self, frame_id: FrameId) -> Path:
        return Path("made-up")

    def image_inputs(self, frame_id: FrameId) -> tuple[()]:
        return ()

    def read_rgb(self, frame_id: FrameId) -> np.ndarray:
        return np.random.default_rng(frame_id.im_id).integers(0, 255, (*SHAPE, 3), np.uint8)

    def read_depth(self, frame_id: FrameId) -> np.ndarray:
        return np.full(SHAPE, 0.8, np.float32)

    def read_intrinsics(self, frame_id: FrameId) -> np.ndarray:
        return K


def measure(frames: int) -> dict[str, float]:
    """Cache the crops, train a few steps; peak memory in MB."""
    SIZES["small"] = replace(SIZES["small"], crop_px=32)
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir()
        save_mesh_ply(CATALOGUE[BOX_ID].mesh(), models / "obj_000001.ply")
        options = TrainOptions(
            DataOptions(Path(folder), "train", models=models),
            find_recipe("paper"),
            Limit(max_steps=STEPS),
            cache=CacheOptions(Path(folder) / "c"),
        )
        train(_MadeUp(frames, models), options, Path(folder) / "run", make_fabric("cpu"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    return {"frames": frames, "peak_memory_mb": peak, "above_import_mb": peak - imported}


def main() -> None:
    """Measure every length in its own process; print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", nargs="+", type=int, default=[1000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    rows = []
    for frames in options.frames:
        command = [sys.executable, __file__, "--one", str(frames)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    if options.json:
        print(json.dumps(provenance() | {"runs": rows}))
        return
    print_provenance()
    for row in rows:
        print(*(f"{name} {value:.0f}" for name, value in row.items()), sep=", ")


if __name__ == "__main__":
    main()
