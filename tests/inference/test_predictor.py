"""The predictor: frames in, estimates out, in order, with reasons; refinement and verification never make it worse."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from networks import TINY_COORDINATES, build_both
from small_roots import CAM_K, cube, depth_image_mm, masks, write_bop, write_models

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import CheckpointError, DataError, UsageError
from selfpose6d.inference import verifier
from selfpose6d.inference.hypotheses import HALF_FROM
from selfpose6d.inference.options import PredictOptions
from selfpose6d.inference.predictor import Predictor
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.calibration import default_calibration
from selfpose6d.labeling.certificate import CertificateOptions, CertifiedPose
from selfpose6d.network.checkpoint import save_network
from selfpose6d.network.interface import ObjectTable
from selfpose6d.objects import shapes
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import load_known_meshes, object_table, require_all_meshes
from selfpose6d.types import Certificate, Frame, Instance, InstanceKey, LabeledPose, PoseEstimate

OBJECTS = object_table((1, 2), [cube(), cube()])
K = np.array(CAM_K).reshape(3, 3)


@pytest.fixture
def network():
    """Untrained, with weights so small that it puts objects close to the points it sees."""
    network = build_both(objects=OBJECTS, seed=3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.3)
    return network


def image() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    return rgb, depth_image_mm().astype(np.float32) / 1e3, [mask > 0 for mask in masks()]


def test_one_estimate_per_mask_in_their_order(network):
    rgb, depth_m, both = image()
    poses = Predictor(network)(rgb, depth_m, K, [*both, both[0]], [2, 1, 2])
    assert [pose.key.obj_id for pose in poses] == [2, 1, 2]
    assert [pose.key.inst_id for pose in poses] == [0, 1, 2]
    assert all(pose.valid and 0 < pose.confidence < 1 for pose in poses)
    R = np.stack([pose.T_cam_obj[:3, :3] for pose in poses])
    assert np.allclose(R @ R.transpose(0, 2, 1), np.eye(3), atol=1e-5)
    assert np.allclose(poses[0].T_cam_obj, poses[2].T_cam_obj, atol=0.05)


def test_a_batch_gives_what_each_instance_gives_alone(network):
    rgb, depth_m, both = image()
    predictor = Predictor(network)
    together = predictor(rgb, depth_m, K, both, [1, 2])
    alone = predictor(rgb, depth_m, K, both[:1], [1])
    assert np.allclose(together[0].T_cam_obj, alone[0].T_cam_obj, atol=1e-5)


@pytest.mark.parametrize("count", [HALF_FROM - 1, HALF_FROM])
def test_half_precision_is_for_several_instances_at_once(network, count):
    rgb, depth_m, both = image()
    whole, half = (
        Predictor(network, PredictOptions(bf16=bf16))(rgb, depth_m, K, both[:1] * count, [1] * count)
        for bf16 in (False, True)
    )
    same = [np.array_equal(one.T_cam_obj, other.T_cam_obj) for one, other in zip(whole, half, strict=True)]
    assert same == [count < HALF_FROM] * count
    assert np.allclose(whole[0].T_cam_obj, half[0].T_cam_obj, atol=0.05)


def test_the_pose_follows_the_object_through_the_image(network):
    """The same image of the object, moved towards the border: the pose moves and rotates with the line of sight."""
    rgb, depth_m, both = image()
    depth_m = np.where(both[0], depth_m, 0).astype(np.float32)
    moved = [np.roll(array, 12, axis=1) for array in (rgb, depth_m, both[0])]
    predictor = Predictor(network)
    here = predictor(rgb, depth_m, K, [both[0]], [1])[0].T_cam_obj
    there = predictor(*moved[:2], K, [moved[2]], [1])[0].T_cam_obj
    assert there[0, 3] - here[0, 3] == pytest.approx(12 / 100 * 0.5, abs=0.015)


def test_too_few_points_and_unknown_objects_have_a_reason_and_no_pose(network):
    rgb, depth_m, both = image()
    small = np.zeros_like(both[0])
    small[20:26, 30:36] = True
    poses = Predictor(network)(rgb, depth_m, K, [small, both[0], both[1]], [1, 7, 2])
    assert [pose.valid for pose in poses] == [False, False, True]
    assert poses[0].reason == "too few points: 36 mask pixels with depth, need 50"
    assert poses[1].reason == "object 7 is unknown to the model (1 2)"
    assert np.isnan(poses[0].T_cam_obj).all()


def test_a_frame_without_instances_has_no_estimates(network):
    rgb, depth_m, _ = image()
    assert Predictor(network)(rgb, depth_m, K, [], []) == []


@pytest.mark.parametrize("fault", ["millimetres", "camera", "masks", "count"])
def test_input_that_cannot_be_is_refused(network, fault):
    rgb, depth_m, both = image()
    scale = 1e3 if fault == "millimetres" else 1.0
    camera = np.zeros((3, 3)) if fault == "camera" else K
    given = [both[0][:20]] if fault == "masks" else both[:1]
    ids = [1, 2] if fault == "count" else [1]
    with pytest.raises((DataError, UsageError)):
        Predictor(network)(rgb, (depth_m * scale).astype(np.float32), camera, given, ids)


def test_icp_lays_the_cube_on_what_was_seen(network):
    rgb, depth_m, both = image()
    options = PredictOptions(refine="icp", refine_steps=60)
    predictor = Predictor(network, options, build_object_shapes([cube(), cube()]))
    T = predictor(rgb, depth_m, K, both[:1], [1])[0].T_cam_obj
    rows, columns = np.nonzero(both[0])
    seen = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones(len(rows))], 1) * 0.5
    in_object = (seen - T[:3, 3]) @ T[:3, :3]
    distance = np.abs(np.abs(in_object).max(axis=1) - 0.05)
    assert np.median(distance) < 0.004


def test_hypotheses_are_the_clusters(network):
    rgb, depth_m, both = image()
    seen = []

    def verifier(frame, instance, T_cam_obj):
        seen.append(T_cam_obj)
        return PoseEstimate.none(instance.key, "")

    options = PredictOptions(verify=True, hypotheses=3)
    shapes = build_object_shapes([cube(), cube()])
    Predictor(network, options, shapes, verifier)(rgb, depth_m, K, both[:1], [1])
    [hypotheses] = seen
    assert hypotheses.shape == (3, 4, 4)
    plain = Predictor(network, PredictOptions(hypotheses=3))(rgb, depth_m, K, both[:1], [1])[0]
    assert np.allclose(hypotheses[0].numpy(), plain.T_cam_obj, atol=1e-6)


@pytest.mark.parametrize("can_look", [True, False])
def test_the_verifier_decides_where_it_can_look(network, can_look):
    certified = Certificate("certified", "", 0.77, 0.3, 0.001, 0.99, 0.0, 0.8)
    unable = "too few points"
    seen = []

    def verifier(frame, instance, T_cam_obj):
        seen.append(T_cam_obj.shape)
        if can_look:
            return CertifiedPose(torch.eye(4), certified)
        return PoseEstimate.none(instance.key, unable)

    rgb, depth_m, both = image()
    options = PredictOptions(verify=True, hypotheses=4)
    shapes = build_object_shapes([cube(), cube()])
    pose = Predictor(network, options, shapes, verifier)(rgb, depth_m, K, both[:1], [1])[0]
    plain = Predictor(network, PredictOptions(hypotheses=4))(rgb, depth_m, K, both[:1], [1])[0]
    assert seen == [(4, 4, 4)]
    expected = (np.eye(4), 0.77) if can_look else (plain.T_cam_obj, plain.confidence)
    assert np.allclose(pose.T_cam_obj, expected[0])
    assert pose.confidence == pytest.approx(expected[1])
    assert isinstance(pose, LabeledPose)
    if can_look:
        assert pose.certificate == certified
    else:
        assert pose.certificate.status == "rejected"
        assert pose.certificate.reason == unable
        assert pose.certificate.confidence == pose.confidence
        assert pose.certificate.source == "hypotheses"
        assert np.isnan(pose.certificate.coverage)
    assert not isinstance(plain, LabeledPose)


def test_verification_follows_the_certifying_options(network, tmp_path, monkeypatch):
    """Risk, calibration, mask quality, noise and seed arrive where hypotheses are verified."""
    rgb, depth_m, both = image()
    save_network(tmp_path / "net.safetensors", network, {})
    mine = replace(default_calibration(), made_from={"mine": 1})
    certificate = CertificateOptions(risk=0.05, calibration=mine)
    annotate = AnnotateOptions(mask_quality="rough", depth_noise_m=0.003, certificate=certificate)
    asked = []

    def observations(seen, instance, model, quality, options, generator):
        asked.append((seen.noise.at(0.5), quality, options, generator.random()))
        return ["the observation"]

    def verify(found, T_cam_obj, options):
        asked.append((found, T_cam_obj.shape, options.search, options.certificate, options.search_doubtful))
        return CertifiedPose(torch.eye(4), Certificate("certified", "", 0.9, 0.3, 0.001, 0.99, 0.0, 0.8))

    monkeypatch.setattr(shapes, "GRID_CELLS", 24)
    on_cpu = SimpleNamespace(device=torch.device("cpu"))
    monkeypatch.setattr(verifier, "ObjectStore", lambda obj_ids, *_: dict.fromkeys(obj_ids, on_cpu))
    monkeypatch.setattr(verifier, "observations", observations)
    monkeypatch.setattr(verifier, "verify", verify)
    options = PredictOptions(verify=True, annotate=annotate, search=False, seed=9)
    loaded = Predictor.load(tmp_path / "net.safetensors", {1: cube(), 2: cube()}, options)
    (pose,) = loaded(rgb, depth_m, K, both[:1], [1])
    drawn = replace(annotate, seed=9).generator(Instance(InstanceKey("", 0, 0, 1, 0), both[0])).random()
    assert asked == [
        (0.003, "rough", annotate.observation, drawn),
        (["the observation"], (5, 4, 4), annotate.search, certificate, False),
    ]
    assert pose.confidence == 0.9


def test_time_is_kept_per_stage(network):
    rgb, depth_m, both = image()
    predictor = Predictor(network)
    predictor(rgb, depth_m, K, both, [1, 2])
    assert set(predictor.times_s) == {"crop", "network", "cluster"}
    assert predictor.num_instances == 2


def test_a_saved_network_is_loaded_with_its_models(network, tmp_path):
    rgb, depth_m, both = image()
    save_network(tmp_path / "net.safetensors", network, {})
    write_models(tmp_path / "models")
    expected = Predictor(network)(rgb, depth_m, K, both, [1, 2])
    for models in (None, tmp_path / "models", {1: cube(), 2: cube()}):
        loaded = Predictor.load(tmp_path / "net.safetensors", models)
        poses = loaded(rgb, depth_m, K, both, [1, 2])
        assert all(np.array_equal(a.T_cam_obj, b.T_cam_obj) for a, b in zip(poses, expected, strict=True))


def test_refining_without_meshes_says_what_to_pass(network, tmp_path):
    save_network(tmp_path / "net.safetensors", network, {})
    for options in (PredictOptions(refine="icp"), PredictOptions(verify=True)):
        with pytest.raises(UsageError, match=r"pass models \(--models DIR\)"):
            Predictor.load(tmp_path / "net.safetensors", None, options)


@pytest.mark.parametrize(
    ("meshes", "message"),
    [
        ({5: cube()}, "trained on objects 1 2, the meshes are of 5"),
        ({1: cube(0.13), 2: cube()}, "object 1 is 0.2252 m across, the model was trained on one of 0.1732 m"),
    ],
)
def test_a_network_of_other_objects_is_refused(meshes, message):
    with pytest.raises(CheckpointError, match=message):
        load_known_meshes(OBJECTS, meshes)


def test_some_of_the_networks_objects_are_enough_where_no_mesh_is_used():
    meshes = load_known_meshes(OBJECTS, {2: cube(), 9: cube()})
    assert list(meshes) == [2]
    with pytest.raises(CheckpointError, match="no mesh of 1"):
        require_all_meshes(OBJECTS, meshes)


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="--refine-steps"):
        PredictOptions(refine_steps=-1)


def test_shapes_are_stacked_in_the_networks_order():
    shapes = build_object_shapes([cube(0.1), cube(0.3)])
    assert shapes.points_m.shape == (2, 500, 3)
    assert shapes.points_m.abs().amax((1, 2)).tolist() == pytest.approx([0.05, 0.15], abs=1e-3)
    assert len(shapes.grid.cell_m) == 2


def test_the_table_knows_size_and_centre():
    moved = replace(cube(), vertices_m=cube().vertices_m + np.float32([1, 2, 3]))
    table = object_table((4,), [moved])
    assert isinstance(table, ObjectTable)
    assert table.diameter_m[0] == pytest.approx(0.1 * 3**0.5, rel=1e-5)
    assert table.centre_m[0] == pytest.approx((1, 2, 3), rel=1e-5)


def test_a_whole_frame_of_a_data_set(tmp_path, network):
    root = write_bop(tmp_path / "set", {1: 1})
    dataset = DataOptions(root, "test").open()
    poses = Predictor(network).predict(dataset.load_frame(dataset.frame_ids()[0]))
    assert [pose.key[:4] for pose in poses] == [("test", 1, 1, 1), ("test", 1, 1, 2)]


def of_coordinates(options: PredictOptions) -> Predictor:
    """A network whose ratings and corrections are none of them 0."""
    return Predictor(build_both(TINY_COORDINATES, OBJECTS), options, build_object_shapes([cube(), cube()]))


def test_modes_are_refined_and_the_best_rated_pose_is_taken():
    rgb, depth_m, both = image()
    alone, once, twice, by_default = (
        of_coordinates(options)(rgb, depth_m, K, both[:1], [1])[0]
        for options in (
            PredictOptions(),
            PredictOptions(refine="network", refine_steps=1),
            PredictOptions(refine="network", refine_steps=2),
            PredictOptions(refine="network"),
        )
    )
    assert alone.path == ()
    assert [step.name for step in twice.path] == ["estimator", "network-1", "network-2"]
    assert np.allclose(twice.path[0].T_cam_obj, alone.T_cam_obj, atol=1e-6)
    assert np.allclose(twice.path[1].T_cam_obj, once.T_cam_obj, atol=1e-6)
    assert np.allclose(twice.path[2].T_cam_obj, twice.T_cam_obj)
    assert 0 < alone.confidence < 1
    assert [step.name for step in by_default.path[3:]] == ["network-3", "network-4", "network-5", "network-6"]
    for step, before in zip(by_default.path, twice.path, strict=False):
        assert np.allclose(step.T_cam_obj, before.T_cam_obj, atol=1e-6)
    assert np.allclose(by_default.path[-1].T_cam_obj, by_default.T_cam_obj)


def test_hypotheses_of_modes_are_distinct_poses_the_best_first():
    rgb, depth_m, both = image()
    predictor = of_coordinates(PredictOptions("network", hypotheses=2))
    frame = Frame("", 0, 0, rgb, depth_m, K, (Instance(InstanceKey("", 0, 0, 1, 0), both[0]),))
    [hypotheses] = predictor.propose(frame).values()
    [estimate] = predictor.predict(frame)
    assert hypotheses.shape == (2, 4, 4)
    assert np.allclose(hypotheses[0].numpy(), estimate.T_cam_obj, atol=1e-6)


def test_modes_are_not_predicted_without_meshes_to_rate_them_by():
    with pytest.raises(UsageError, match="pass models"):
        Predictor(build_both(TINY_COORDINATES))
