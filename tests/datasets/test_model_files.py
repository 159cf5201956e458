import json

import pytest
from small_roots import cube, write_json, write_models

from selfpose6d.datasets import model_files
from selfpose6d.datasets.model_files import (
    describe_folder,
    find_model_files,
    ids_to_keep,
    read_models_info,
    require_models,
    stated_diameter_m,
    write_ids,
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


@pytest.mark.parametrize("value", [None, True, "172", 0, -3.0, 10**400, 5e-324, float("inf"), float("nan")])
def test_a_diameter_that_can_be_none_is_not_stated(value):
    assert stated_diameter_m({"diameter": value}) is None
    assert stated_diameter_m({}) is None


def test_a_stated_diameter_is_in_metres():
    assert stated_diameter_m({"diameter": 172}) == pytest.approx(0.172)


def test_describing_folders(tmp_path):
    assert describe_folder(tmp_path) == "an empty folder"
    assert describe_folder(tmp_path / "x") == "no such folder"
    for i in range(10):
        (tmp_path / f"f{i}").touch()
    (tmp_path / "a").mkdir()
    assert describe_folder(tmp_path, 3) == "a/ f0 f1 ... (11)"


def named(folder, *names):
    for name in names:
        (folder / name).touch()
    return {file.name: i for i, file in find_model_files(folder).files.items()}


def test_units_that_formats_say(tmp_path):
    for name in ("a.glb", "b.gltf", "c.step", "d.stl", "e.OFF"):
        (tmp_path / name).touch()
    units = {m.name: m.unit for m in find_model_files(tmp_path).files.values()}
    assert units == {"a": "m", "b": "m", "c": "m", "d": None, "e": None}
    units = {m.name: m.unit for m in find_model_files(tmp_path, "inch").files.values()}
    assert units == {"a": "inch", "b": "inch", "c": "m", "d": "inch", "e": "inch"}
    (tmp_path / "obj_000003.glb").touch()
    (tmp_path / "obj_000004.stl").touch()
    assert {i: m.unit for i, m in find_model_files(tmp_path).files.items()} == {3: "m", 4: "mm"}


def test_stated_ids_stay_when_a_mesh_is_added(tmp_path):
    assert named(tmp_path, "bolt.stl", "mug.glb") == {"bolt": 1, "mug": 2}
    write_json(tmp_path / "models.json", ids_to_keep(find_model_files(tmp_path)))
    assert ids_to_keep(find_model_files(tmp_path)) == {}
    assert named(tmp_path, "a.obj", "nut.off") == {"bolt": 1, "mug": 2, "a": 3, "nut": 4}
    assert ids_to_keep(find_model_files(tmp_path)) == {"bolt": 1, "mug": 2, "a": 3, "nut": 4}
    (tmp_path / "bolt.stl").unlink()
    models = find_model_files(tmp_path)
    assert models.object_ids == (2, 3, 4)
    assert models.names["bolt"] == 1


def test_models_info_names_meshes_before_models_json(tmp_path):
    write_json(tmp_path / "models_info.json", {"7": {"name": "mug"}, "9": {"diameter": 1}})
    write_json(tmp_path / "models.json", {"mug": 1, "bolt": 3})
    assert named(tmp_path, "bolt.stl", "mug.glb", "nut.stl") == {"bolt": 3, "mug": 7, "nut": 8}


@pytest.mark.parametrize(
    ("ids", "info", "expected"),
    [
        ({"a": 1, "b": 1}, {}, "a, b share an id"),
        ({"a": 2}, {"2": {"name": "b"}}, "a, b share an id"),
        ({}, {"1": {"name": "b"}, "2": {"name": "b"}}, "two ids have one name"),
        ({"a": "1"}, {}, r'expected {"<name>": id}'),
        ({"a": True}, {}, r'expected {"<name>": id}'),
        ([1], {}, r'expected {"<name>": id}'),
    ],
)
def test_ids_that_contradict_each_other(tmp_path, ids, info, expected):
    write_json(tmp_path / "models.json", ids)
    write_json(tmp_path / "models_info.json", info)
    with pytest.raises(DataError, match=expected):
        named(tmp_path, "a.stl", "b.stl")


def test_ids_of_numbered_meshes_need_no_file(tmp_path):
    write_models(tmp_path / "models", (3, 12))
    assert ids_to_keep(find_model_files(tmp_path / "models")) == {}


def test_the_first_run_keeps_the_ids_beside_the_models_or_in_its_own_folder(tmp_path, monkeypatch):
    for name in ("mug", "box"):
        save_mesh_ply(cube(), tmp_path / "models" / f"{name}.ply")
    models, run = tmp_path / "models", tmp_path / "run"
    run.mkdir()
    write_ids(find_model_files(models, "mm"), run)
    assert json.loads((models / "models.json").read_text()) == {"box": 1, "mug": 2}
    assert not any(run.iterdir())
    save_mesh_ply(cube(), models / "apple.ply")
    assert find_model_files(models, "mm").names == {"box": 1, "mug": 2, "apple": 3}
    (models / "models.json").unlink()

    def read_only(path, content):
        if path.parent == models:
            raise PermissionError
        write_json(path, content)

    monkeypatch.setattr(model_files, "write_json", read_only)
    write_ids(find_model_files(models, "mm"), run)
    assert json.loads((run / "models.json").read_text()) == {"apple": 1, "box": 2, "mug": 3}


def test_two_objects_of_one_name_are_refused(tmp_path):
    models = tmp_path / "models"
    write_models(models)
    write_json(models / "models_info.json", {"1": {"name": "box"}, "2": {"name": "box"}})
    with pytest.raises(DataError, match="two ids have one name: objects 1 and 2 are 'box'"):
        model_files.find_model_files(models)
