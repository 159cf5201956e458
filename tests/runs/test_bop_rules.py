"""Whatever a run writes as predictions, BOP's server takes; and the check itself finds what it refuses."""

import time

import numpy as np
import pytest
from bop_rules import FILE_NAME, HEADER, complaints
from written import write_predictions

from selfpose6d.datasets.dataset import process_frame
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.journal import Journal, finished_record
from selfpose6d.runs.outputs import write_outputs
from selfpose6d.runs.predictions import Prediction, iterate_predictions
from selfpose6d.selection import FrameId
from selfpose6d.types import Frame, InstanceKey, PoseEstimate

ROW = "1,2,3,0.5,1 0 0 0 1 0 0 0 1,0 0 500,0.25"


def estimate(scene_id: int, im_id: int, obj_id: int, inst_id: int) -> PoseEstimate:
    T_cam_obj = np.eye(4)
    T_cam_obj[:3, 3] = (0.01 * inst_id, -0.2, 0.7)
    return PoseEstimate(InstanceKey("test", scene_id, im_id, obj_id, inst_id), T_cam_obj, 0.9)


def test_a_run_of_several_images_and_instances(tmp_path):
    """Times of an image are written once for all its rows, and so are images without a pose: not at all."""
    journal = Journal(tmp_path / "journal.jsonl")
    for im_id, time_s in ((7, 0.3), (3, 1.25)):
        poses = [estimate(1, im_id, obj_id, inst) for inst, obj_id in enumerate((5, 2, 5))]
        journal.append(finished_record(FrameId(1, im_id), poses, [], time_s))
    nothing = PoseEstimate.none(InstanceKey("test", 1, 9, 2, 0), "12 pixels with depth")
    journal.append(finished_record(FrameId(1, 9), [nothing], [], 0.1))
    run = RunFiles(tmp_path)
    write_outputs(run, journal, with_certificates=False)
    assert complaints(run.predictions) == []
    rows = list(iterate_predictions(run.predictions))
    assert [(row.im_id, row.obj_id, row.time_s) for row in rows] == [
        (im_id, obj_id, time_s) for im_id, time_s in ((3, 1.25), (7, 0.3)) for obj_id in (2, 5, 5)
    ]


def test_the_time_is_that_of_all_instances_without_reading():
    """BOP counts from the loaded image to the last pose."""

    class Slow:
        def load_frame(self, frame_id: FrameId) -> Frame:
            time.sleep(0.2)
            return Frame(
                "test", *frame_id, np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.float32), np.eye(3), ()
            )

    def find_poses(frame: Frame) -> list[PoseEstimate]:
        time.sleep(0.05)
        return [estimate(1, 2, 3, inst) for inst in range(3)]

    record = process_frame.__wrapped__(Slow(), FrameId(1, 2), find_poses)  # not of the checked type
    assert 0.05 <= record.time_s < 0.2
    assert len(record.labels) == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEADER, "empty"),
        (f"{HEADER},x\n{ROW}", "header"),
        (f"{HEADER}\n{ROW},1", "8 fields"),
        (f"{HEADER}\n{ROW.replace('0 0 500', '0 500')}", "t of 2"),
        (f"{HEADER}\n{ROW.replace('0.5', 'nan')}", "not finite"),
        (f"{HEADER}\n{ROW}\n{ROW.replace('0.25', '0.26')}", "another time"),
    ],
)
def test_the_rules_refuse(tmp_path, text, reason):
    (tmp_path / "p.csv").write_text(text)
    (complaint,) = complaints(tmp_path / "p.csv")
    assert reason in complaint


def test_what_is_written_is_taken(tmp_path):
    write_predictions(tmp_path / "p.csv", [Prediction(48, 1, 5, 1e-12, np.eye(4), 0.25)])
    assert complaints(tmp_path / "p.csv") == []


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("selfpose6d_ycbv-test.csv", True),
        ("selfpose6d-verified_tless-test-primesense_2.csv", True),
        ("predictions.csv", False),
        ("self_pose_ycbv-test.csv", False),
    ],
)
def test_names_that_the_server_understands(name, fits):
    assert bool(FILE_NAME.fullmatch(name)) is fits
