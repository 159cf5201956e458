"""A stopped reproduction goes on: finished steps are not made again, another request is refused."""

import time

import pytest

from selfpose6d.errors import DataError, UsageError
from selfpose6d.reproduction.steps import Steps


def fail() -> None:
    raise AssertionError("made again")


def test_a_finished_step_is_not_made_again(tmp_path):
    path = tmp_path / "run" / "steps.json"
    assert Steps(path).once("train a", lambda: {"minutes": 2.5}) == {"minutes": 2.5}
    again = Steps(path)
    assert "train a" in again
    assert again.once("train a", fail) == {"minutes": 2.5}


def test_a_step_that_fails_is_not_finished(tmp_path):
    path = tmp_path / "steps.json"

    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Steps(path).once("train a", stopped)
    assert "train a" not in Steps(path)
    Steps(path).once("train a", lambda: None)
    assert "train a" in Steps(path)


def test_time_counts_over_calls(tmp_path):
    path = tmp_path / "steps.json"
    Steps(path).once("slow", lambda: time.sleep(0.2))
    later = Steps(path)
    assert (later.wall_s("slow") or 0) >= 0.2
    assert later.wall_s("other") is None
    assert 0.2 <= later.used_s < 5


def test_another_request_is_refused_and_named(tmp_path):
    path = tmp_path / "steps.json"
    Steps(path).require_same({"seed": 0, "objects": (1, 2)})
    Steps(path).require_same({"seed": 0, "objects": (1, 2)})
    with pytest.raises(UsageError, match="--seed 0 there, 1 now"):
        Steps(path).require_same({"seed": 1, "objects": (1, 2)})


def test_a_broken_file_is_one_line(tmp_path):
    path = tmp_path / "steps.json"
    for content in ("{", "[1]", '{"a": 3}'):
        path.write_text(content)
        with pytest.raises(DataError, match=r"steps\.json is broken"):
            Steps(path)
