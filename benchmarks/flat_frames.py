"""What the framework itself costs per frame: 10^4 to 10^6 frames with poses made up here, and nowhere else.

A data set that lists frames and repeats the content of one; work that gives a pose without looking. Measured are the
list of frames, the journal, going on after a stop, the result files, the merge of shards, export's closing files and
evaluate: seconds and the process's largest memory. One process each, so that memory is its own.

    python benchmarks/flat_frames.py --frames 10000 100000 1000000
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

FRAMES_PER_SCENE = 2_000
"""YCB-Video's scenes have as many."""
STEPS = ("start", "journal", "resume", "results", "shards", "merge", "export", "evaluate")
POSE = {"R": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], "t_mm": [12.5, -34.25, 812.125]}


def made_up_row(scene_id: int, im_id: int) -> dict:
    """A certificate's row as `annotate` writes it; true poses are 5 mm off, every tenth one is rejected."""
    rejected = im_id % 10 == 0
    return {
        "split": "test",
        "scene_id": scene_id,
        "im_id": im_id,
        "obj_id": 1,
        "inst_id": 0,
        "status": "rejected" if rejected else "certified",
        "reason": "look-alikes" if rejected else "",
        "confidence": 0.25 if rejected else 0.5 + im_id % 50 / 100,
        **dict.fromkeys(
            ("margin", "rms_m", "inlier_ratio", "noise_m", "coverage", "free_space", "colour", "score"), 0.125
        ),
        "risk": 0.01,
        "bound": 0.02,
        "calibration": "0123456789abcdef",
        "mask_quality": "exact",
        **POSE,
        "alternatives": [],
        "time_s": 0.25,
    }


def frames_of(count: int) -> Iterator[tuple[int, int]]:
    """Scene and image of each frame."""
    for scene_id in range((count + FRAMES_PER_SCENE - 1) // FRAMES_PER_SCENE):
        for im_id in range(1, min(FRAMES_PER_SCENE, count - scene_id * FRAMES_PER_SCENE) + 1):
            yield scene_id, im_id


def make_dataset(root: Path, count: int):
    """A BOP data set whose scenes list frames that repeat one image; files of true poses are written as they are."""
    import numpy as np

    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.datasets.masks import MaskEntry, MaskSource
    from selfpose6d.datasets.model_files import ModelFile, ModelFiles
    from selfpose6d.selection import Selection

    class OneMask(MaskSource):
        def entries(self, frame_id):
            return (MaskEntry(1, 0),)

        def load(self, frame_id, entry, shape):
            return np.ones(shape, bool)

        def inputs(self, frame_id):
            return ()

    class Repeated(Dataset):
        layout = "bop"

        def scene_ids(self) -> Sequence[int]:
            return range((count + FRAMES_PER_SCENE - 1) // FRAMES_PER_SCENE)

        def list_scene(self, scene_id: int) -> Sequence[int]:
            return range(1, min(FRAMES_PER_SCENE, count - scene_id * FRAMES_PER_SCENE) + 1)

        def rgb_path(self, frame_id):
            return root / "image.png"

        def read_depth(self, frame_id):
            return np.full((4, 4), 0.8)

        def read_intrinsics(self, frame_id):
            return np.array([[4.0, 0, 1.5], [0, 4.0, 1.5], [0, 0, 1]])

        def image_inputs(self, frame_id):
            return ()

    mesh = root / "models" / "obj_000001.ply"
    models = ModelFiles(root / "models", {1: ModelFile(1, "box", mesh, "mm")}, {"box": 1})
    return Repeated(root, "test", Selection(), models, OneMask())


def work(frame_id):
    """The record of a frame, without looking at it."""
    from selfpose6d.runs.journal import JournalRecord

    return JournalRecord(frame_id, (made_up_row(*frame_id),), time_s=0.25)


def write_truths(root: Path, count: int) -> None:
    """`scene_gt.json` and `scene_camera.json` of every scene, and a mesh of a box."""
    (root / "models").mkdir(parents=True, exist_ok=True)
    corners = [(x, y, z) for x in (-50, 50) for y in (-30, 30) for z in (-20, 20)]
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6)]
    faces += [(0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
    header = "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nproperty float y\nproperty float z\n"
    lines = [" ".join(map(str, corner)) for corner in corners]
    lines += [f"3 {a} {b} {c}" for a, b, c in faces]
    header += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    (root / "models" / "obj_000001.ply").write_text(header + "\n".join(lines) + "\n")
    true = {"cam_R_m2c": POSE["R"], "cam_t_m2c": [POSE["t_mm"][0] + 5, *POSE["t_mm"][1:]], "obj_id": 1}
    camera = {"cam_K": [4.0, 0, 1.5, 0, 4.0, 1.5, 0, 0, 1], "depth_scale": 1.0}
    for first in range(0, count, FRAMES_PER_SCENE):
        scene = root / "test" / f"{first // FRAMES_PER_SCENE:06d}"
        scene.mkdir(parents=True, exist_ok=True)
        images = [str(i) for i in range(1, min(FRAMES_PER_SCENE, count - first) + 1)]
        (scene / "scene_gt.json").write_text(json.dumps({image: [true] for image in images}))
        (scene / "scene_camera.json").write_text(json.dumps(dict.fromkeys(images, camera)))


def open_run(folder: Path, dataset):
    """A run folder as `annotate` opens it."""
    from selfpose6d.runs.config import DataConfig, RunContext, new_config
    from selfpose6d.runs.folder import RunFolder

    data = DataConfig("test", dataset.fingerprint())
    return RunFolder.open(folder, new_config("annotate", data, {"seed": 0}, RunContext(dataset.root, "cpu")))


def start(root: Path, count: int) -> None:
    """Until the first frame is worked on."""
    dataset = make_dataset(root, count)
    run = open_run(root / "run", dataset)
    next(frame_id for frame_id in dataset.frame_ids() if frame_id not in run.journal)


def journal(root: Path, count: int) -> None:
    """Every frame's row appended."""
    from selfpose6d.reporting.console import keep_records

    dataset = make_dataset(root, count)
    run = open_run(root / "run", dataset)
    left = (frame_id for frame_id in dataset.frame_ids() if frame_id not in run.journal)
    keep_records(run, map(work, left), count, "annotate")


def resume(root: Path, count: int) -> None:
    """A run whose last frame is missing goes on: until that frame is found."""
    path = root / "run" / "journal.jsonl"
    with path.open("r+b") as file:
        file.seek(-10, 2)
        file.truncate()
    dataset = make_dataset(root, count)
    run = open_run(root / "run", dataset)
    [left] = (frame_id for frame_id in dataset.frame_ids() if frame_id not in run.journal)
    run.journal.append(work(left))


def results(root: Path, count: int) -> None:
    """Result files and the summary of them."""
    from selfpose6d.reporting.run_summary import print_summary
    from selfpose6d.runs.outputs import ResultFiles

    dataset = make_dataset(root, count)
    run = open_run(root / "run", dataset)
    run.write_results(ResultFiles(), dataset.object_names())
    print_summary(run.files, dataset.object_names())


def shards(root: Path, count: int) -> None:
    """The same rows in shards of 1,000 frames."""
    from selfpose6d.runs.shards import ShardFiles, plan_shards

    dataset, files = make_dataset(root, count), ShardFiles(root / "merged" / "shards")
    for shard in plan_shards(dataset.frame_ids(), 1_000):
        files.write(shard.name, map(work, shard.frame_ids()))


def merge(root: Path, count: int) -> None:
    """Shards into the journal."""
    from selfpose6d.runs.manifest import Manifest
    from selfpose6d.runs.merge import merge_shards
    from selfpose6d.runs.outputs import ResultFiles
    from selfpose6d.runs.shards import plan_shards

    dataset = make_dataset(root, count)
    run = open_run(root / "merged", dataset)
    names = (shard.name for shard in plan_shards(dataset.frame_ids(), 1_000))
    merge_shards(run, Manifest.of_run(run.config, "", 1_000, ResultFiles(), names))


def export(root: Path, count: int) -> None:
    """The labels of all frames in order, and the closing files of BOP's and COCO's form; no image is written."""
    from selfpose6d.export import bop, coco_dataset
    from selfpose6d.export.labels import read_frame_labels
    from selfpose6d.selection import FrameId

    def rows() -> Iterator[tuple[FrameId, dict]]:
        mask = {"counts": [10, 5, 1], "size": [4, 4]}
        entry = {"category_id": 1, "iscrowd": 0, "ignore": False, "area": 5, "bbox": [0, 0, 4, 4]}
        camera = {"cam_K": [4.0, 0, 1.5, 0, 4.0, 1.5, 0, 0, 1], "depth_scale": 1.0}
        for labels in read_frame_labels(root / "run", ("certified", "reviewed")):
            im_id = labels.frame_id.im_id
            found = len(labels.accepted)
            yield (
                labels.frame_id,
                {
                    "camera": camera,
                    "gt": [{"cam_R_m2c": POSE["R"], "cam_t_m2c": POSE["t_mm"], "obj_id": 1}] * found,
                    "info": [{"visib_fract": 1.0, "bbox_obj": [0, 0, 4, 4]}] * found,
                    "labels": [{"inst_id": 0}] * found,
                    "image": {"id": im_id, "file_name": f"rgb/{im_id:06d}.png", "width": 4, "height": 4},
                    "annotations": [entry | {"image_id": im_id, "segmentation": mask}] * found,
                },
            )

    for scene_id in range((count + FRAMES_PER_SCENE - 1) // FRAMES_PER_SCENE):
        (root / "exported" / "test" / f"{scene_id:06d}").mkdir(parents=True, exist_ok=True)
    bop.write_scenes(root / "exported", "test", rows(), {1: "box"})
    coco_dataset.write_annotations(root / "coco", "test", rows(), {1: "box"})


def evaluate(root: Path, count: int) -> None:
    """Every number of `results.json`, and `instances.csv`."""
    from selfpose6d.cli.main import main

    assert main(["evaluate", str(root / "run"), str(root), "--targets", "all", "--quiet"]) == 0


def measured(step: Callable[[Path, int], None], root: Path, count: int) -> None:
    """Print seconds and memory of a step, those of its imports apart."""
    import selfpose6d.cli.evaluate
    import selfpose6d.evaluation.evaluate
    import selfpose6d.export.export
    import selfpose6d.reporting.run_summary  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF)
    start_s = time.perf_counter()
    step(root, count)
    wall_s = time.perf_counter() - start_s
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "wall_s": wall_s,
                "user_s": after.ru_utime - before.ru_utime,
                "peak_mb": after.ru_maxrss / 1024,
                "imports_mb": before.ru_maxrss / 1024,
            }
        )
    )


def main() -> None:
    """Run every step for every number of frames in a process of its own, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=STEPS)
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--one", help="one step, in this process")
    options = parser.parse_args()
    if options.one:
        measured(globals()[options.one], options.folder, options.frames[0])
        return
    print(
        f"{time.strftime('%Y-%m-%d')} {platform.processor() or platform.machine()}, one core of this machine"
    )
    print(
        "| frames | step | s | user s | frames/s | peak MB | above imports MB |\n|---|---|---|---|---|---|---|"
    )
    for count in options.frames:
        with tempfile.TemporaryDirectory() as temporary:
            root = (options.folder or Path(temporary)) / str(count)
            root.mkdir(parents=True, exist_ok=True)
            write_truths(root, count)
            for step in options.steps:
                command = [
                    sys.executable,
                    __file__,
                    "--one",
                    step,
                    "--folder",
                    str(root),
                    "--frames",
                    str(count),
                ]
                out = subprocess.run(command, capture_output=True, text=True)
                if out.returncode:
                    print(f"| {count:,} | {step} | failed: {out.stderr.strip().splitlines()[-1]} |")
                    continue
                row = json.loads(out.stdout.strip().splitlines()[-1])
                above = row["peak_mb"] - row["imports_mb"]
                print(
                    f"| {count:,} | {step} | {row['wall_s']:.2f} | {row['user_s']:.2f} | {count / row['wall_s']:,.0f} "
                    f"| {row['peak_mb']:.0f} | {above:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
