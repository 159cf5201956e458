"""JSON written entry by entry is the text that is written at once, and is read back entry by entry."""

import json
from contextlib import ExitStack

import pytest

from selfpose6d.files import write_json
from selfpose6d.json_stream import json_list, json_object, read_list, two_lists

ROWS = [{"a": 1, "text": 'quote " and\nline'}, [1.5, None], "ä", {"nested": [{"b": []}]}]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_list_is_the_text_of_write_json(tmp_path, count):
    with json_list(tmp_path / "streamed.json") as entries:
        for row in ROWS[:count]:
            entries.add(row)
    write_json(tmp_path / "whole.json", ROWS[:count])
    assert (tmp_path / "streamed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert list(read_list(tmp_path / "streamed.json")) == ROWS[:count]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_an_object_is_the_text_of_write_json(tmp_path, count):
    content = {f"key {i}": row for i, row in enumerate(ROWS[:count])}
    with json_object(tmp_path / "streamed.json") as entries:
        for key, row in content.items():
            entries.put(key, row)
    write_json(tmp_path / "whole.json", content)
    assert (tmp_path / "streamed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_two_lists_side_by_side_are_the_text_of_write_json(tmp_path):
    head = {"info": {"x": 1}, "licenses": []}
    with two_lists(tmp_path / "streamed.json", head, ("images", "annotations")) as (images, annotations):
        for number, row in enumerate(ROWS):
            images.add(number)
            annotations.add(row)
    write_json(tmp_path / "whole.json", head | {"images": [0, 1, 2, 3], "annotations": ROWS})
    assert (tmp_path / "streamed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert [
        path.name for path in tmp_path.iterdir() if path.name not in ("streamed.json", "whole.json")
    ] == []


def test_nothing_is_written_where_the_block_ends_badly(tmp_path):
    (tmp_path / "list.json").write_text("before")
    with ExitStack() as files, pytest.raises(ZeroDivisionError):
        entries = files.enter_context(json_list(tmp_path / "list.json"))
        first, _ = files.enter_context(two_lists(tmp_path / "two.json", {}, ("a", "b")))
        entries.add(1)
        first.add(1)
        files.push(lambda *_: False)
        with files:
            raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]
    assert (tmp_path / "list.json").read_text() == "before"


@pytest.mark.parametrize(
    "text", ["[1, 2, 3]", "[\n1,\n2,\n3\n]", json.dumps([1, 2, 3], indent=2), "[\n1,\n2,\n3\n]\n\n"]
)
def test_a_list_that_somebody_wrote_is_read(tmp_path, text):
    (tmp_path / "list.json").write_text(text)
    assert list(read_list(tmp_path / "list.json")) == [1, 2, 3]


@pytest.mark.parametrize("text", ["{}", "3", "[\n1,\n", "[\n1\n2\n]", ""])
def test_what_is_no_list_is_refused(tmp_path, text):
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        list(read_list(tmp_path / "list.json"))
