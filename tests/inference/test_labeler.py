"""Frames are annotated without what is kept of them, with the network's hypotheses for the others."""

import numpy as np
import pytest
from networks import build_both
from small_roots import cube, write_bop

from selfpose6d.datasets.options import DataOptions
from selfpose6d.inference import labeler
from selfpose6d.inference.labeler import FrameLabeler
from selfpose6d.inference.predictor import Predictor
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.objects.table import object_table
from selfpose6d.runs.certificates import pose_row
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import Certificate, InstanceKey, LabeledPose

CERTIFICATE = Certificate("certified", "", 0.5, 0.1, 0.001, 1.0, 0.0, 0.5)
FRAME = FrameId(1, 0)


@pytest.fixture
def root(tmp_path):
    """Objects 1 and 2 side by side in two frames."""
    return write_bop(tmp_path / "data", {1: 2})


@pytest.fixture
def dataset(root):
    return DataOptions(root).open()


def labelled(key: InstanceKey, time_s: float = 0.25) -> LabeledPose:
    return LabeledPose(key, np.eye(4), 0.5, certificate=CERTIFICATE, time_s=time_s)


@pytest.fixture
def seen(monkeypatch) -> list:
    """Which instances the annotator is given, with which proposals; it labels all of them."""
    calls = []

    def annotate(frame, models, options, proposals, search_all):
        calls.append(([one.key for one in frame.instances], proposals, search_all))
        return [labelled(one.key) for one in frame.instances]

    monkeypatch.setattr(labeler, "annotate", annotate)
    return calls


def kept_of(*keys: InstanceKey):
    return {FrameId(*keys[0][1:3]): {key: pose_row(labelled(key)) | {"reason": "kept"} for key in keys}}


def test_only_what_is_not_kept_is_annotated(dataset, seen):
    frame_id = dataset.frame_ids()[0]
    first, second = dataset.instance_keys(frame_id)
    record = FrameLabeler(dataset, {}, AnnotateOptions(), kept=kept_of(first))(frame_id)
    assert seen == [([second], None, False)]
    assert [(row["inst_id"], row["reason"]) for row in record.labels] == [
        (first.inst_id, "kept"),
        (second.inst_id, ""),
    ]
    assert record.time_s > 0.25
    assert record.skipped == ()


def test_a_settled_frame_is_not_read(dataset, seen):
    frame_id = dataset.frame_ids()[0]
    kept = kept_of(*dataset.instance_keys(frame_id))
    dataset.rgb_path(frame_id).unlink()
    record = FrameLabeler(dataset, {}, AnnotateOptions(), kept=kept)(frame_id)
    assert (len(record.labels), record.error, record.time_s) == (2, "", 0.5)
    assert seen == []


def test_an_unreadable_frame_keeps_what_was_kept(dataset, seen):
    frame_id = dataset.frame_ids()[0]
    first, second = dataset.instance_keys(frame_id)
    dataset.rgb_path(frame_id).unlink()
    record = FrameLabeler(dataset, {}, AnnotateOptions(), kept=kept_of(first))(frame_id)
    assert record.error
    assert [row["inst_id"] for row in record.labels] == [first.inst_id]
    assert [row["inst_id"] for row in record.skipped] == [second.inst_id]


def test_objects_that_are_not_selected_are_not_kept(root, seen):
    dataset = DataOptions(root, selection=Selection(objects=(2,))).open()
    whole = DataOptions(root).open()
    frame_id = dataset.frame_ids()[0]
    kept = kept_of(*whole.instance_keys(frame_id))
    record = FrameLabeler(dataset, {}, AnnotateOptions(), kept=kept)(frame_id)
    assert [row["obj_id"] for row in record.labels] == [2]


def test_the_network_proposes_for_what_it_knows(dataset, seen):
    """Object 2 is unknown to it: that instance is searched for as without a network."""
    network = Predictor(build_both(objects=object_table((1,), [cube()]), seed=3))
    frame_id = dataset.frame_ids()[0]
    FrameLabeler(dataset, {}, AnnotateOptions(), network)(frame_id)
    ((keys, proposals, _),) = seen
    assert [key.obj_id for key in keys] == [1, 2]
    assert [key.obj_id for key in proposals] == [1]
    best = network.predict(dataset.load_frame(frame_id))[0]
    (hypotheses,) = proposals.values()
    assert hypotheses.shape == (network.options.hypotheses, 4, 4)
    np.testing.assert_allclose(hypotheses[0].numpy(), best.T_cam_obj, atol=1e-6)
