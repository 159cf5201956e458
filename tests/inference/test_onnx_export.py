"""Networks as ONNX: what torch computes, of any batch, in files that say all that a program needs to know."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TINY, TINY_COORDINATES, build_both
from small_roots import CUBE_M, cube, write_json, write_models

from selfpose6d.errors import CheckpointError, UsageError
from selfpose6d.geometry.rigid_fit import best_rotation
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.inference import onnx_check, onnx_export
from selfpose6d.inference.onnx_check import (
    BATCHES,
    OnnxNetwork,
    compare,
    random_inputs,
    run_torch,
    seen_inputs,
)
from selfpose6d.inference.onnx_export import TOLERANCE, export_network, refiner_path
from selfpose6d.network import coordinates
from selfpose6d.network.checkpoint import save_network
from selfpose6d.network.graphs import (
    ComparisonGraph,
    CoordinatesGraph,
    RefinerGraph,
)
from selfpose6d.network.interface import CropView, Fragments, NetworkInput
from selfpose6d.objects import shapes
from selfpose6d.objects.table import object_table

onnx = pytest.importorskip("onnx", reason="skipped: no onnx (pip install 'selfpose6d[export]')")
pytest.importorskip("onnxruntime", reason="skipped: no onnxruntime (pip install 'selfpose6d[export]')")
pytest.importorskip("onnxscript", reason="skipped: no onnxscript (pip install 'selfpose6d[export]')")

OBJECTS = object_table((1, 2), [cube(), cube()])
CONFIGS = {"coordinates": TINY_COORDINATES, "dense-fusion": TINY}
EXPORT = (
    "import sys; from pathlib import Path; from selfpose6d.cli.export_network import run; "
    "from selfpose6d.objects import shapes; shapes.GRID_CELLS = 24; from selfpose6d.network import coordinates; "
    "coordinates.AT_WORK = coordinates.AT_WORK._replace(fitted=4, rounds=1, last_rounds=1); "
    "sys.exit(run(*map(Path, sys.argv[1:])))"
)
"""With a coarse grid and few fits of poses, which are unrolled: a graph of a fifth of the size says as much."""
HALF_TURN = [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Meshes of two cubes; the second, it says, looks the same after half a turn."""
    folder = tmp_path_factory.mktemp("root") / "models"
    write_models(folder)
    info = {str(i): {"diameter": CUBE_M * 3**0.5 * 1e3, "name": name} for i, name in ((1, "die"), (2, "box"))}
    info["2"]["symmetries_discrete"] = [HALF_TURN]
    write_json(folder / "models_info.json", info)
    return folder


@pytest.fixture(scope="module", params=list(CONFIGS))
def exported(request, models, tmp_path_factory):
    """Of each architecture the network, the file that a process of its own wrote, and what it printed."""
    folder = tmp_path_factory.mktemp(request.param)
    network = build_both(CONFIGS[request.param], OBJECTS)
    save_network(folder / "best.safetensors", network, {})
    command = [sys.executable, "-c", EXPORT, folder / "best.safetensors", folder / "net.onnx", models]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return network, folder / "net.onnx", result.stdout


@pytest.fixture(autouse=True)
def few_fits(monkeypatch):
    few = coordinates.AT_WORK._replace(fitted=4, rounds=1, last_rounds=1)
    monkeypatch.setattr(coordinates, "AT_WORK", few)


def graphs_of(network, models: Path, monkeypatch):
    monkeypatch.setattr(shapes, "GRID_CELLS", 24)
    known = onnx_export._known(network, onnx_export.find_model_files(models))
    estimator = onnx_export._estimator_graph(network)
    return estimator, onnx_export._refiner_graph(network, known.shapes), known.shapes


def test_any_batch_gives_what_torch_gives(exported, models, monkeypatch):
    network, path, _ = exported
    *graphs, _ = graphs_of(network, models, monkeypatch)
    for graph, file in zip(graphs, (path, refiner_path(path)), strict=True):
        onnx.checker.check_model(onnx.load(file))
        session = OnnxNetwork(file.read_bytes())
        for batch in (*BATCHES, 2, 7):
            given = random_inputs(graph, network, batch, seed=batch)
            for name, value, expected in zip(
                graph.outputs, session(given), run_torch(graph, given), strict=True
            ):
                assert value.shape == expected.shape
                if name == "T_crop_obj" and isinstance(graph, CoordinatesGraph):
                    continue  # of noise it hangs on the last digit
                assert np.abs(value - expected).max() <= TOLERANCE, name


def test_the_estimator_is_the_networks_own(exported, models, monkeypatch):
    network, path, _ = exported
    graph, _, _ = graphs_of(network, models, monkeypatch)
    given = random_inputs(graph, network, 3)
    view = None
    if isinstance(graph, CoordinatesGraph):
        depth_m = torch.zeros_like(given["rgb"][:, 0])
        view = CropView(
            given["surface"], depth_m, given["mask"], depth_m[:, :3, :3], torch.eye(4).repeat(3, 1, 1)
        )
    inputs = NetworkInput(*(given[name] for name in NetworkInput._fields[:4]), view)
    with torch.inference_mode():
        expected = network.estimator(inputs)
    found = dict(zip(graph.outputs, OnnxNetwork(path.read_bytes())(given), strict=True))
    if expected.fragments is None:
        assert np.abs(found["T_crop_obj"] - expected.T_crop_obj.numpy()).max() <= TOLERANCE
        return
    for name, value in expected.fragments._asdict().items():
        assert np.abs(found[name] - value.numpy()).max() <= TOLERANCE
    R = found["T_crop_obj"][..., :3, :3]
    assert np.abs(R @ R.swapaxes(-1, -2) - np.eye(3)).max() < 1e-4


class Sure(torch.nn.Module):
    """In place of a head: that each measured point, which the layers before it hand on, is the object turned by `R`.

    A third of them it places elsewhere.
    """

    def __init__(self, R: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("R", R)

    def forward(self, points: torch.Tensor, object_index: torch.Tensor) -> Fragments:
        place = points @ self.R
        place = torch.where((torch.arange(points.shape[1]) % 3 == 0)[:, None], place.flip(-1), place)
        first = 20.0 * torch.nn.functional.one_hot(torch.zeros_like(place[..., 0], dtype=torch.long), 5)
        offset = place[:, :, None].expand(-1, -1, 4, -1)
        return Fragments(first.to(place), offset, torch.zeros_like(place[:, :4]))


class Points(torch.nn.Module):
    """In place of the layers before: the points."""

    def forward(self, rgb, stem, features, points, pixel):
        return points


def test_poses_that_fragments_agree_on_are_those_of_the_network(models, monkeypatch):
    """Fits by matrix products in the file, by a kernel in the network."""
    network = build_both(TINY_COORDINATES, OBJECTS)
    R = random_rotations(1, torch.Generator().manual_seed(0))[0]
    network.estimator.pixels, network.estimator.places = Points(), Sure(R)
    graph, *_ = graphs_of(network, models, monkeypatch)
    session = OnnxNetwork(onnx_export._onnx_file(graph, network, {}))
    for batch in (1, 4):
        given = random_inputs(graph, network, batch, seed=batch)
        found, expected = (
            session(given)[0],
            run_torch(CoordinatesGraph(graph.estimator, best_rotation), given)[0],
        )
        assert np.abs(found[:, 0] - expected[:, 0]).max() <= TOLERANCE
        assert np.abs(found[:, 0, :3, :3] - R.numpy()).max() < 0.01


@pytest.mark.parametrize("exported", ["coordinates"], indirect=True)
def test_poses_of_what_is_seen_are_compared_where_the_network_is_sure(exported, models, monkeypatch):
    network, path, _ = exported
    estimator, _, known = graphs_of(network, models, monkeypatch)
    session = OnnxNetwork(path.read_bytes())
    assert compare(session, estimator, network, known.surfaces).difference <= TOLERANCE
    sure = build_both(TINY_COORDINATES, OBJECTS)
    sure.estimator.pixels, sure.estimator.places = Points(), Sure(torch.eye(3))
    reference = CoordinatesGraph(sure.estimator).eval()
    given = seen_inputs(reference, sure, known.surfaces, 2)

    def off_by(shift_m: float) -> float:
        values = run_torch(reference, given)
        values[0][:, 0, 0, 3] += shift_m
        return max(onnx_check._of_sure_poses(reference, given, values)).difference

    assert off_by(0.0) == 0
    assert off_by(0.01) == pytest.approx(0.01, rel=1e-3)
    assert off_by(0.15) == pytest.approx(0.15, rel=1e-3)  # another pose, with less support
    assert off_by(np.nan) == np.inf


def test_what_is_seen_of_an_object_lies_on_it(models, monkeypatch):
    network = build_both(TINY_COORDINATES, OBJECTS)
    graph, _, known = graphs_of(network, models, monkeypatch)
    given = seen_inputs(graph, network, known.surfaces, 3)
    assert list(given) == list(graph.inputs)
    surface, mask = given["surface"], given["mask"]
    assert (mask.flatten(1).sum(1) > 100).all()
    assert torch.equal(surface[:, 4] > 0, mask)
    assert not surface[:, :3].masked_select(~mask[:, None]).any()
    points_m = surface[:, :3].flatten(2).gather(2, given["pixel"][:, None].expand(-1, 3, -1)).mT
    assert torch.equal(points_m, given["points_crop_m"])
    from_centre_m = points_m.norm(dim=-1)  # of a cube
    assert (from_centre_m >= CUBE_M / 2 - 1e-4).all()
    assert (from_centre_m <= CUBE_M * 3**0.5 / 2 + 1e-4).all()
    assert (points_m[..., 2].mean(1) < -CUBE_M / 8).all()  # its front


def test_steps_one_by_one_are_those_of_the_networks_own_refinement(exported, models, monkeypatch):
    network, path, _ = exported
    _, graph, known = graphs_of(network, models, monkeypatch)
    given, session = random_inputs(graph, network, 2), OnnxNetwork(refiner_path(path).read_bytes())
    steps, rated = 2, []
    with torch.inference_mode():
        if isinstance(graph, RefinerGraph):
            rest = given["points_crop_m"], given["T_crop_obj"], given["object_index"]
            expected = network.refiner(given["colour"], *rest, known.surfaces.grid, steps)
        else:
            view = CropView(given["rgb"].repeat(1, 2, 1, 1)[:, :5], *list(given.values())[1:5])
            inputs = NetworkInput(*(given[name] for name in NetworkInput._fields[:4]), view)
            refined = network.refiner(inputs, given["T_crop_obj"], known.surfaces, steps)
            expected = refined.T_crop_obj.transpose(1, 2)[:, 1:]
    for step in range(steps):
        T, *rating = session(given)
        assert np.abs(T - expected[:, step].numpy()).max() <= TOLERANCE
        rated.append(rating)
        given["T_crop_obj"] = torch.from_numpy(T)
    if isinstance(graph, ComparisonGraph):
        sharpness = refined.rating.sharpness[..., :steps].numpy()
        assert np.abs(np.stack([one for one, _ in rated], -1) - sharpness).max() <= TOLERANCE


@pytest.mark.parametrize("exported", ["coordinates"], indirect=True)
def test_starts_are_as_many_as_one_likes(exported, models, monkeypatch):
    network, path, _ = exported
    _, graph, _ = graphs_of(network, models, monkeypatch)
    session, given = OnnxNetwork(refiner_path(path).read_bytes()), random_inputs(graph, network, 1)
    T, sharpness, _ = session(given)
    for count in (1, 5):
        T_few, sharpness_few, _ = session(given | {"T_crop_obj": given["T_crop_obj"][:, :count]})
        assert np.abs(T_few - T[:, :count]).max() <= TOLERANCE
        assert np.abs(sharpness_few - sharpness[:, :count]).max() <= TOLERANCE


def test_the_files_say_what_a_program_needs(exported):
    network, path, printed = exported
    props = [
        {prop.key: prop.value for prop in onnx.load(file).metadata_props}
        for file in (path, refiner_path(path))
    ]
    estimator, refiner = (json.loads(each["selfpose6d"]) for each in props)
    assert estimator == refiner
    assert estimator["refiner"] == "net.refiner.onnx"
    assert estimator["crop_px"] == network.config.crop_px
    first, second = estimator["objects"]
    assert (first["id"], first["name"], second["id"], second["name"]) == (1, "die", 2, "box")
    assert first["diameter_m"] == pytest.approx(CUBE_M * 3**0.5)
    assert (len(first["T_obj_sym"]), len(second["T_obj_sym"])) == (1, 2)
    assert "objects: 1 die, 2 box" in printed
    assert printed.count("off torch") == 2


@pytest.mark.parametrize("exported", ["dense-fusion"], indirect=True)
def test_a_refiner_that_has_learnt_nothing_is_left_out(exported, models, tmp_path, monkeypatch):
    network, path, _ = exported
    untrained = copy.deepcopy(network)
    with torch.no_grad():
        for head in (untrained.refiner.rotation, untrained.refiner.translation):
            head.output_weight.zero_()
            head.output_bias.zero_()
    save_network(tmp_path / "net.safetensors", untrained, {})
    monkeypatch.setattr(onnx_export, "_onnx_file", lambda *_: path.read_bytes())
    found = export_network(tmp_path / "net.safetensors", tmp_path / "net.onnx")
    assert found.refiner is None
    assert found.metadata["refiner"] is None
    assert found.metadata["refine_steps"] == 0
    assert [file.name for file in tmp_path.glob("*.onnx")] == ["net.onnx"]


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    path = tmp_path / "net.safetensors"
    save_network(path, build_both(TINY_COORDINATES, OBJECTS), {})
    return path


def test_another_kind_of_file_is_refused(checkpoint, tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        export_network(checkpoint, tmp_path / "net.pt")


def test_meshes_that_nobody_names_are_asked_for(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="there are none"):
        export_network(checkpoint, tmp_path / "net.onnx")


def test_a_missing_package_is_named(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        UsageError, match=r"needs onnxscript, which is not installed\. Install the export extra"
    ):
        export_network(checkpoint, tmp_path / "net.onnx")


def test_files_that_do_not_agree_with_torch_are_not_written(exported, models, tmp_path, monkeypatch):
    network, path, _ = exported
    contents = iter([path.read_bytes(), refiner_path(path).read_bytes()])
    monkeypatch.setattr(onnx_export, "_onnx_file", lambda *_: next(contents))
    monkeypatch.setattr(shapes, "GRID_CELLS", 24)
    another = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in another.estimator.parameters():
            parameter.mul_(1.1)
    save_network(tmp_path / "net.safetensors", another, {})
    with pytest.raises(CheckpointError, match="would differ from torch"):
        export_network(tmp_path / "net.safetensors", tmp_path / "net.onnx", models)
    assert not list(tmp_path.glob("*.onnx"))
