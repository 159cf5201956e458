"""Two streams into pairs, by the stamps alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.recordings import pairing as module
from selfpose6d.recordings.pairing import Pairing, RecordedImage, pair_by_stamp


def images(*stamps: int, num_bytes: int = 1) -> list[RecordedImage]:
    """Images of a stream."""
    return [RecordedImage(stamp, "", num_bytes, lambda: None) for stamp in stamps]


def stamps(pairs) -> list[tuple[int, int]]:
    """Colour and depth stamps."""
    return [(pair.colour.stamp_ns, pair.depth.stamp_ns) for pair in pairs]


def test_the_nearest_within_the_tolerance():
    pairs, counts = pair_by_stamp(images(0, 100, 200, 300), images(8, 95, 240, 301), 20)
    assert stamps(pairs) == [(0, 8), (100, 95), (300, 301)]
    assert counts.alone == {"colour": 1, "depth": 1}
    assert counts.paired == 3
    assert counts.closest_ns == 1


def test_depth_at_half_the_rate_goes_with_the_nearer_colour_image():
    pairs, counts = pair_by_stamp(images(0, 10, 20, 30, 40), images(11, 31), 15)
    assert stamps(pairs) == [(10, 11), (30, 31)]
    assert counts.alone == {"colour": 3, "depth": 0}


def test_a_constant_offset_of_nearly_half_a_period():
    pairs, _ = pair_by_stamp(images(*range(0, 330, 33)), images(*range(16, 346, 33)), 20)
    assert stamps(pairs) == [(t, t + 16) for t in range(0, 330, 33)]


def test_nothing_within_the_tolerance():
    pairs, counts = pair_by_stamp(images(0, 100), images(50, 150), 20)
    assert not pairs
    assert counts.closest_ns == 50
    assert counts.alone == {"colour": 2, "depth": 2}


times = st.lists(st.integers(0, 1000), max_size=30).map(lambda values: sorted(set(values)))


@given(times, times, st.integers(0, 60))
def test_no_image_is_used_twice_or_lost_and_none_is_far(colour, depth, tolerance):
    pairs, counts = pair_by_stamp(images(*colour), images(*depth), tolerance)
    found = stamps(pairs)
    for side, given_stamps, stream in ((0, colour, "colour"), (1, depth, "depth")):
        used = [pair[side] for pair in found]
        assert used == sorted(set(used))
        assert len(used) + counts.alone[stream] == len(given_stamps)
    assert all(abs(a - b) <= tolerance for a, b in found)


@given(times, st.integers(1, 10))
def test_one_stream_with_little_jitter_finds_all_partners(colour, tolerance):
    apart = [t * 100 for t in colour]
    jitter = np.random.default_rng(len(colour)).integers(-tolerance, tolerance + 1, len(apart))
    depth = [t + int(j) for t, j in zip(apart, jitter, strict=True)]
    assert stamps(pair_by_stamp(images(*apart), images(*depth), tolerance)[0]) == list(
        zip(apart, depth, strict=True)
    )


def test_pairs_come_as_soon_as_they_are_certain():
    pairing = Pairing(10)
    assert stamps(pairing.add("colour", images(0)[0])) == []
    assert stamps(pairing.add("depth", images(3)[0])) == []  # the next colour image may be nearer
    assert stamps(pairing.add("colour", images(33)[0])) == [(0, 3)]
    assert stamps(pairing.finish()) == []


def test_memory_stays_flat_when_one_stream_ends(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 50)
    pairing = Pairing(10)
    found = list(pairing.add("depth", images(0)[0]))
    for image in images(*range(1, 2000, 2), num_bytes=5):
        found += pairing.add("colour", image)
        assert pairing._waiting_bytes <= 50
    assert stamps(found) == [(1, 0)]
    list(pairing.finish())
    assert pairing.counts.alone == {"colour": 999, "depth": 0}


@pytest.mark.parametrize("late", ["colour", "depth"])
def test_a_stream_that_is_recorded_late(late):
    pairing, found = Pairing(5), []
    early = "depth" if late == "colour" else "colour"
    for image in images(*range(0, 300, 30)):
        found += pairing.add(early, image)
    for image in images(*range(2, 302, 30)):
        found += pairing.add(late, image)
    found += pairing.finish()
    assert len(found) == 10
