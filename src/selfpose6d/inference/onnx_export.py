"""A trained network as ONNX files, checked against torch: the estimator, and one step of its refiner beside it."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selfpose6d.datasets.model_files import ModelFiles, find_model_files, require_models
from selfpose6d.errors import CheckpointError, UsageError
from selfpose6d.extras import missing_extra
from selfpose6d.files import write_whole
from selfpose6d.geometry.rigid_fit import best_rotation
from selfpose6d.geometry.symmetric_poses import Symmetries
from selfpose6d.inference.onnx_check import OnnxNetwork, compare, measure, random_inputs
from selfpose6d.inference.onnx_metadata import METADATA_KEY, network_metadata
from selfpose6d.meshes.units import Unit
from selfpose6d.network.checkpoint import load_network
from selfpose6d.network.comparison import PoseComparison
from selfpose6d.network.coordinates import CoordinateEstimator
from selfpose6d.network.graphs import (
    ComparisonGraph,
    CoordinatesGraph,
    DenseFusionGraph,
    Graph,
    RefinerGraph,
)
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.shapes import ObjectShapes, build_object_shapes
from selfpose6d.objects.symmetries import load_symmetries
from selfpose6d.objects.table import load_known_meshes, require_all_meshes
from selfpose6d.runs.files import find_checkpoint

OPSET = 20
TOLERANCE = 1e-4
"""Of outputs against torch's, relative to the output's largest element where that is above 1."""
MAX_GIB = 1.9
"""A protobuf file, which ONNX is, holds 2."""


@dataclass(frozen=True)
class ExportedGraph:
    """One ONNX file, how far it is off torch and how long each takes for one instance on one core."""

    path: Path
    difference: float
    """Worst element of all outputs, relative to the output's largest where that is above 1."""
    worst_output: str
    torch_ms: float
    onnx_ms: float


@dataclass(frozen=True)
class ExportedNetwork:
    """What was written; no `refiner` where it has learnt nothing and rates nothing."""

    estimator: ExportedGraph
    refiner: ExportedGraph | None
    metadata: Mapping[str, Any]

    @property
    def graphs(self) -> tuple[ExportedGraph, ...]:
        """Both, or the one that there is."""
        return (self.estimator,) if self.refiner is None else (self.estimator, self.refiner)


@dataclass(frozen=True)
class _Known:
    """What is known of the network's objects besides its weights; None where it is not needed."""

    files: ModelFiles | None
    shapes: ObjectShapes | None = None
    symmetries: Symmetries | None = None


def export_network(
    model: Path, to: Path, models: ModelFiles | Path | None = None, model_unit: Unit | None = None
) -> ExportedNetwork:
    """Write a network as `to` and, where it has one, its refiner beside it as `<name>.refiner.onnx`.

    Both are checked against torch before anything is written. Batches may have any size.

    Args:
        model: a training run's folder or a checkpoint file.
        to: the file to write, *.onnx.
        models: the objects' meshes, which a refiner that compares with them takes along.
        model_unit: unit of the meshes in a folder that does not say it.

    Raises:
        UsageError: `to` is no *.onnx, the packages are missing, or the meshes are needed and not to be found.
        CheckpointError: no checkpoint, a corrupt one, one of other models; or ONNX Runtime gives other poses.
    """
    _require_packages()
    if to.suffix != ".onnx":
        raise UsageError(f"--to {to}: a network is written as ONNX. Pass a name that ends in .onnx.")
    network, stored = load_network(find_checkpoint(model))
    if isinstance(models, Path):
        models = require_models(find_model_files(models, model_unit))
    known = _known(network, models)
    with_refiner = network.compares or network.refiner.trained
    paths = [to, refiner_path(to)] if with_refiner else [to]
    metadata = network_metadata(network, stored, known.files, known.shapes, known.symmetries)
    metadata |= {"refiner": paths[1].name if with_refiner else None}
    graphs = [_estimator_graph(network)]
    if with_refiner:
        graphs.append(_refiner_graph(network, known.shapes))
    contents = [_onnx_file(graph, network, metadata) for graph in graphs]
    found = [
        _checked(path, content, graph, network, known.shapes)
        for path, content, graph in zip(paths, contents, graphs, strict=True)
    ]
    for path, content in reversed(
        list(zip(paths, contents, strict=True))
    ):  # the refiner first: no network without
        write_whole(path, content)
    return ExportedNetwork(found[0], found[1] if with_refiner else None, metadata)


def refiner_path(to: Path) -> Path:
    """Where the refiner of the network in `to` is."""
    return to.with_name(f"{to.stem}.refiner.onnx")


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise missing_extra("export", str(error.name), needed_by="the export of a network") from None


def _known(network: PoseNetwork, files: ModelFiles | None) -> _Known:
    """What the refiner compares with, and which poses of its objects look alike."""
    if isinstance(network.refiner, PoseComparison):
        needs_meshes = True
    else:
        needs_meshes = network.refiner.residuals and network.refiner.trained
    if not needs_meshes:
        return _Known(files)
    if files is None:
        raise UsageError(
            "the refinement network compares with the objects' meshes, which become part of the file, and there are "
            "none. Pass the models it was trained with (--models DIR)."
        )
    meshes = require_all_meshes(network.objects, load_known_meshes(network.objects, files))
    by_id = dict(zip(network.objects.obj_ids, meshes, strict=True))
    symmetries = load_symmetries(files.folder, network.objects.obj_ids, by_id.__getitem__)
    return _Known(files, build_object_shapes(meshes), symmetries)


def _estimator_graph(network: PoseNetwork) -> Graph:
    if isinstance(network.estimator, CoordinateEstimator):
        return CoordinatesGraph(network.estimator).eval()
    return DenseFusionGraph(network.estimator).eval()


def _refiner_graph(network: PoseNetwork, shapes: ObjectShapes | None) -> Graph:
    if isinstance(network.refiner, PoseComparison):
        assert shapes is not None
        return ComparisonGraph(network.refiner, shapes.surfaces).eval()
    return RefinerGraph(network.refiner, shapes and shapes.surfaces).eval()


def _onnx_file(graph: Graph, network: PoseNetwork, metadata: Mapping[str, Any]) -> bytes:
    """The file's content, valid by the format's rules."""
    import onnx

    given = random_inputs(graph, network, 2)
    sizes = {name: {0: torch.export.Dim("batch")} for name in graph.inputs}
    if isinstance(graph, ComparisonGraph):
        sizes["T_crop_obj"][1] = torch.export.Dim("starts")
    with _quiet():
        program = torch.onnx.export(
            graph,
            tuple(given.values()),
            dynamo=True,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=sizes,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    if proto.ByteSize() > MAX_GIB * 2**30:
        raise UsageError(
            f"weights and meshes of {len(network.objects.obj_ids)} objects take {proto.ByteSize() / 2**30:.1f} GiB, an "
            "ONNX file holds 2. Train networks of fewer objects."
        )
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _checked(
    path: Path, content: bytes, graph: Graph, network: PoseNetwork, shapes: ObjectShapes | None
) -> ExportedGraph:
    """Run the file beside torch's own way.

    Raises:
        CheckpointError: they differ.
    """
    reference = graph
    if isinstance(graph, CoordinatesGraph):
        reference = CoordinatesGraph(graph.estimator, best_rotation).eval()
    onnx = OnnxNetwork(content)
    difference, output = compare(onnx, reference, network, shapes and shapes.surfaces)
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{path.name} would differ from torch by {difference:.1e} in {output}, allowed is {TOLERANCE:.0e}: nothing "
            "was written. Train the network on, or report this as an error of selfpose6d."
        )
    return ExportedGraph(path, difference, output, *measure(onnx, reference, network))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's messages about packages that it could use and names that it does not take."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
