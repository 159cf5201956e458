"""JSON written entry by entry is the text that is written at once."""

import json

import pytest

from selfpose6d.json_stream import json_list, json_object, two_lists, write_json

ROWS = [{"a": 1, "text": 'quote " and\nline'}, [1.5, None], "ä", {"nested": [{"b": []}]}]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_one_entry_of_the_outermost_list_or_object_stands_on_a_line(tmp_path, count):
    write_json(tmp_path / "list.json", ROWS[:count])
    lines = [json.dumps(row) for row in ROWS[:count]]
    assert (tmp_path / "list.json").read_text() == "\n".join(["[", ",\n".join(lines), "]", ""])
    write_json(tmp_path / "object.json", {f"key {i}": row for i, row in enumerate(ROWS[:count])})
    lines = [f'"key {i}": {line}' for i, line in enumerate(lines)]
    assert (tmp_path / "object.json").read_text() == "\n".join(["{", ",\n".join(lines), "}", ""])


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_list_is_the_text_of_write_json(tmp_path, count):
    with json_list(tmp_path / "streamed.json") as entries:
        for row in ROWS[:count]:
            entries.add(row)
    write_json(tmp_path / "whole.json", ROWS[:count])
    assert (tmp_path / "streamed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["streamed.json", "whole.json"]


def test_nothing_is_written_where_the_block_ends_badly(tmp_path):
    (tmp_path / "list.json").write_text("before")

    def write():
        with (
            json_list(tmp_path / "list.json") as entries,
            two_lists(tmp_path / "two.json", {}, ("a", "b")) as (first, _),
        ):
            entries.add(1)
            first.add(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]
    assert (tmp_path / "list.json").read_text() == "before"
