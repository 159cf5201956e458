"""Time from a recording to an exported data set: `import`, `find`, `report`, `export`, each as its own command.

    python benchmarks/recording_to_dataset.py ROOT [--split test] [--frames 100] [--masks] [--workers 2]

ROOT is a BOP root of one camera, such as `synth --models DIR --objects 2 5 14 15 19` makes it; its frames are written
into a bag first, all its models may be in every frame. `--masks`: with the masks of ROOT, by `annotate` in place of
`find`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from import_recordings import PERIOD_NS, Sender
from provenance import print_provenance
from selfpose6d.datasets.options import DataOptions
from selfpose6d.meshes.units import METRES_PER_MM


def main() -> None:
    """Write the bag, run the commands, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    print_provenance()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bag = write_bag(work / "bag", arguments.root, arguments.split, arguments.frames)
        models = ["--models", str(arguments.root / "models")]
        times_s = {"import": run("import", bag, work / "capture")}
        if arguments.masks:
            add_masks(arguments.root, arguments.split, arguments.frames, work / "capture" / "masks")
        finder = ["annotate"] if arguments.masks else ["find", "--counts", "known"]
        label = [finder[0], work / "capture", *models, "--out", work / "run", *finder[1:]]
        times_s[finder[0]] = run(*label, "--workers", arguments.workers)
        times_s["report"] = run("report", work / "run")
        times_s["export"] = run("export", work / "run", "--to", work / "dataset")
        poses = sum(
            len(entries)
            for path in (work / "dataset").rglob("scene_gt.json")
            for entries in json.loads(path.read_text()).values()
        )
    print("| command | wall s |\n|---|---|")
    for name, time_s in times_s.items():
        print(f"| {name} | {time_s:.1f} |")
    print(f"| all, {arguments.frames} frames, {poses} poses exported | {sum(times_s.values()):.1f} |")


def run(*words: object) -> float:
    """Seconds of one command, start included; 1 for unusable data is no failure here."""
    start_s = time.perf_counter()
    command = [sys.executable, "-m", "selfpose6d", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return time.perf_counter() - start_s


def write_bag(path: Path, root: Path, split: str, frames: int) -> Path:
    """An MCAP file of the split's first frames, depth registered to colour."""
    dataset = DataOptions(root, split=split).open(split)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        send = Sender(writer)
        for index, frame_id in enumerate(dataset.frame_ids()[:frames]):
            send.stamp_ns = 10**18 + index * PERIOD_NS
            K = dataset.read_intrinsics(frame_id)
            depth_mm = np.rint(dataset.read_depth(frame_id) / METRES_PER_MM).astype(np.uint16)
            send.camera("/camera/color/camera_info", "colour", K.ravel(), ())
            send.camera("/camera/depth/camera_info", "colour", K.ravel(), ())
            send.image("/camera/color/image_raw", "colour", dataset.read_rgb(frame_id), "rgb8")
            send.image("/camera/depth/image_raw", "colour", depth_mm, "16UC1")
    return next(path.glob("*.mcap"))


def add_masks(root: Path, split: str, frames: int, folder: Path) -> None:
    """The masks of the root as a capture folder has them: frame k's are k-th, whatever import called its images."""
    dataset = DataOptions(root, split=split).open(split)
    names = sorted(path.stem for path in (folder.parent / "rgb").iterdir())
    for stem, frame_id in zip(names, dataset.frame_ids()[:frames], strict=True):
        scene = root / split / f"{frame_id.scene_id:06d}" / "mask_visib"
        for key in dataset.instance_keys(frame_id):
            target = folder / str(key.obj_id) / f"{stem}_{key.inst_id}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(scene / f"{frame_id.im_id:06d}_{key.inst_id:06d}.png", target)


if __name__ == "__main__":
    main()
