"""What `find` certifies where none of its objects is: other objects, hands, an empty table, a wall. Nothing is right.

    python benchmarks/false_finds.py MODELS --objects 2 5 14 15 19 [--frames 200] [--seed 71] [--work DIR]

Other objects are the remaining meshes of MODELS on rendered tables (half of the frames), hands are made of capsules and
have the colour of skin (a quarter), tables and walls are planes with patterns and a camera's noise (a quarter).
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from selfpose6d.datasets.options import DataOptions
from selfpose6d.finding.finder import Finder
from selfpose6d.objects.of_dataset import object_store
from selfpose6d.synthetic.backdrop import octave_noise
from selfpose6d.types import Frame

K = np.array([[1066.778, 0.0, 312.987], [0.0, 1067.487, 241.311], [0.0, 0.0, 1.0]])
HEIGHT, WIDTH = 480, 640


def main() -> None:
    """Print how many were certified of each kind of frame, and how long a frame takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--objects", type=int, nargs="+", required=True)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--seed", type=int, default=71)
    parser.add_argument("--work", type=Path, default=None)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    generator = np.random.default_rng(options.seed)
    store = object_store(rendered(options, work, "others").open(without_masks=True), "cpu")
    finder, counts = Finder(store), dict.fromkeys(options.objects, None)
    for kind, frames in (
        ("other objects", stored(rendered(options, work, "others"))),
        ("hands", stored(rendered(options, work, "hands"))),
        ("planes", planes(generator, options.frames // 4)),
    ):
        certified, count, least = Counter[int](), 0, []
        for frame in frames:
            count += 1
            for one in finder(frame, counts).found:
                least.append(one.pose.confidence)
                if one.certified:
                    certified[one.obj_id] += 1
                    print(
                        f"  certified: object {one.obj_id} in frame {frame.scene_id}/{frame.im_id}",
                        flush=True,
                    )
        highest = max(least, default=0.0)
        print(
            f"{kind}: {certified.total()} certified in {count} frames; most confident listed {highest:.2f}",
            flush=True,
        )


def rendered(options: argparse.Namespace, work: Path, kind: str) -> DataOptions:
    """Rendered frames of the other meshes, or of hands; the objects that are looked for are in none of them."""
    models, share = options.models, 2 if kind == "others" else 4
    ids = [int(path.stem[4:]) for path in sorted(models.glob("obj_*.ply"))]
    others = [obj_id for obj_id in ids if obj_id not in options.objects]
    if kind == "hands":
        models, others = work / "hand_models", [1, 2, 3, 4]
        write_hands(models, options.seed)
    root = work / kind
    command = [
        sys.executable, "-m", "selfpose6d", "synth", str(root), "--models", str(models), "--frames", "8",
        "--test-frames", str(options.frames // share), "--seed", str(options.seed), "--sensor", "mixed",
        "--objects", *map(str, others),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return DataOptions(root, "test", models=options.models)


def stored(data: DataOptions) -> Iterator[Frame]:
    """The frames of a data set."""
    dataset = data.open(without_masks=True)
    yield from map(dataset.load_frame, dataset.frame_ids())


def write_hands(folder: Path, seed: int) -> None:
    """Four hands of a palm and five fingers, each bent otherwise; in mm, as BOP has models."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for index in range(1, 5):
        palm = trimesh.creation.icosphere(subdivisions=3)
        palm.apply_scale([42, 46, 14])
        parts = [palm]
        for finger in range(5):
            root = np.array([-36 + 18 * finger, 34 - 4 * abs(finger - 2), 0.0])
            direction = np.array([0.25 * (finger - 2), 1.0, 0.0])
            bend = generator.uniform(0, 0.9)
            for length in (32, 24, 20):
                end = root + length * direction / np.linalg.norm(direction)
                parts.append(trimesh.creation.capsule(radius=8.5, height=length, count=[16, 16]))
                parts[-1].apply_transform(along(root, end))
                turn = trimesh.transformations.rotation_matrix(bend * generator.uniform(0.5, 1), [1, 0, 0])
                root, direction = end, turn[:3, :3] @ direction
        hand: Any = trimesh.util.concatenate(parts)
        skin = np.array([205, 160, 135]) * generator.uniform(0.5, 1.1)
        shade = skin + generator.normal(0, 5, (len(hand.vertices), 1))
        colours = np.clip(np.hstack([shade, np.full((len(shade), 1), 255)]), 0, 255).astype(np.uint8)
        hand.visual.vertex_colors = colours
        hand.export(folder / f"obj_{index:06d}.ply")


def along(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The transform that lays a capsule, which begins at 0 and rises along z, from one point to another."""
    T = np.array(trimesh.geometry.align_vectors([0, 0, 1], end - start))
    T[:3, 3] = start
    return T


def planes(generator: np.random.Generator, count: int) -> Iterator[Frame]:
    """A table before a wall, or a wall alone, with a pattern, and depth with a structured-light camera's noise."""
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    ray = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    for index in range(count):
        wall_m = generator.uniform(0.8, 2.5)
        tilt = generator.uniform(-0.5, 0.5, 2)
        depth = wall_m / np.maximum(1 + ray[..., 0] * tilt[0] + ray[..., 1] * tilt[1], 0.2)
        on_table = np.zeros(depth.shape, bool)
        if index % 2:
            height_m, pitch = generator.uniform(0.3, 0.7), generator.uniform(0.3, 1.2)
            down = ray @ np.array([0, np.cos(pitch), np.sin(pitch)])
            table = np.where(down > 0.05, height_m / np.maximum(down, 0.05), np.inf)
            on_table = table < depth
            depth = np.where(on_table, table, depth)
        rgb = np.empty((HEIGHT, WIDTH, 3))
        for where in (on_table, ~on_table):
            pattern = octave_noise(1024, generator)[:HEIGHT, :WIDTH, None]
            rgb[where] = (generator.uniform(40, 220, 3) + generator.uniform(5, 60) * pattern)[where]
        depth = depth + generator.normal(0, 1, depth.shape) * 0.0018 * depth**2
        depth = np.where(generator.random(depth.shape) < 0.03, 0.0, np.round(depth, 4))
        image = np.clip(rgb + generator.normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)
        yield replace(Frame("planes", 0, index, image, depth, K, ()))


if __name__ == "__main__":
    main()
