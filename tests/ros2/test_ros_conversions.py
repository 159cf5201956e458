"""ROS messages to arrays and back, against stub messages: encodings, units, masks, boxes, poses."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from small_roots import cube

from selfpose6d import Certificate, InstanceKey, LabeledPose
from selfpose6d.types import Alternative

PIXELS = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
CERTIFIED = Certificate("certified", "", 0.98, 0.2, 0.001, 0.9, 0.01, 0.9, inlier_ratio=0.95, noise_m=0.001)


@pytest.fixture
def convert():
    from selfpose6d_ros import conversions

    return conversions


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
@pytest.mark.parametrize("padding", [0, 3])
def test_colours_come_red_first_whatever_the_encoding(ros, convert, encoding, padding):
    pixels = PIXELS[..., ::-1] if encoding.startswith("bgr") else PIXELS
    if "a8" in encoding:
        pixels = np.dstack([pixels, np.full((5, 7), 255, np.uint8)])
    assert np.array_equal(convert.rgb_image(ros.image(pixels, encoding, padding=padding)), PIXELS)


def test_grey_is_three_times_the_same(ros, convert):
    rgb = convert.rgb_image(ros.image(PIXELS[..., 0], "mono8"))
    assert np.array_equal(rgb, np.repeat(PIXELS[..., :1], 3, 2))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_whole_depths_are_millimetres_of_either_byte_order(ros, convert, encoding, order):
    depth_mm = np.array([[0, 1, 812], [1500, 65535, 400]], np.uint16)
    found = convert.depth_image_m(ros.image(depth_mm.astype(f"{order}u2"), encoding, padding=2))
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[0, 0.001, 0.812], [1.5, 0, 0.4]]))


def test_float_depths_are_metres_and_what_is_no_number_is_unknown(ros, convert):
    depth_m = np.array([[0.5, np.nan, np.inf], [-1, 1e10, 2.25]], np.float32)
    assert np.array_equal(convert.depth_image_m(ros.image(depth_m, "32FC1")), [[0.5, 0, 0], [0, 0, 2.25]])


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("encoding", "encoding 'yuv422' is not one of"),
        ("short", "The driver's message is broken"),
        ("colour", "is this the depth topic"),
        ("depth", r"depth must be 16UC1 \(millimetres\) or 32FC1"),
    ],
)
def test_what_cannot_be_read_is_named(ros, convert, fault, match):
    message = ros.image(PIXELS, "rgb8")
    if fault == "encoding":
        message.encoding = "yuv422"
    if fault == "short":
        message.data = message.data[:-10]
    read = convert.depth_image_m if fault == "depth" else convert.rgb_image
    if fault == "colour":
        message = ros.image(np.ones((4, 4), np.uint16), "16UC1")
    with pytest.raises(convert.MessageError, match=match):
        read(message)


def test_the_camera_is_k_and_of_rectified_images_p(ros, convert):
    info = ros.CameraInfo(
        k=[500.0, 0, 320, 0, 510, 240, 0, 0, 1], p=[450.0, 0, 310, 0, 0, 460, 230, 0, 0, 0, 1, 0]
    )
    assert convert.camera_matrix(info).tolist() == [[500, 0, 320], [0, 510, 240], [0, 0, 1]]
    info.d = [0.1, -0.2, 0, 0, 0]
    with pytest.raises(convert.MessageError, match="distorted"):
        convert.camera_matrix(info)
    assert convert.camera_matrix(info, rectified=True).tolist() == [[450, 0, 310], [0, 460, 230], [0, 0, 1]]
    with pytest.raises(convert.MessageError, match="not calibrated"):
        convert.camera_matrix(ros.CameraInfo())


@pytest.mark.parametrize(
    ("kind", "encoding"), [(np.uint8, "mono8"), (np.uint16, "mono16"), (np.int32, "32SC1")]
)
def test_labels_are_ids_or_ids_with_a_number(ros, convert, kind, encoding):
    labels = np.zeros((6, 8), kind)
    labels[:2, :3], labels[4:, 5:] = 5, 2
    expected = [(2, 0), (5, 0)]
    if encoding != "mono8":
        labels[2, 2] = 2003
        expected.append((2, 3))
    found = convert.instances_from_labels(ros.image(labels, encoding))
    assert [(one.key.obj_id, one.key.inst_id) for one in found] == expected
    assert np.array_equal(found[1].mask, labels == 5)
    assert not any(one.region for one in found)


def box(ros, class_id: str, score: float, centre: tuple[float, float], size: tuple[float, float]):
    detection = ros.Detection2D()
    for name, value in (("other", 0.1), (class_id, score)):
        result = ros.ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = name, value
        detection.results.append(result)
    detection.bbox.center.position.x, detection.bbox.center.position.y = centre
    detection.bbox.size_x, detection.bbox.size_y = size
    return detection


def test_boxes_are_regions_of_their_best_class_cut_by_the_image(ros, convert):
    boxes = [
        box(ros, "mug", 0.9, (4.0, 3.0), (4.0, 2.0)),
        box(ros, "7", 0.8, (9.0, 0.0), (6.0, 6.0)),
        box(ros, "chair", 0.9, (4.0, 3.0), (4.0, 2.0)),
        ros.Detection2D(),
        box(ros, "mug", 0.9, (40.0, 30.0), (4.0, 2.0)),
    ]
    found = convert.instances_from_boxes(
        ros.Detection2DArray(detections=boxes), {"mug": 1, "can": 7}, (6, 10)
    )
    assert [(one.key.obj_id, one.key.inst_id, one.region) for one in found] == [(1, 0, True), (7, 1, True)]
    mug, can = (np.argwhere(one.mask) for one in found)
    assert (mug.min(0).tolist(), mug.max(0).tolist()) == ([2, 2], [3, 5])
    assert (can.min(0).tolist(), can.max(0).tolist()) == ([0, 6], [2, 9])


def labeled(status: str, obj_id: int = 1, inst_id: int = 0, **changes) -> LabeledPose:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [0.3, -0.7, 2.0]).as_matrix()
    T[:3, 3] = 0.1, -0.2, 0.9
    certificate = replace(CERTIFIED, status=status, **changes)
    return LabeledPose(
        InstanceKey("", 0, 0, obj_id, inst_id), T, certificate.confidence, certificate=certificate
    )


def test_detections_carry_stamp_frame_pose_size_and_covariance(ros, convert):
    from selfpose6d_ros.covariance import View

    header = ros.Header(ros.Time(12, 34), "camera_optical_frame")
    poses = [
        labeled("certified"),
        labeled("rejected", 2),
        LabeledPose.none(InstanceKey("", 0, 0, 2, 1), "too few points"),
        labeled("certified", 2, 3),
    ]
    views = {pose.key: View(np.diag([500.0, 500, 1]), 4000) for pose in poses}
    meshes = {1: cube(0.1), 2: cube(0.2)}
    message = convert.detection_array(header, poses, meshes, {1: "die"}, views)
    assert message.header == header
    assert [detection.id for detection in message.detections] == ["die_0", "object_2_3"]
    for detection, pose, side_m in zip(message.detections, (poses[0], poses[3]), (0.1, 0.2), strict=True):
        assert detection.header == header
        (result,) = detection.results
        assert result.hypothesis.score == pytest.approx(0.98)
        assert matrix(result.pose.pose) == pytest.approx(pose.T_cam_obj)
        assert matrix(detection.bbox.center) == pytest.approx(pose.T_cam_obj)  # a cube about its origin
        assert detection.bbox.size.x == pytest.approx(side_m)
        assert len(result.pose.covariance) == 36
        assert all(isinstance(value, float) for value in result.pose.covariance)
    assert message.detections[0].results[0].hypothesis.class_id == "die"


def test_alternatives_are_further_hypotheses_and_the_first_covers_them(ros, convert):
    from selfpose6d_ros.covariance import View

    pose = labeled("ambiguous")
    turned = pose.T_cam_obj @ np.diag([-1.0, -1, 1, 1])
    pose = labeled("ambiguous", alternatives=(Alternative(pose.T_cam_obj, 0.6), Alternative(turned, 0.4)))
    views = {pose.key: View(np.diag([500.0, 500, 1]), 4000)}
    (detection,) = convert.detection_array(ros.Header(), [pose], {1: cube()}, {}, views).detections
    assert [result.hypothesis.score for result in detection.results] == [0.6, 0.4]
    assert matrix(detection.results[1].pose.pose) == pytest.approx(turned)
    first, second = (np.array(result.pose.covariance).reshape(6, 6) for result in detection.results)
    axis = pose.T_cam_obj[:3, 2]
    assert axis @ first[3:, 3:] @ axis == pytest.approx(0.4 * np.pi**2, rel=0.01)
    assert axis @ second[3:, 3:] @ axis < 0.01


def test_transforms_lead_from_the_cameras_frame_to_the_objects(ros, convert):
    header = ros.Header(ros.Time(1, 2), "camera_optical_frame")
    pose = labeled("certified", 2, 3)
    message = convert.transform_message(header, pose, {2: "box"})
    assert (message.header, message.child_frame_id) == (header, "box_3")
    assert matrix(message.transform) == pytest.approx(pose.T_cam_obj)


def matrix(pose) -> np.ndarray:
    """Of a Pose or a Transform."""
    place = getattr(pose, "position", None) or pose.translation
    turn = getattr(pose, "orientation", None) or pose.rotation
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    T[:3, 3] = place.x, place.y, place.z
    return T
