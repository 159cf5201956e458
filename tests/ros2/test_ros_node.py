"""The node between stubs of ROS: pairs images, publishes what is certified, warns of what it cannot use."""

import json

import numpy as np
import pytest
from small_roots import CAM_K, DISTANCE_M, colour_image, cube, depth_image_mm, masks

from selfpose6d import Certificate, Instance, InstanceKey, LabeledPose
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import SelfPose6DError
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.selection import Selection

CERTIFIED = Certificate("certified", "", 0.98, 0.2, 0.001, 0.9, 0.01, 0.9, inlier_ratio=0.95, noise_m=0.001)


@pytest.fixture
def meshes(tmp_path) -> list[str]:
    save_mesh_ply(cube(), tmp_path / "die.ply")
    return [f"1={tmp_path / 'die.ply'}", f"2={tmp_path / 'die.ply'}"]


@pytest.fixture
def start(ros, meshes, monkeypatch):
    """A node with these parameters; without `real` every instance gets a pose, object 2 a rejected one."""

    def started(real: bool = False, **parameters):
        ros.Node.given = {"meshes": meshes} | parameters
        from selfpose6d_ros import node as module

        node = module.PoseNode()
        if not real:
            node._estimator = Certain()
        topics = {one.topic: one for one in node._images.subscribers}
        return node, topics

    return started


class Certain:
    """In place of an estimator."""

    def __call__(self, rgb, depth_m, K, instances):
        from selfpose6d_ros.covariance import View
        from selfpose6d_ros.estimation import Estimates

        T = np.eye(4)
        T[2, 3] = DISTANCE_M
        rejected = Certificate.not_verified("nothing fits")
        poses = [
            LabeledPose(one.key, T, 0.98, certificate=CERTIFIED if one.key.obj_id == 1 else rejected)
            for one in instances
        ]
        return Estimates(poses, {one.key: View(K, int(one.mask.sum())) for one in instances})

    def find(self, rgb, depth_m, K):
        return self(rgb, depth_m, K, [Instance(InstanceKey("", 0, 0, 1, 0), depth_m > 0)])


def send(ros, topics, stamps: dict[str, float] | None = None, **changes) -> None:
    """One set of images; `stamps` of topics that are not at second 5."""
    labels = np.zeros(masks()[0].shape, np.uint8)
    for value, mask in enumerate(masks(), start=1):
        labels[mask > 0] = value
    sent = {
        "rgb": ros.image(colour_image(1), "rgb8"),
        "depth": ros.image(depth_image_mm(), "16UC1"),
        "camera_info": ros.CameraInfo(k=list(CAM_K)),
        "masks": ros.image(labels, "mono8"),
    } | changes
    for topic, subscriber in topics.items():
        when = (stamps or {}).get(topic, 5.0)
        sent[topic].header = ros.Header(ros.Time(int(when), round(when % 1 * 1e9)), "optical")
        subscriber.receive(sent[topic])


def test_what_is_certified_goes_out_with_the_images_stamp_and_frame(ros, start):
    node, topics = start()
    send(ros, topics)
    ((topic, message),) = node.published
    assert topic == "detections"
    assert (message.header.frame_id, message.header.stamp.sec) == ("optical", 5)
    assert [detection.id for detection in message.detections] == ["die_0"]
    (transform,) = node._broadcaster.sent
    assert (transform.header.frame_id, transform.child_frame_id) == ("optical", "die_0")
    assert transform.transform.translation.z == pytest.approx(DISTANCE_M)


def test_nothing_found_is_an_empty_array_not_silence(ros, start):
    node, topics = start()
    send(ros, topics, masks=ros.image(np.zeros(masks()[0].shape, np.uint8), "mono8"))
    assert node.published[0][1].detections == []
    assert node._broadcaster.sent == []


def test_images_of_one_time_are_paired(ros, start):
    node, topics = start()
    send(ros, topics, {"depth": 5.02, "masks": 4.98})
    assert len(node.published) == 1
    send(ros, topics, {"rgb": 6.0, "depth": 6.5, "camera_info": 6.0, "masks": 6.0})
    assert len(node.published) == 1


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"depth": ("16UC1", (24, 32), np.uint16)}, "take the depth that is aligned"),
        ({"masks": ("mono8", (24, 32), np.uint8)}, "masks are"),
        ({"depth": ("8UC1", (48, 64), np.uint8)}, "depth must be"),
    ],
)
def test_images_that_do_not_fit_are_warned_of_and_the_next_ones_taken(ros, start, change, warning):
    node, topics = start()
    ((topic, (encoding, shape, kind)),) = change.items()
    send(ros, topics, **{topic: ros.image(np.ones(shape, kind), encoding)})
    assert node.published == []
    assert warning in node.warnings[0]
    send(ros, topics, dict.fromkeys(topics, 6.0))
    assert len(node.published) == 1


def test_boxes_need_no_label_image_and_no_masks_no_topic(ros, start):
    from selfpose6d_ros.conversions import instances_from_boxes

    _, topics = start(masks="boxes")
    assert topics["masks"].kind is ros.Detection2DArray
    node, topics = start(masks="none")
    assert set(topics) == {"rgb", "depth", "camera_info"}
    send(ros, topics)
    assert [detection.id for detection in node.published[0][1].detections] == ["die_0"]
    assert instances_from_boxes(ros.Detection2DArray(), {"die": 1}, (4, 4)) == ()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [({"masks": "polygons"}, "masks must be one of"), ({"meshes": [""]}, "no meshes")],
)
def test_parameters_that_cannot_be_are_named(start, parameters, match):
    with pytest.raises(SelfPose6DError, match=match):
        start(**parameters)


def test_every_argument_of_the_launch_file_is_a_parameter_of_the_node(ros):
    import ast
    from pathlib import Path

    from selfpose6d_ros import node

    launch = Path(node.__file__).parents[1] / "launch" / "pose.launch.py"
    assigned = {
        statement.targets[0].id: statement.value
        for statement in ast.parse(launch.read_text()).body
        if isinstance(statement, ast.Assign)
    }
    names = [key.value for key in assigned["PARAMETERS"].keys]
    assert set(names) <= set(node.PARAMETERS)


@pytest.mark.parametrize("kind", ["labels", "boxes", "none"])
def test_a_real_frame_gives_the_pose_within_what_its_covariance_says(ros, start, ycbv_sample, kind):
    """The mustard bottle of a YCB-Video frame, searched for in its mask, in its box, or anywhere: no network."""
    dataset = DataOptions(ycbv_sample, "test", Selection(scenes=(1,), objects=(5,))).open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    (instance,) = frame.instances
    node, topics = start(real=True, masks=kind, meshes=[f"5={dataset.models.find(5).path}"])
    labels = ros.image(np.where(instance.mask, np.uint8(5), np.uint8(0)), "mono8")
    send(
        ros,
        topics,
        rgb=ros.image(np.ascontiguousarray(frame.rgb[..., ::-1]), "bgr8"),
        depth=ros.image(frame.depth_m.astype(np.float32), "32FC1"),
        camera_info=ros.CameraInfo(k=frame.K.reshape(-1).tolist()),
        masks=labels if kind == "labels" else box_about(ros, instance.mask),
    )
    assert node.warnings == []
    (detection,) = node.published[0][1].detections
    assert detection.id == "obj_000005_0"
    path = ycbv_sample / "test" / f"{frame.scene_id:06d}" / "scene_gt.json"
    truth = json.loads(path.read_text())[str(frame.im_id)][instance.key.inst_id]
    result = detection.results[0].pose
    place = result.pose.position
    off_m = np.array([place.x, place.y, place.z]) - np.array(truth["cam_t_m2c"]) / 1e3
    sigma_m = np.sqrt(np.diag(np.array(result.covariance).reshape(6, 6))[:3])
    assert np.linalg.norm(off_m) < 0.01
    assert (np.abs(off_m) < 4 * sigma_m).all(), (off_m, sigma_m)
    assert np.linalg.norm(sigma_m) < 0.01


def box_about(ros, mask: np.ndarray):
    """A Detection2DArray with one box, whose class is the mesh's name."""
    rows, columns = np.nonzero(mask)
    detection, result = ros.Detection2D(), ros.ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = "obj_000005", 0.9
    detection.results.append(result)
    detection.bbox.center.position.x = (columns.min() + columns.max() + 1) / 2
    detection.bbox.center.position.y = (rows.min() + rows.max() + 1) / 2
    detection.bbox.size_x, detection.bbox.size_y = np.ptp(columns) + 1.0, np.ptp(rows) + 1.0
    return ros.Detection2DArray(detections=[detection])
