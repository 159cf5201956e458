"""How long things take here, measured on a few frames before anything long begins."""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch

from selfpose6d.crops.crop import crop_instance
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.errors import DataError
from selfpose6d.inference.options import PredictOptions
from selfpose6d.inference.predictor import Predictor
from selfpose6d.labeling.annotate import AnnotateOptions, annotate
from selfpose6d.network.config import SIZES, Size
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.shapes import ObjectShapes, build_object_shapes
from selfpose6d.objects.store import ObjectStore
from selfpose6d.objects.table import object_table
from selfpose6d.processes import default_workers
from selfpose6d.reproduction.budget import Rates
from selfpose6d.reproduction.parts import Part
from selfpose6d.reproduction.plan import Column, Plan
from selfpose6d.types import Frame

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset

MEASURED_FRAMES = 3
"""After the first, which warms up; spread evenly over the split."""
MB = 1e6


@dataclass(frozen=True)
class Measured:
    """The rates, the most memory that it took to find them, MB, and the instances that they were measured on."""

    rates: Rates
    peak_mb: float
    instances: int


def measure_rates(plan: Plan, train: Part, test: Part, size: Size, device: str) -> Measured:
    """Cut, annotate and estimate a few frames as the plan's columns will; a network's weights do not change its time.

    Searches of many frames run on every core, `estimate` on one process: rates are those of the whole machine.

    Raises:
        SelfPose6DError: what the data sets and meshes give cause for.
    """
    dataset = test.open()
    frames, _ = _pilot_frames(dataset)
    obj_ids = sorted({instance.key.obj_id for frame in frames for instance in frame.instances})
    meshes = [dataset.load_mesh(obj_id) for obj_id in obj_ids]
    build_object_shapes(meshes)
    start_s = time.perf_counter()
    train.open().fingerprint()
    shapes = build_object_shapes([dataset.load_mesh(obj_id) for obj_id in obj_ids]).to(device)
    start_s = time.perf_counter() - start_s
    by_column = _instance_seconds(plan, dataset, frames, size, device, shapes)
    train_dataset = train.open()
    train_frames, load_s = _pilot_frames(train_dataset)
    crop_px = SIZES[size].crop_px
    cut_s = seconds_an_item(
        train_frames, lambda frame: [crop_instance(frame, item, crop_px) for item in frame.instances], None
    )
    labels = any(training.needs == "labels" for training in plan.trainings)
    label_s = by_column.get("annotation", 0.0)
    if labels and not label_s:
        label_s = _search_seconds(dataset, frames, device, AnnotateOptions()) / _workers(device)
    rates = Rates(start_s, load_s + cut_s, by_column, label_s)
    instances = sum(len(frame.instances) for frame in frames[1:])
    return Measured(rates, peak_mb(), instances)


def _instance_seconds(
    plan: Plan, dataset: "Dataset", frames: list[Frame], size: Size, device: str, shapes: ObjectShapes
) -> dict[str, float]:
    """Seconds an instance of each column. Verifying is taken to cost what annotating does: it may search as much.

    `annotate` works on every core, `estimate` in one process.
    """
    search = cache(lambda: _search_seconds(dataset, frames, device, AnnotateOptions()))
    network = cache(lambda: _network_seconds(dataset, frames, size, device, shapes))

    def of(column: Column) -> float:
        if column.training is not None:
            return search() if column.searches else network()
        alone_s = search() if column.searches else _search_seconds(dataset, frames, device, _icp(column))
        return alone_s / _workers(device)

    return {column.name: of(column) for column in plan.columns}


def _workers(device: str) -> int:
    """How many times faster several processes are; on a GPU that they share it is not known: counted as one."""
    return default_workers() if device == "cpu" else 1


def _icp(column: Column) -> AnnotateOptions:
    backward = "model-to-observed" in column.options
    return AnnotateOptions(method="icp", direction="model-to-observed" if backward else "observed-to-model")


def _search_seconds(dataset: "Dataset", frames: list[Frame], device: str, options: AnnotateOptions) -> float:
    symmetries = read_symmetries(dataset.models.folder)
    store = ObjectStore(dataset.object_ids, dataset.load_mesh, symmetries, default_cache_dir(), device)
    for frame in frames:  # what is prepared once for each object is not part of an instance's time
        for instance in frame.instances:
            _ = store[instance.key.obj_id]
    return seconds_an_item(frames, lambda frame: annotate(frame, store, options), _count)


def _network_seconds(
    dataset: "Dataset", frames: list[Frame], size: Size, device: str, shapes: ObjectShapes
) -> float:
    obj_ids = sorted({instance.key.obj_id for frame in frames for instance in frame.instances})
    table = object_table(obj_ids, [dataset.load_mesh(obj_id) for obj_id in obj_ids])
    network = PoseNetwork(SIZES[size], table).to(torch.device(device))
    predictor = Predictor(network, PredictOptions("network"), shapes)
    return seconds_an_item(frames, predictor.predict, _count)


def _count(frame: Frame) -> int:
    return len(frame.instances)


def seconds_an_item(
    frames: list[Frame], work: Callable[[Frame], object], count: Callable[[Frame], int] | None
) -> float:
    """Seconds of work an item of the frames after the first; `count` None: a frame is an item."""
    work(frames[0])
    start_s = time.perf_counter()
    for frame in frames[1:]:
        work(frame)
    items = sum(count(frame) for frame in frames[1:]) if count else len(frames) - 1
    return (time.perf_counter() - start_s) / max(items, 1)


def _pilot_frames(dataset: "Dataset") -> tuple[list[Frame], float]:
    """Readable frames that show a selected object, the first one twice where there is one only; seconds of loading."""
    frame_ids = dataset.frame_ids()
    step = max(1, len(frame_ids) // (MEASURED_FRAMES + 1))
    ordered = [*frame_ids[::step], *frame_ids]
    frames, times_s = [], []
    for frame_id in dict.fromkeys(ordered):
        start_s = time.perf_counter()
        try:
            frame = dataset.load_frame(frame_id)
        except DataError:
            continue
        if frame.instances:
            frames.append(frame)
            times_s.append(time.perf_counter() - start_s)
        if len(frames) > MEASURED_FRAMES:
            break
    if not frames:
        raise DataError(
            f"{dataset.root}: no readable frame of split {dataset.split} has a usable instance of the selected "
            f"objects. Run selfpose6d validate {dataset.root}."
        )
    return ([frames[0], *frames] if len(frames) == 1 else frames), sorted(times_s)[len(times_s) // 2]


def peak_mb() -> float:
    """Most resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB
