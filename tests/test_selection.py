import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.errors import UsageError
from selfpose6d.selection import FrameId, FrameIds, Selection

FRAMES = [FrameId(scene, image) for scene in (0, 3) for image in (1, 2, 7)]


def test_empty_selection_keeps_everything():
    assert list(Selection().select(FRAMES)) == FRAMES
    assert Selection().keeps_object(99)
    assert Selection().describe() == ""


def test_each_option_narrows():
    assert list(Selection(scenes=(3,)).select(FRAMES)) == FRAMES[3:]
    assert list(Selection(frames=(2, 7), limit=3).select(FRAMES)) == [(0, 2), (0, 7), (3, 2)]
    assert not Selection(objects=(1, 2)).keeps_object(3)


def test_limit_stops_reading():
    def frames():
        yield FRAMES[0]
        raise AssertionError("read behind the limit")

    assert list(Selection(limit=1).select(frames())) == FRAMES[:1]


@given(
    st.lists(st.integers(0, 4)).map(tuple),
    st.lists(st.integers(0, 8)).map(tuple),
    st.none() | st.integers(1, 5),
)
def test_selection_is_an_ordered_part_and_idempotent(scenes, frames, limit):
    selection = Selection(scenes, frames, limit=limit)
    chosen = list(selection.select(FRAMES))
    assert chosen == [frame for frame in FRAMES if frame in chosen]
    assert list(selection.select(chosen)) == chosen


def test_limit_below_one_is_refused():
    with pytest.raises(UsageError, match="--limit must be at least 1"):
        Selection(limit=0)


def test_flags():
    selection = tyro.cli(Selection, args=["--objects", "1", "2", "--scenes", "48", "--limit", "5"])
    assert selection == Selection(scenes=(48,), objects=(1, 2), limit=5)
    assert selection.describe() == "--scenes 48 --objects 1 2 --limit 5"


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(-3, 12)), max_size=40))
def test_frame_ids_are_a_sequence_like_a_tuple(pairs):
    plain = tuple(FrameId(*pair) for pair in sorted(pairs))
    frame_ids = FrameIds(iter(plain))
    assert frame_ids == plain
    assert list(frame_ids) == list(plain)
    assert [frame_ids[i] for i in range(-len(plain), len(plain))] == [*plain, *plain]
    assert frame_ids[1:5] == plain[1:5]
    for pair in ((s, i) for s in range(-1, 6) for i in range(-4, 14)):
        assert (pair in frame_ids) == (pair in plain)
    with pytest.raises(IndexError):
        frame_ids[len(plain)]


def test_numbers_without_gaps_take_no_memory():
    frame_ids = FrameIds(FrameId(scene_id, im_id) for scene_id in (2, 5) for im_id in range(1, 100))
    assert all(isinstance(images, range) for _, images in frame_ids.by_scene())
    assert frame_ids[99] == (5, 1)
