"""Reasons of one kind are one row that says what differs in them."""

from selfpose6d.reporting.reasons import count_reasons, without_details


def test_numbers_become_the_range_that_they_span():
    reasons = [("rejected", text) for text in ("margin 0.02 of 5", "margin -0.1 of 5", "margin 0.3 of 5")]
    assert count_reasons(reasons) == [("rejected", "margin -0.1 to 0.3 of 5", 3)]


def test_groups_are_counted_apart_and_frequent_ones_come_first():
    reasons = [("a", "none"), ("b", "rms 1 mm"), ("b", "rms 10 mm"), ("b", "none")]
    assert count_reasons(reasons) == [("b", "rms 1 to 10 mm", 2), ("a", "none", 1), ("b", "none", 1)]


def test_ids_and_numbers_in_names_are_no_quantities():
    reasons = [("", f"object {i} hides it, see obj_00000{i}") for i in (1, 2)]
    assert [text for _, text, _ in count_reasons(reasons)] == [text for _, text in reasons]


def test_without_details():
    assert without_details("/data/rgb/1.png: missing file: add it") == "missing file"
    assert without_details("not verified") == "not verified"
