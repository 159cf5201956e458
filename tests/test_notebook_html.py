"""What notebooks show of frames and estimates: pictures that can be decoded, text that cannot break the page."""

import base64
import re
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from selfpose6d.types import (
    Alternative,
    Certificate,
    Frame,
    Instance,
    InstanceKey,
    LabeledPose,
    PoseEstimate,
)

KEY = InstanceKey("test", 3, 4, 2, 1)
T = np.array([[0.0, -1, 0, 0.01], [1, 0, 0, -0.02], [0, 0, 1, 0.75], [0, 0, 0, 1]])


def rows(pose: PoseEstimate) -> dict[str, str]:
    table = ElementTree.fromstring(pose._repr_html_())
    return {row[0].text or "": row[1].text or "" for row in table.iter("tr")}


def pictures(html: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/jpeg;base64,([^']+)'", html)
    return [
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB) for data in found
    ]


def test_an_estimate_says_where_the_object_is():
    said = rows(PoseEstimate(KEY, T, 0.876))
    assert said["object"] == "2, instance 1"
    assert said["status"] == "estimated"
    assert said["confidence"] == "0.88"
    assert said["position"].startswith("10.0, -20.0, 750.0 mm")
    assert said["rotation"].splitlines()[0].split() == ["0.000", "-1.000", "0.000"]
    assert said["rotation"].splitlines()[-1] == "90.0° about (0.00, 0.00, 1.00)"
    assert "reason" not in said


def test_a_label_says_what_its_certificate_says():
    ways = tuple(Alternative(T, 1 / 3) for _ in range(3))
    certificate = Certificate(
        "ambiguous", "two <sides> look alike & so on", 0.4, *[0.0] * 5, alternatives=ways
    )
    said = rows(LabeledPose(KEY, T, 0.4, certificate=certificate))
    assert said["status"] == "ambiguous"
    assert said["reason"] == "two <sides> look alike & so on"
    assert said["other poses"] == "2 fit about as well"


def test_no_pose_has_a_reason_and_no_numbers():
    for kind in (PoseEstimate, LabeledPose):
        assert rows(kind.none(KEY, "too few points")) == {
            "object": "2, instance 1",
            "status": "no pose",
            "reason": "too few points",
        }


@pytest.mark.parametrize(("width", "shown"), [(320, 320), (1280, 480)])
def test_a_frame_shows_its_masks_and_its_depth(width, shown):
    height = width * 3 // 4
    rgb = np.full((height, width, 3), 128, np.uint8)
    mask = np.zeros((height, width), bool)
    mask[: height // 4] = True
    depth_m = np.where(np.arange(width) < width // 2, 0.6, 1.2) * np.ones((height, 1))
    depth_m[height // 2 :] = 0
    K = np.array([[500.0, 0, width / 2], [0, 500, height / 2], [0, 0, 1]])
    frame = Frame("test", 3, 4, rgb, depth_m.astype(np.float32), K, (Instance(KEY, mask),))
    html = frame._repr_html_()
    assert (
        f"test 3/4, {width}x{height} pixels; 1 masks; depth 0.60 to 1.20 m, 50 % unknown; K: fx 500.0" in html
    )
    photo, depth = pictures(html)
    assert photo.shape == depth.shape == (shown * 3 // 4, shown, 3)
    assert np.abs(photo[-20:].astype(int) - 128).max() < 8
    assert np.ptp(photo[3:10, 3:20].mean((0, 1))) > 30  # the mask's colour
    assert depth[-20:].max() < 20
    near, far = depth[20, shown // 4].astype(int), depth[20, 3 * shown // 4].astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]


def test_a_frame_without_depth_or_masks_is_shown_too():
    rgb = np.zeros((48, 64, 3), np.uint8)
    K = np.array([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
    frame = Frame("", 0, 0, rgb, np.zeros((48, 64), np.float32), K, ())
    assert "frame 0/0, 64x48 pixels; 0 masks; depth none known, 100 % unknown" in frame._repr_html_()
    empty = replace(frame, instances=(Instance(KEY, np.zeros((48, 64), bool)),))
    assert len(pictures(empty._repr_html_())) == 2
