"""What a journal knows of its lines without keeping them: compared with a plain dictionary."""

import json
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.runs import frame_index
from selfpose6d.runs.frame_index import FrameIndex, leading_frame
from selfpose6d.runs.journal import Journal, JournalRecord
from selfpose6d.selection import FrameId


@given(
    st.lists(st.tuples(st.builds(FrameId, st.integers(0, 2), st.integers(0, 9)), st.booleans()), max_size=80)
)
def test_it_knows_the_last_line_of_every_frame_in_any_order(rows):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_index, "BLOCK", 4)
        path = Path(folder) / "journal.jsonl"
        journal, expected = Journal(path), {}
        for number, (frame_id, failed) in enumerate(rows):
            record = JournalRecord(frame_id, time_s=float(number), error="unreadable" if failed else "")
            assert (frame_id in journal) == (frame_id in expected and not expected[frame_id].error)
            journal.append(record)
            expected[frame_id] = record
        for there in (journal, Journal(path)):
            assert list(there.records()) == [expected[frame_id] for frame_id in sorted(expected)]
            assert len(there) == sum(not record.error for record in expected.values())
            for frame_id in (FrameId(s, i) for s in range(4) for i in range(11)):
                assert (frame_id in there) == (frame_id in expected and not expected[frame_id].error)


def test_memory_does_not_grow_with_the_frames(tmp_path):
    index = FrameIndex(tmp_path / "lines", lambda line: FrameId(0, 0))
    for im_id in range(100_000):
        index.note(FrameId(3, im_id), 1000 * im_id)
    assert len(index) == 100_000
    assert sys.getsizeof(index._firsts) + sys.getsizeof(index._begins) < 10_000
    assert not index._others


@pytest.mark.parametrize("key", ["frame", "frame_id"])
def test_a_line_says_its_frame_at_its_front(key):
    line = json.dumps({key: [12, 345], "labels": []}).encode()
    assert leading_frame(line) == (12, 345)
    assert leading_frame(b'{"labels": [], "frame": [1, 2]}') is None


def test_a_journal_that_others_wrote_with_other_spaces_is_read(tmp_path):
    path = tmp_path / "journal.jsonl"
    row = {"labels": [], "skipped": [], "frame": [1, 7], "time_s": 0.5, "error": "lost"}
    path.write_text(json.dumps(row, separators=(",", ":")) + "\n")
    journal = Journal(path)
    assert FrameId(1, 7) not in journal
    assert [record.error for record in journal.records()] == ["lost"]
