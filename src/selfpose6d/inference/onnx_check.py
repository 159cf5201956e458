"""ONNX files against torch: the worst element of their outputs, and how long each takes on one core."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.network.config import DenseFusionConfig
from selfpose6d.network.fragment_poses import Witnesses, about_centre
from selfpose6d.network.graphs import CoordinatesGraph, Graph, RefinerGraph
from selfpose6d.network.interface import Fragments, Surfaces
from selfpose6d.network.pose_network import PoseNetwork

BATCHES = 1, 3
"""Sizes that are compared; neither is the one that the graph was traced with."""
STARTS = 8
"""Poses of each instance that a comparison network is given."""
TIMED_RUNS = 20
SURE_SHARE = 0.2
"""Of the pixels: a pose that as many support does not change with the last digit of what is computed."""
SAME_POSE, SAME_SUPPORT = 0.1, 0.98
"""Elements of poses that differ by more are those of other poses; with this share of the other's support, as good."""
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


def compare(
    onnx: OnnxNetwork, reference: Graph, network: PoseNetwork, surfaces: Surfaces | None = None
) -> Agreement:
    """Over batches of noise, and where fragments become poses also of views of the `surfaces`.

    Not finite is infinitely far off.
    """
    found = []
    for batch in BATCHES:
        given = random_inputs(reference, network, batch)
        values, expected = onnx(given), run_torch(reference, given)
        if isinstance(reference, CoordinatesGraph):
            found += _differences(reference.outputs[1:], values[1:], expected[1:])
            assert surfaces is not None
            given = seen_inputs(reference, network, surfaces, batch)
            found += _of_sure_poses(reference, given, onnx(given))
        else:
            found += _differences(reference.outputs, values, expected)
    return max(found)


def _differences(
    names: Iterable[str], values: Iterable[np.ndarray], expected: Iterable[np.ndarray]
) -> Iterator[Agreement]:
    for name, value, other in zip(names, values, expected, strict=True):
        off = np.abs(value - other).max(initial=0.0) / max(1.0, np.abs(other).max(initial=0.0))
        yield Agreement(float(off) if np.isfinite(off) else np.inf, name)


def _of_sure_poses(
    reference: CoordinatesGraph, given: Given, values: Sequence[np.ndarray]
) -> Iterator[Agreement]:
    """The fragments, and the first pose of instances of which the network is sure: what draws and votes make of noise
    hangs on the last digit. Of a pose that is another one as well supported, so does which of the two is first.
    """
    expected = run_torch(reference, given)
    if not np.isfinite(values[0]).all():
        yield Agreement(np.inf, reference.outputs[0])
    found = Fragments(*map(torch.from_numpy, expected[1:]))
    support, own = (_first_support(reference, given, found, T[:, :1]) for T in (expected[0], values[0]))
    sure = support > SURE_SHARE
    other = (np.abs(values[0] - expected[0])[:, 0].max((1, 2)) > SAME_POSE) & (own > SAME_SUPPORT * support)
    first, wanted = (T[sure & ~other, :1] for T in (values[0], expected[0]))
    yield from _differences(reference.outputs, [first, *values[1:]], [wanted, *expected[1:]])


def _first_support(
    reference: CoordinatesGraph, given: Given, found: Fragments, T_crop_obj: Float[np.ndarray, "batch 1 4 4"]
) -> Float[np.ndarray, " batch"]:
    """The share of pixels that agree with these poses."""
    index = given["object_index"]
    centre_m, diameter_m = reference.estimator.centre_m[index], reference.estimator.diameter_m[index]
    T = about_centre(torch.from_numpy(T_crop_obj), centre_m, diameter_m)
    return Witnesses.of(found, given["points_crop_m"] / diameter_m[:, None, None]).share(T)[:, 0].numpy()


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


def seen_inputs(graph: Graph, network: PoseNetwork, surfaces: Surfaces, batch: int, seed: int = 0) -> Given:
    """The objects in random orientations, 0.7 m away, as far as the samples of their surfaces tell."""
    given = random_inputs(graph, network, batch, seed)
    generator, crop, index = (
        torch.Generator().manual_seed(seed),
        network.config.crop_px,
        given["object_index"],
    )
    R = random_rotations(batch, generator)
    about_m = (surfaces.grid.points_m[index] - surfaces.centre_m[index][:, None]) @ R.mT
    ray_m = about_m + torch.tensor([0.0, 0.0, _DISTANCE_M])
    faces = (surfaces.grid.normals[index] @ R.mT * ray_m).sum(-1) < 0
    place = ray_m @ _filling_camera(surfaces.diameter_m[index], crop).mT
    column, row = (place[..., :2] / place[..., 2:]).round().long().clamp(0, crop - 1).unbind(-1)
    rgb, surface = (
        np.full((batch, 3, crop, crop), 0.5, np.float32),
        np.zeros((batch, 5, crop, crop), np.float32),
    )
    for k in range(batch):
        order = ray_m[k, :, 2].argsort(descending=True)  # of samples in one pixel the nearest is written last
        order = order[faces[k][order]].numpy()
        at = row[k].numpy()[order], column[k].numpy()[order]
        rgb[k][:, *at] = surfaces.rgb[index[k]].numpy()[order].T
        surface[k][:3, *at], surface[k][3:, *at] = about_m[k].numpy()[order].T, 1.0
    shown = torch.from_numpy(surface)
    pixel = torch.multinomial(shown[:, 4].flatten(1), given["pixel"].shape[1], True, generator=generator)
    points_m = shown[:, :3].flatten(2).gather(2, pixel[:, None].expand(-1, 3, -1)).mT.contiguous()
    own = {"rgb": torch.from_numpy(rgb), "surface": shown, "mask": shown[:, 4] > 0}
    return given | own | {"pixel": pixel, "points_crop_m": points_m}


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
