import numpy as np
import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st
from written import write_predictions

from selfpose6d.errors import DataError
from selfpose6d.runs.json_lines import to_line
from selfpose6d.runs.predictions import (
    Prediction,
    iterate_predictions,
    read_skipped,
    require_millimetres,
    skipped_row,
)
from selfpose6d.types import InstanceKey

HEADER = "scene_id,im_id,obj_id,score,R,t,time\n"
IDENTITY = "1 0 0 0 1 0 0 0 1"


def pose(seed: int, t_m=(0.1, -0.2, 0.7)) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = roma.random_rotmat(generator=torch.Generator().manual_seed(seed)).numpy()
    T[:3, 3] = t_m
    return T


def test_written_by_hand(tmp_path):
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    T[:3, 3] = [0.0125, -0.002, 0.75]
    write_predictions(tmp_path / "p.csv", [Prediction(48, 1, 5, 0.5, T, 0.25)])
    expected = "48,1,5,0.5,0 -1 0 1 0 0 0 0 1,12.5 -2 750,0.25\n"
    assert (tmp_path / "p.csv").read_text() == HEADER + expected


@given(st.integers(0, 1000), st.floats(0, 1), st.tuples(*[st.floats(-5, 5)] * 3))
def test_round_trip(tmp_path_factory, seed, score, t_m):
    path = tmp_path_factory.mktemp("p") / "p.csv"
    written = Prediction(1, 2, 3, score, pose(seed, t_m), 0.5)
    write_predictions(path, [written])
    [read] = list(iterate_predictions(path))
    np.testing.assert_allclose(read.T_cam_obj, written.T_cam_obj, atol=2e-8)
    assert (read.scene_id, read.im_id, read.obj_id, read.time_s) == (1, 2, 3, 0.5)
    assert read.score == pytest.approx(score, rel=1e-8)


def test_other_programs_files_are_read(tmp_path):
    """Byte order mark, Windows line ends, spaces, another column order, no time, blank lines."""
    text = f"\ufeffim_id, scene_id,obj_id,score,t,R\r\n\r\n2,1,3,1e-3,  0 0  500 ,{IDENTITY} \r\n"
    (tmp_path / "p.csv").write_text(text, encoding="utf-8", newline="")
    [read] = list(iterate_predictions(tmp_path / "p.csv"))
    assert (read.scene_id, read.im_id, read.score, read.time_s) == (1, 2, 1e-3, -1.0)
    assert read.T_cam_obj[:3, 3].tolist() == [0, 0, 0.5]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"1,2,x,1,{IDENTITY},0 0 1,1", ", column obj_id: expected a whole number"),
        (f"1,2,3,1,{IDENTITY}", ": it has 5 fields"),
        (f"1,2,3,1,{IDENTITY},0 0,1", ", column t: expected 3 numbers, got 2"),
        (f"1,2,3,1,{IDENTITY},0 0 one,1", ", column t: could not convert"),
        ("1,2,3,1,1 0 0 0,0 0 1,1", ", column R: expected 9 numbers, got 4"),
        (f"1,2,3,nan,{IDENTITY},0 0 1,1", ", column score: a number is not finite"),
        (f"1,2,3,1,{IDENTITY},0 0 inf,1", ", column t: a number is not finite"),
        (f"1,2,3,1,{IDENTITY},0 0 1,soon", ", column time: could not convert"),
        ("1,2,3,1,nan 0 0 0 1 0 0 0 1,0 0 1,1", ", column R: a number is not finite"),
        ("1,2,3,1,0 0 0 0 0 0 0 0 0,0 0 1,1", ", column R: R is no rotation"),
        ("1,2,3,1,1 0 0 0 1 0 0 0 -1,0 0 1,1", r", column R: R is no rotation \(off by 2\)"),
        ("1,2,3,1,1.1 0 0 0 1.1 0 0 0 1.1,0 0 1,1", r", column R: R is no rotation \(off by 0\.21\)"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_loses_no_other(tmp_path, line, reason):
    good = f"1,2,{{}},1,{IDENTITY},0 0 1,1\n"
    (tmp_path / "p.csv").write_text(f"{HEADER}{good.format(3)}{line}\n{good.format(4)}")
    with pytest.warns(UserWarning, match=rf"p\.csv, line 3{reason}.*The row is left out"):
        read = list(iterate_predictions(tmp_path / "p.csv"))
    assert [(one.obj_id, one.row) for one in read] == [(3, 0), (4, 2)]
    (tmp_path / "p.csv").write_text(f"{HEADER}{line}\n")
    with pytest.raises(DataError, match=rf"p\.csv, line 2{reason}"):
        list(iterate_predictions(tmp_path / "p.csv"))


@pytest.mark.parametrize("digits", [2, 3, 4, 6])
def test_rounded_rotations_are_read_as_the_nearest_ones(tmp_path, digits):
    """Two digits and more; the nearest rotation is nearer to the true one than the rounded matrix."""
    for seed in range(50):
        T = pose(seed)
        rounded = np.round(T[:3, :3], digits)
        numbers = " ".join(map(str, rounded.ravel()))
        (tmp_path / "p.csv").write_text(f"{HEADER}1,2,3,1,{numbers},100 -200 700,1\n")
        [read] = list(iterate_predictions(tmp_path / "p.csv"))
        R = read.T_cam_obj[:3, :3]
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=3e-6)
        assert np.linalg.det(R) == pytest.approx(1, abs=3e-6)
        assert np.abs(R - T[:3, :3]).max() < 10.0**-digits


@pytest.mark.parametrize(("scale", "guess"), [(1e-3, "metres"), (1e3, "micrometres")])
def test_translations_in_another_unit_are_named(scale, guess):
    distances_m = np.array([0.8, 1.2])
    require_millimetres(distances_m, "p.csv")
    require_millimetres(np.empty(0), "p.csv")
    with pytest.raises(
        DataError, match=rf"p\.csv: t must be in millimetres: .* seems to be in {guess}: convert"
    ):
        require_millimetres(distances_m * scale, "p.csv")


def test_files_that_are_no_predictions(tmp_path):
    path = tmp_path / "p.csv"
    with pytest.raises(DataError, match="missing file"):
        list(iterate_predictions(path))
    path.write_text("scene_id,im_id\n")
    with pytest.raises(DataError, match="line 1: no column obj_id, score, R, t"):
        list(iterate_predictions(path))
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DataError, match="not a CSV text file"):
        list(iterate_predictions(path))
    path.write_text(HEADER)
    assert list(iterate_predictions(path)) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("old")

    def rows():
        yield Prediction(1, 2, 3, 1.0, np.eye(4))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, rows())
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]


def test_skipped_rows(tmp_path):
    key = InstanceKey("test", 48, 1, 5, 0)
    path = tmp_path / "skipped.jsonl"
    path.write_text(to_line(skipped_row(key, "few points")))
    (skipped,) = read_skipped(path)
    assert (skipped.key, skipped.reason, skipped.valid) == (key, "few points", False)
    path.write_text('{"split": "test"}\n')
    with pytest.raises(DataError, match="line 1: expected the key split, scene_id"):
        list(read_skipped(path))
