"""The order of a review, its filters, and decisions that are on disk at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runs.labels import label
from runs.written import write_certificates
from selfpose6d.errors import DataError, UsageError
from selfpose6d.reporting.review_queue import ReviewFilter, ReviewQueue, reviewing
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.review import Verdict, append_verdict, read_review

NAMES = {1: "mug", 2: "box"}
ROWS = [
    ("certified", 0.99),
    ("rejected", 0.1),
    ("ambiguous", 0.5),
    ("certified", 0.95),
    ("rejected", 0.6),
    ("ambiguous", 0.3),
]
"""Status and confidence of the instances of images 0 to 5, objects 1 and 2 in turn."""


def rated(im_id: int, status, confidence: float):
    one = label(0, im_id, 1 + im_id % 2, status=status)
    reason = "" if status == "certified" else f"{status}: Why"
    certificate = replace(one.certificate, confidence=confidence, reason=reason)
    return replace(one, confidence=confidence, certificate=certificate)


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    run = RunFiles(tmp_path)
    write_certificates(run.certificates, [rated(i, *row) for i, row in enumerate(ROWS)])
    return run


@pytest.fixture
def queue(run) -> ReviewQueue:
    return ReviewQueue(run, NAMES)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("doubt", [5, 2, 4, 1, 3, 0]),
        ("confidence", [1, 5, 2, 4, 3, 0]),
        ("frame", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_doubtful_ones_come_first(queue, order, expected):
    assert queue.select(ReviewFilter(order=order)) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ReviewFilter(statuses=("certified", "ambiguous"), order="frame"), [0, 2, 3, 5]),
        (ReviewFilter(objects=("mug",), order="frame"), [0, 2, 4]),
        (ReviewFilter(objects=("2",), order="frame"), [1, 3, 5]),
        (ReviewFilter(reason="WHY", order="frame"), [1, 2, 4, 5]),
        (ReviewFilter(confidence=(0.3, 0.6), order="frame"), [2, 4, 5]),
        (ReviewFilter(statuses=("rejected",), objects=("mug",), reason="why", confidence=(0.0, 0.5)), []),
    ],
)
def test_filters_keep_what_they_say(queue, wanted, expected):
    assert queue.select(wanted) == expected


def test_filters_that_cannot_be_meant(queue):
    with pytest.raises(UsageError, match=r"no object 'mugg' in this run: expected one of 1, 2, box, mug"):
        queue.select(ReviewFilter(objects=("mugg",)))
    with pytest.raises(UsageError, match=r"must rise, got 0\.9 to 0\.1"):
        ReviewFilter(confidence=(0.9, 0.1))


def test_decisions_are_on_disk_at_once_and_a_second_start_goes_on(queue, run):
    queue.decide(1, Verdict("reject"))
    queue.decide(2, Verdict("alternative", alternative=1))
    queue.decide(1, Verdict("accept"))
    review = read_review(run.review)
    assert {key.im_id: verdict.kind for key, verdict in review.items()} == {1: "accept", 2: "alternative"}
    again = ReviewQueue(run, NAMES)
    assert again.num_decided == 2
    assert [again.verdict(i) is not None for i in range(6)] == [False, True, True, False, False, False]
    assert again.details(2)["verdict"]["alternative"] == 1


def test_undo_takes_back_one_decision_after_the_other_also_of_an_earlier_start(queue, run):
    queue.decide(1, Verdict("reject"))
    queue.decide(2, Verdict("accept"))
    queue.decide(1, Verdict("accept"))
    again = ReviewQueue(run, NAMES)
    assert again.undo() == 1
    assert again.verdict(1).kind == "reject"
    assert [again.undo(), again.undo(), again.undo()] == [2, 1, None]
    assert again.num_decided == 0
    assert read_review(run.review) == {}


def test_an_alternative_that_is_not_there_is_not_written(queue, run):
    with pytest.raises(UsageError, match="no alternative 2: there are 2"):
        queue.decide(2, Verdict("alternative", alternative=2))
    with pytest.raises(UsageError, match="there are 0"):
        queue.decide(0, Verdict("alternative", alternative=0))
    assert not run.review.exists()


def test_details_are_json_without_nan(queue):
    details = queue.details(5)
    assert (details["name"], details["status"], details["reason"]) == ("box", "ambiguous", "ambiguous: Why")
    assert details["measures"]["margin"] is None
    assert details["alternatives"] == [0.6, 0.4]
    assert details["verdict"] is None


def test_runs_that_cannot_be_reviewed(tmp_path, run):
    with pytest.raises(UsageError, match=r"has no certificates\.jsonl: nothing to review"):
        ReviewQueue(RunFiles(tmp_path / "none"), {})
    append_verdict(run.review, label(7, 7, 7).key, Verdict("accept"))
    with pytest.raises(
        DataError, match="line 1: object 7, instance 0 of split test, scene 7, image 7, has no pose"
    ):
        ReviewQueue(run, NAMES)
    run.review.unlink()
    run.certificates.write_text("")
    with pytest.raises(UsageError, match="has no pose to review"):
        ReviewQueue(run, NAMES)


def test_one_review_at_a_time(run):
    with reviewing(run):
        with pytest.raises(UsageError, match="is being reviewed already"), reviewing(run):
            pass
        assert len(list(run.folder.glob(".review*"))) == 1
    with reviewing(run):
        pass
    assert list(run.folder.glob(".review*")) == []


def test_a_pose_verdict_is_kept_with_its_pose(queue, run):
    T = np.eye(4)
    T[:3, 3] = 0.1, 0.2, 0.9
    queue.decide(0, Verdict("pose", T_cam_obj=T))
    (verdict,) = read_review(run.review).values()
    assert np.allclose(verdict.T_cam_obj, T, atol=1e-12)
