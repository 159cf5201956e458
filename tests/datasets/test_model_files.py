import pytest
from small_roots import cube, write_json, write_models

from selfpose6d.datasets.model_files import (
    describe_folder,
    find_model_files,
    read_models_info,
    require_models,
)
from selfpose6d.errors import DataError, UsageError
from selfpose6d.meshes.io import save_mesh_ply


def test_bop_folder(tmp_path):
    write_models(tmp_path / "models", (3, 12))
    write_json(tmp_path / "models/models_info.json", {"3": {"name": "soap"}, "4": {"name": "gone"}})
    models = find_model_files(tmp_path / "models")
    assert models.object_ids == (3, 12)
    assert (models.files[3].name, models.files[3].unit) == ("soap", "mm")
    assert models.files[12].name == "obj_000012"
    assert models.names["soap"] == 3
    assert models.names["gone"] == 4


def test_the_unit_option_wins(tmp_path):
    write_models(tmp_path / "models", (1,))
    assert find_model_files(tmp_path / "models", "m").files[1].unit == "m"


def test_named_meshes(tmp_path):
    for name in ("b/textured.ply", "b/other.ply", "c/points.txt", "d/scan.ply"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    save_mesh_ply(cube(), tmp_path / "a.ply")
    models = find_model_files(tmp_path)
    assert {i: (m.name, m.path.name) for i, m in models.files.items()} == {
        1: ("a", "a.ply"),
        2: ("b", "textured.ply"),
        3: ("d", "scan.ply"),
    }
    classes = find_model_files(tmp_path, class_names=("d", "e", "b"), named_unit="m")
    assert {i: m.name for i, m in classes.files.items()} == {1: "d", 3: "b"}
    assert classes.names["e"] == 2
    assert classes.files[1].unit == "m"


def test_ply_is_preferred_to_other_formats(tmp_path):
    for name in ("obj_000001.obj", "obj_000001.ply", "obj_000001.glb"):
        (tmp_path / name).touch()
    assert find_model_files(tmp_path).files[1].path.suffix == ".ply"


def test_missing_models(tmp_path):
    (tmp_path / "obj_1.txt").touch()
    models = find_model_files(tmp_path)
    with pytest.raises(UsageError, match=r"no models: looked for .*found obj_1\.txt\. Pass --models DIR"):
        require_models(models)
    with pytest.raises(DataError, match=r"no model for object 4 in .*found ids none"):
        models.load(4)


def test_models_info_faults(tmp_path):
    assert read_models_info(tmp_path) == {}
    for content in ('{"one": {}}', "[]", "{"):
        (tmp_path / "models_info.json").write_text(content)
        with pytest.raises(DataError, match=r"not BOP's models_info\.json"):
            read_models_info(tmp_path)


def test_describing_folders(tmp_path):
    assert describe_folder(tmp_path) == "an empty folder"
    assert describe_folder(tmp_path / "x") == "no such folder"
    for i in range(10):
        (tmp_path / f"f{i}").touch()
    (tmp_path / "a").mkdir()
    assert describe_folder(tmp_path, 3) == "a/ f0 f1 ... (11)"
