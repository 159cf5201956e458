"""Objects are named; the id stands beside the name."""

from selfpose6d.datasets.object_label import object_label, with_object_names

NAMES = {14: "025_mug", 3: ""}


def test_label():
    assert object_label(14, NAMES) == "025_mug (14)"
    assert object_label(3, NAMES) == "object 3"
    assert object_label(2, {2: "object 2"}) == "object 2"
    assert object_label(2, {2: "obj_000002"}) == "object 2"


def test_ids_in_sentences_become_names():
    assert with_object_names("empty mask of object 14", NAMES) == "empty mask of 025_mug (14)"
    assert with_object_names("no model for object 5", NAMES) == "no model for object 5"


def test_paths_stay():
    for text in ("/data/object 14/rgb.png", "object 14/rgb.png", "obj_000014.ply", "object 140"):
        assert with_object_names(text, NAMES) == text
