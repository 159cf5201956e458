"""ONNX files against torch: the worst element of their outputs, and how long each takes on one core."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.network.config import DenseFusionConfig
from selfpose6d.network.graphs import Graph, RefinerGraph
from selfpose6d.network.pose_network import PoseNetwork

BATCHES = 1, 3
"""Sizes that are compared; neither is the one that the graph was traced with."""
STARTS = 8
"""Poses of each instance that a comparison network is given."""
TIMED_RUNS = 20
_DISTANCE_M = 0.7

Given = dict[str, Tensor]
"""Inputs of a graph by their names."""


class Agreement(NamedTuple):
    """How far ONNX Runtime is off torch at most, relative to the output's largest element where that is above 1."""

    difference: float
    output: str


class Latency(NamedTuple):
    """Milliseconds for one instance on one core, medians."""

    torch_ms: float
    onnx_ms: float


class OnnxNetwork:
    """An ONNX file in ONNX Runtime on one core."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def __call__(self, given: Given) -> list[np.ndarray]:
        """The outputs, in their order."""
        outputs = self._session.run(None, {name: value.numpy() for name, value in given.items()})
        return [np.asarray(value) for value in outputs]


def compare(onnx: OnnxNetwork, reference: Graph, network: PoseNetwork) -> Agreement:
    """Over batches of noise. Not finite is infinitely far off."""
    found = []
    for batch in BATCHES:
        given = random_inputs(reference, network, batch)
        pairs = zip(reference.outputs, onnx(given), run_torch(reference, given), strict=True)
        for name, value, expected in pairs:
            off = np.abs(value - expected).max() / max(1.0, np.abs(expected).max())
            found.append(Agreement(float(off) if np.isfinite(off) else np.inf, name))
    return max(found)


def run_torch(graph: Graph, given: Given) -> list[np.ndarray]:
    """The outputs, in their order."""
    with torch.inference_mode():
        outputs = graph(*given.values())
    return [value.numpy() for value in (outputs if isinstance(outputs, tuple) else (outputs,))]


def measure(onnx: OnnxNetwork, reference: Graph, network: PoseNetwork) -> Latency:
    """In turns, so that what else the machine does falls on both."""
    given, threads = random_inputs(reference, network, 1), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ways = (lambda: run_torch(reference, given)), (lambda: onnx(given))
        times = np.array([[_time_ms(way) for way in ways] for _ in range(TIMED_RUNS)])
    finally:
        torch.set_num_threads(threads)
    return Latency(*np.median(times[TIMED_RUNS // 4 :], axis=0).tolist())


def _time_ms(call: Callable[[], object]) -> float:
    """Processor time of this thread, which is all that either uses: a busy machine changes it little."""
    start_s = time.thread_time()
    call()
    return 1e3 * (time.thread_time() - start_s)


def random_inputs(graph: Graph, network: PoseNetwork, batch: int, seed: int = 0) -> Given:
    """Noise of the size of the network's objects, 0.7 m away, in place of crops."""
    generator = torch.Generator().manual_seed(seed)
    config = network.config
    crop, points = config.crop_px, config.num_points
    index = torch.arange(batch) % len(network.objects.obj_ids)
    diameter_m = torch.tensor(network.objects.diameter_m)[index]

    def uniform(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, generator=generator)

    surface_m = (uniform(3, crop, crop) - 0.5) * diameter_m[:, None, None, None]
    mask, known = uniform(crop, crop) < 0.5, uniform(crop, crop) < 0.7
    flags = torch.stack([known & mask, mask], 1).float()
    T_cam_crop = torch.eye(4).repeat(batch, 1, 1)
    T_cam_crop[:, 2, 3] = _DISTANCE_M
    T_crop_obj = _random_poses(diameter_m, generator)
    values = {
        "rgb": uniform(3, crop, crop),
        "surface": torch.cat([surface_m * flags[:, :1], flags], 1),
        "depth_m": (_DISTANCE_M + surface_m[:, 2]) * known,
        "mask": mask,
        "K_crop": _filling_camera(diameter_m, crop),
        "T_cam_crop": T_cam_crop,
        "points_crop_m": (uniform(points, 3) - 0.5) * diameter_m[:, None, None],
        "pixel": torch.randint(0, crop**2, (batch, points), generator=generator),
        "object_index": index,
        "colour": uniform(points, config.colour_channels if isinstance(config, DenseFusionConfig) else 1),
        "T_crop_obj": T_crop_obj[:, 0] if isinstance(graph, RefinerGraph) else T_crop_obj,
    }
    return {name: values[name].contiguous() for name in graph.inputs}


def _random_poses(diameter_m: Tensor, generator: torch.Generator) -> Tensor:
    batch = len(diameter_m)
    R = random_rotations(batch * STARTS, generator).unflatten(0, (batch, STARTS))
    shift = 0.1 * torch.rand(batch, STARTS, 3, generator=generator)
    return make_transform(R, shift * diameter_m[:, None, None])


def _filling_camera(diameter_m: Tensor, crop_px: int) -> Tensor:
    """A camera in which the diameter is 0.8 of the crop's side."""
    K = torch.eye(3).repeat(len(diameter_m), 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = 0.8 * crop_px * _DISTANCE_M / diameter_m
    K[:, :2, 2] = (crop_px - 1) / 2
    return K
