import json

import numpy as np
import pytest
from small_roots import write_json

from selfpose6d.datasets.symmetries import read_symmetries, symmetries_of
from selfpose6d.errors import DataError

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
        {"symmetries_continuous": [7]},
    ],
)
def test_broken_entries(tmp_path, entry):
    (tmp_path / "models_info.json").write_text(json.dumps({"3": entry}))
    with pytest.raises(DataError, match="object 3: expected symmetries_discrete of 16 numbers"):
        read_symmetries(tmp_path)
