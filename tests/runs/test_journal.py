import numpy as np
import pytest
from labels import label

from selfpose6d.errors import DataError
from selfpose6d.runs.journal import Journal, finished_record, unreadable_record
from selfpose6d.selection import FrameId
from selfpose6d.types import InstanceKey, PoseEstimate

FIRST, SECOND = FrameId(0, 5), FrameId(0, 1)


def record(frame_id, obj_id=1):
    return finished_record(frame_id, [label(*frame_id, obj_id)], [], 0.5)


def test_records_come_back_sorted(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(record(FIRST))
    journal.append(record(SECOND, 2))
    assert len(journal) == 2
    assert FIRST in journal
    reopened = list(Journal(journal.path).records())
    assert [r.frame_id for r in reopened] == [SECOND, FIRST]
    assert reopened == list(journal.records())
    assert reopened[0].labels[0]["obj_id"] == 2
    assert reopened[0].labels[0]["margin"] is None


@pytest.mark.parametrize("torn", ['{"frame": [0', '{"frame": [0, 9], "labels": []}', "x" * 200_000])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    """Whatever a kill left behind the last line end goes; that frame is done again."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(record(FIRST))
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + torn.encode())
    reopened = Journal(journal.path)
    assert journal.path.read_bytes() == whole
    assert len(reopened) == 1
    reopened.append(record(SECOND))
    assert len(Journal(journal.path)) == 2


def test_a_journal_of_nothing_but_a_torn_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"frame"')
    assert len(Journal(path)) == 0
    assert path.read_bytes() == b""


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(record(FIRST))
    journal.path.write_text("rubbish\n" + journal.path.read_text())
    with pytest.raises(DataError, match="broken line"):
        Journal(journal.path)


def test_an_unreadable_frame_is_tried_again(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(unreadable_record(FIRST, [InstanceKey("test", *FIRST, 1, 0)], "unreadable image"))
    reopened = Journal(journal.path)
    assert FIRST not in reopened
    assert [r.skipped[0]["reason"] for r in reopened.records()] == ["unreadable image"]
    reopened.append(record(FIRST))
    assert FIRST in reopened
    [last] = Journal(journal.path).records()
    assert (len(last.labels), last.skipped, last.error) == (1, (), "")


def test_invalid_poses_join_the_skipped():
    key = InstanceKey("test", *FIRST, 7, 2)
    lost = PoseEstimate(key, np.full((4, 4), np.nan), 0.0, valid=False, reason="12 points")
    other = PoseEstimate.none(InstanceKey("test", *FIRST, 8, 3), "empty mask")
    made = finished_record(FIRST, [lost, label(*FIRST, 1)], [other], 0.1)
    assert [row["obj_id"] for row in made.labels] == [1]
    assert [(row["obj_id"], row["reason"]) for row in made.skipped] == [(8, "empty mask"), (7, "12 points")]
