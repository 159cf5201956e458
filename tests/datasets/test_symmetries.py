import json

import numpy as np
import pytest
from small_roots import write_json

from selfpose6d.datasets.symmetries import (
    describe_mesh,
    read_symmetries,
    symmetries_entry,
    symmetries_of,
    write_symmetries,
)
from selfpose6d.errors import DataError, UsageError
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup, rotations_about
from selfpose6d.meshes.primitives.boxes import foam_brick

HALF_ROTATION_Z = [-1, 0, 0, 20, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_bop_entry_in_metres():
    group = symmetries_of(
        {
            "symmetries_discrete": [HALF_ROTATION_Z],
            "symmetries_continuous": [{"axis": [0, 0, 2], "offset": [10, 0, 0]}],
        },
        "object 1",
    )
    np.testing.assert_allclose(group.discrete[0, :3, 3], [0.02, 0, 0])
    np.testing.assert_allclose(group.continuous[0].axis, [0, 0, 1])
    np.testing.assert_allclose(group.continuous[0].offset_m, [0.01, 0, 0])
    assert len(group.expand(4)) == 8


def test_files(tmp_path, ycbv_sample):
    assert all(len(group.expand(4)) == 1 for group in read_symmetries(ycbv_sample / "models").values())
    assert read_symmetries(tmp_path) == {}
    write_json(tmp_path / "models_info.json", {"3": {"symmetries_discrete": [HALF_ROTATION_Z]}, "4": {}})
    groups = read_symmetries(tmp_path)
    assert {obj_id: len(group.expand(4)) for obj_id, group in groups.items()} == {3: 2, 4: 1}


@pytest.mark.parametrize(
    "entry",
    [
        {"symmetries_discrete": [[1, 2, 3]]},
        {"symmetries_continuous": [{"offset": [0, 0, 0]}]},
        {"symmetries_continuous": [{"axis": [0, 0, 0]}]},
        {"symmetries_continuous": [{"axis": [0, 0, float("nan")]}]},
        {"symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, float("inf")]}]},
        {"symmetries_continuous": [7]},
    ],
)
def test_broken_entries(tmp_path, entry):
    (tmp_path / "models_info.json").write_text(json.dumps({"3": entry}))
    with pytest.raises(DataError, match="object 3: expected symmetries_discrete of 16 numbers"):
        read_symmetries(tmp_path)


MIRROR = [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
SCALED = [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]
NOT_A_NUMBER = [*HALF_ROTATION_Z[:3], float("nan"), *HALF_ROTATION_Z[4:]]
COLUMN_MAJOR = [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 20, 0, 0, 1]


@pytest.mark.parametrize("matrix", [MIRROR, SCALED, NOT_A_NUMBER, COLUMN_MAJOR])
def test_what_is_no_rigid_motion(matrix):
    with pytest.raises(
        DataError, match=r"object 3: symmetries_discrete\[1\]: expected a rigid motion"
    ) as error:
        symmetries_of({"symmetries_discrete": [HALF_ROTATION_Z, matrix]}, "object 3")
    assert "\n" not in str(error.value)


def some_group() -> SymmetryGroup:
    axis = ContinuousSymmetry(np.array([0.6, 0.0, 0.8]), np.array([0.01, -0.02, 0.0]))
    flip = rotations_about(np.array([0.8, 0.0, -0.6]), np.array([np.pi]), np.array([0.01, -0.02, 0.03]))
    return SymmetryGroup(flip, (axis,))


def test_what_is_written_is_read_again():
    group = some_group()
    back = symmetries_of(json.loads(json.dumps(symmetries_entry(group))), "object 1")
    np.testing.assert_allclose(back.expand(36), group.expand(36), atol=1e-12)


def test_writing_keeps_everything_else(tmp_path):
    before = {"2": {"name": "b", "diameter": 7, "symmetries_discrete": [HALF_ROTATION_Z]}, "10": {"x": [1]}}
    write_json(tmp_path / "models_info.json", before)
    brick = describe_mesh(foam_brick(np.random.default_rng(0)))
    write_symmetries(tmp_path, {2: some_group(), 3: some_group()}, {2: brick, 3: brick})
    after = json.loads((tmp_path / "models_info.json").read_text())
    assert list(after) == ["2", "3", "10"]
    assert after["10"] == {"x": [1]}
    assert (after["2"]["name"], after["2"]["diameter"]) == ("b", 7)
    assert after["3"]["diameter"] == pytest.approx(104.4, abs=0.1)
    assert after["3"]["size_x"] == pytest.approx(52)
    for group in read_symmetries(tmp_path).values():
        assert len(group.expand(36)) in (1, 72)
    np.testing.assert_allclose(read_symmetries(tmp_path)[3].expand(8), some_group().expand(8), atol=1e-9)
    assert [path.name for path in tmp_path.iterdir()] == ["models_info.json"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("selfpose6d.datasets.symmetries.write_json", refuse)
    with pytest.raises(UsageError, match=r"models_info.json cannot be written \(Permission denied\)"):
        write_symmetries(tmp_path, {2: some_group()}, {2: {}})


def test_numbers_too_large_for_a_symmetry():
    with pytest.raises(DataError, match="expected symmetries_discrete of 16 numbers"):
        symmetries_of({"symmetries_discrete": [[10**400] * 16]}, "object 1")
