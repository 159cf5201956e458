"""What a person said of poses: lines that only grow, verdicts that correct labels, kills in the midst of writing."""

import json
import math
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labels import label, translated
from written import write_certificates

from selfpose6d.errors import DataError
from selfpose6d.runs.certificates import read_certificates, reviewed_labels
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.review import (
    Verdict,
    append_verdict,
    count_verdicts,
    read_review,
    reviewed,
    take_back,
)
from selfpose6d.types import InstanceKey

KEY = InstanceKey("test", 1, 2, 3, 4)
OTHER = KEY._replace(im_id=7)
POSE = translated(0.1, -0.2, 0.7)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "review.jsonl"


def kinds(path: Path) -> dict[int, str]:
    return {key.im_id: verdict.kind for key, verdict in read_review(path).items()}


def test_what_is_appended_is_read(path):
    assert read_review(path) == {}
    for key, verdict in [
        (KEY, Verdict("accept")),
        (KEY._replace(inst_id=5), Verdict("reject", time="2026-01-02T03:04:05+00:00")),
        (KEY._replace(inst_id=6), Verdict("alternative", alternative=2)),
        (KEY._replace(inst_id=7), Verdict("pose", T_cam_obj=POSE)),
    ]:
        assert append_verdict(path, key, verdict).time
    review = read_review(path)
    assert [verdict.kind for verdict in review.values()] == ["accept", "reject", "alternative", "pose"]
    assert [verdict.place.rpartition(" ")[2] for verdict in review.values()] == ["1", "2", "3", "4"]
    assert review[KEY._replace(inst_id=5)].time == "2026-01-02T03:04:05+00:00"
    assert review[KEY._replace(inst_id=6)].alternative == 2
    assert np.allclose(review[KEY._replace(inst_id=7)].T_cam_obj, POSE, atol=1e-12)
    assert list(count_verdicts(review).values()) == [1, 1, 1, 1]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert list(rows[2]) == [*InstanceKey._fields, "verdict", "alternative", "time"]
    assert rows[3]["t_mm"] == pytest.approx([100, -200, 700])


def test_the_last_line_counts_and_taking_it_back_lets_the_one_before_count(path):
    append_verdict(path, KEY, Verdict("accept"))
    append_verdict(path, OTHER, Verdict("reject"))
    append_verdict(path, KEY, Verdict("reject"))
    assert kinds(path) == {2: "reject", 7: "reject"}
    assert take_back(path) == KEY
    assert kinds(path) == {2: "accept", 7: "reject"}
    assert [take_back(path), take_back(path), take_back(path)] == [OTHER, KEY, None]
    assert path.read_bytes() == b""
    assert take_back(path.with_name("none.jsonl")) is None


def test_a_torn_last_line_is_left_out_and_replaced(path):
    append_verdict(path, KEY, Verdict("accept"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="line 2: was not written whole"):
        assert kinds(path) == {2: "accept"}
    append_verdict(path, OTHER, Verdict("reject"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kinds(path) == {2: "accept", 7: "reject"}
    path.write_bytes(path.read_bytes() + b'{"split')
    assert take_back(path) == OTHER
    assert path.read_bytes() == whole


def test_a_typed_last_line_without_its_end_counts_and_gets_it(path):
    path.write_text(json.dumps(KEY._asdict() | {"verdict": "accept"}))
    assert kinds(path) == {2: "accept"}
    append_verdict(path, OTHER, Verdict("reject"))
    assert kinds(path) == {2: "accept", 7: "reject"}


def test_a_broken_line_in_between_is_refused(path):
    path.write_text('{"split\n')
    append_verdict(path, KEY, Verdict("accept"))
    with pytest.raises(DataError, match="line 1: broken JSON"):
        read_review(path)


WRITER = """
from pathlib import Path
from selfpose6d.runs.review import Verdict, append_verdict
from selfpose6d.types import InstanceKey
for number in range(100_000):
    append_verdict(Path({path!r}), InstanceKey("test", 0, number, 1, 0), Verdict("accept"))
"""


def test_a_kill_loses_nothing_that_was_decided(path):
    process = subprocess.Popen([sys.executable, "-c", WRITER.format(path=str(path))])
    deadline = time.monotonic() + 60
    while not (path.is_file() and path.stat().st_size > 5_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        review = read_review(path)
    assert len(review) > 20
    assert [key.im_id for key in review] == list(range(len(review)))


@pytest.mark.parametrize("verdict", [{"review": "accept"}, {"status": "accept"}, {"accept": True}])
def test_lines_of_earlier_forms_are_read(path, verdict):
    rows = [KEY._asdict() | {"x": 1, "note": "reject"}, KEY._asdict() | verdict]
    path.write_text("\n\n".join(map(json.dumps, rows)) + "\n")
    assert kinds(path) == {2: "accept"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, 'expected one "verdict" of accept, reject, alternative, pose'),
        ({"verdict": "maybe"}, 'expected one "verdict"'),
        ({"a": "accept", "b": "reject"}, 'expected one "verdict"'),
        ({"verdict": "alternative"}, "alternative must be an index from 0, got None"),
        ({"verdict": "alternative", "alternative": -1}, "from 0, got -1"),
        ({"verdict": "alternative", "alternative": True}, "from 0, got True"),
        ({"verdict": "pose", "R": [1, 2]}, "needs R"),
        ({"verdict": "pose", "R": [0] * 9, "t_mm": [0, 0, 500]}, "R is no rotation"),
        ({"verdict": "pose", "R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "t_mm": [0, 0, None]}, "not finite"),
    ],
)
def test_lines_of_another_form_are_refused_with_their_number(path, fields, message):
    append_verdict(path, KEY, Verdict("accept"))
    with path.open("a") as file:
        file.write(json.dumps(KEY._asdict() | fields) + "\n")
    with pytest.raises(DataError, match=rf"review\.jsonl, line 2: .*{message}"):
        read_review(path)


def test_accepted_labels_are_sure_and_promise_nothing():
    changed = reviewed(label(*KEY[1:], status="ambiguous"), {KEY: Verdict("accept")})
    certificate = changed.certificate
    assert (certificate.status, certificate.reason) == ("certified", "review: accept")
    assert (changed.confidence, certificate.confidence) == (1.0, 1.0)
    assert np.array_equal(changed.T_cam_obj, label(*KEY[1:]).T_cam_obj)
    assert certificate.rms_m == 0.002
    assert (certificate.calibration, certificate.alternatives) == ("", ())
    assert math.isnan(certificate.risk)
    assert math.isnan(certificate.bound)


def test_rejected_labels_keep_what_was_measured():
    before = label(*KEY[1:])
    changed = reviewed(before, {KEY: Verdict("reject")})
    certificate = replace(before.certificate, status="rejected", reason="review: reject")
    assert repr(changed.certificate) == repr(certificate)  # a NaN equals no other
    assert changed.T_cam_obj is before.T_cam_obj
    assert (changed.key, changed.confidence, changed.time_s) == (before.key, before.confidence, before.time_s)


def test_labels_without_a_verdict_are_untouched():
    untouched = label(1, 2, 3, 5, "rejected")
    assert reviewed(untouched, {KEY: Verdict("accept")}) is untouched


@pytest.mark.parametrize(
    ("verdict", "T_cam_obj", "reason"),
    [
        (Verdict("alternative", alternative=1), translated(0, 0, 0.6), "review: alternative 1"),
        (Verdict("pose", T_cam_obj=POSE), POSE, "review: pose"),
    ],
)
def test_another_pose_is_chosen_and_the_measures_of_the_one_before_are_gone(verdict, T_cam_obj, reason):
    changed = reviewed(label(*KEY[1:], status="ambiguous"), {KEY: verdict})
    assert np.array_equal(changed.T_cam_obj, T_cam_obj)
    assert (changed.certificate.status, changed.certificate.reason) == ("certified", reason)
    assert (changed.confidence, changed.certificate.mask_quality) == (1.0, "rough")
    assert all(math.isnan(getattr(changed.certificate, name)) for name in ("margin", "rms_m", "coverage"))


def test_alternatives_that_are_not_there_are_refused_with_their_line(path):
    append_verdict(path, KEY, Verdict("alternative", alternative=2))
    with pytest.raises(
        DataError, match=r"line 1: object 3, instance 4 .* has 2 alternatives.*got alternative 2"
    ):
        reviewed(label(*KEY[1:], status="ambiguous"), read_review(path))


def test_verdicts_on_instances_that_the_run_has_not_are_refused(tmp_path):
    run = RunFiles(tmp_path)
    write_certificates(run.certificates, [label(*KEY[1:]), label(*OTHER[1:])])
    append_verdict(run.review, OTHER, Verdict("reject"))
    assert [one.certificate.status for one in reviewed_labels(run)] == ["certified", "rejected"]
    append_verdict(run.review, KEY._replace(scene_id=9), Verdict("accept"))
    with pytest.raises(
        DataError, match="line 2: object 3, instance 4 of split test, scene 9, image 2, has no pose"
    ):
        list(reviewed_labels(run))
    run.review.unlink()
    assert list(reviewed_labels(run))[1].key == list(read_certificates(run.certificates))[1].key
