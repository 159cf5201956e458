"""Which frames a synthetic part is made of: the right split, the right objects, the same meshes; else one line."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_roots import change_json, cube
from training_runs import run, short
from two_parts import copied, rows

from selfpose6d.crops.batch import decode_records, sample_batch
from selfpose6d.crops.joined import JoinedCrops
from selfpose6d.crops.store import CacheOptions, open_crop_store
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.symmetries import load_symmetries
from selfpose6d.training import rendering
from selfpose6d.training.known_poses import ground_truth_poses
from selfpose6d.training.loader import MixedOrder, ProcessPart
from selfpose6d.training.part_targets import PartTargets
from selfpose6d.training.rendering import MOST_FRAMES, render_synthetic, rendered_frames
from selfpose6d.training.synthetic import find_synthetic, open_synthetic
from selfpose6d.training.targets import PoseTable


def opened(root, dataset, obj_ids=(2,)):
    return open_synthetic(find_synthetic(root, dataset), dataset, obj_ids)


def test_splits_that_are_rendered_by_name_come_first(rendered_root, synthetic_root, dataset, tmp_path):
    both = copied(synthetic_root, tmp_path / "both")
    (both / "train").symlink_to(rendered_root / "train")
    assert find_synthetic(both, dataset).split == "train_pbr"
    (both / "train_synt").symlink_to(both / "train_pbr")
    assert find_synthetic(both, dataset).split == "train_synt"


def test_the_split_to_learn_without_poses_is_never_the_synthetic_one(rendered_root, dataset, tmp_path):
    """Neither by its own name nor through another folder that leads to the same files."""
    with pytest.raises(UsageError, match=r"no split with true poses, looked for train_synt"):
        find_synthetic(rendered_root, dataset)
    (tmp_path / "train").symlink_to(rendered_root / "train")
    (tmp_path / "models").symlink_to(rendered_root / "models")
    with pytest.raises(UsageError, match="frames in common, whose poses must not be read"):
        find_synthetic(tmp_path, dataset)


def test_a_folder_without_poses_is_one_line(synthetic_root, dataset, tmp_path):
    bare = copied(synthetic_root, tmp_path / "bare")

    def forget(scene_gt):
        for entries in scene_gt.values():
            for entry in entries:
                del entry["cam_R_m2c"], entry["cam_t_m2c"]

    change_json(bare / "train_pbr" / "000001" / "scene_gt.json", forget)
    for root in (bare, tmp_path / "nowhere"):
        with pytest.raises(
            UsageError, match=r"--synthetic .*: no split with true poses.*Pass a root"
        ) as said:
            find_synthetic(root, dataset)
        assert "\n" not in str(said.value)


def test_objects_that_are_missing_are_named(synthetic_root, dataset, cache, tmp_path):
    with pytest.raises(UsageError, match=r"split train_pbr lacks objects 5, it has 2\. .*--objects"):
        opened(synthetic_root, dataset, (2, 5))
    other = copied(synthetic_root, tmp_path / "other")
    (other / "models" / "obj_000002.ply").rename(other / "models" / "obj_000003.ply")

    def rename(scene_gt):
        for entries in scene_gt.values():
            entries[0]["obj_id"] = 3

    change_json(other / "train_pbr" / "000001" / "scene_gt.json", rename)
    with pytest.raises(UsageError, match="lacks objects 2, it has 3"):
        run(dataset, tmp_path / "run", cache, 2, "mixed", synthetic=other)
    assert not (tmp_path / "run").exists()


def test_another_mesh_under_the_same_id_is_refused(synthetic_root, dataset, tmp_path):
    """A mesh whose origin is 10 mm elsewhere: every pose would be 10 mm off."""
    moved = copied(synthetic_root, tmp_path / "moved")
    mesh = cube()
    shifted = replace(mesh, vertices_m=mesh.vertices_m + 0.01)
    save_mesh_ply(shifted, moved / "models" / "obj_000002.ply")
    with pytest.raises(UsageError, match=r"object 2 has another mesh .* differ by 10\.0 mm"):
        opened(moved, dataset)
    assert opened(synthetic_root, dataset).object_ids == (2,)


def test_a_root_without_models_takes_the_data_sets(synthetic_root, dataset, tmp_path):
    for entry in synthetic_root.iterdir():
        if entry.name != "models":
            (tmp_path / entry.name).symlink_to(entry)
    assert opened(tmp_path, dataset).models.folder == dataset.models.folder


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("paper", "recipe paper has no synthetic part"),
        ("synthetic", "recipe synthetic has no synthetic part"),
    ],
)
def test_other_recipes_refuse_it(recipe, message, dataset, synthetic_root, cache, tmp_path):
    with pytest.raises(UsageError, match=message):
        run(dataset, tmp_path / "run", cache, 2, recipe, synthetic=synthetic_root)


def test_a_student_needs_a_teacher_that_has_learned_something(dataset, synthetic_root, cache, tmp_path):
    recipe = short("teacher-student")
    recipe = replace(recipe, stages=recipe.stages[2:])
    with pytest.raises(UsageError, match="stage student needs a teacher that has learned something"):
        run(dataset, tmp_path / "run", cache, 2, recipe)
    run(dataset, tmp_path / "first", cache, 2, "mixed", synthetic=synthetic_root)
    run(dataset, tmp_path / "run", cache, 4, recipe, init=tmp_path / "first")
    assert {row["stage"] for row in rows(tmp_path / "run", "validation")} == {"student", "joint-loss"}


def test_other_synthetic_frames_are_another_training(dataset, synthetic_root, cache, tmp_path):
    run(dataset, tmp_path / "run", cache, 2, "mixed", synthetic=synthetic_root)
    fewer = copied(synthetic_root, tmp_path / "fewer")
    camera = fewer / "train_pbr" / "000001" / "scene_camera.json"
    camera.write_text(json.dumps(dict([*json.loads(camera.read_text()).items()][:5])))
    with pytest.raises(UsageError, match=r"--synthetic.* is .* there, .* now"):
        run(dataset, tmp_path / "run", cache, 4, "mixed", synthetic=fewer, resume=True)


def test_the_number_of_rendered_frames_gives_each_object_its_instances():
    assert [rendered_frames(count) for count in (1, 3, 5, 10)] == [900, 900, 900, 1800]
    assert rendered_frames(21) == 3780 < MOST_FRAMES == rendered_frames(1000)


def test_without_a_folder_frames_are_rendered_once(rendered_root, dataset, tmp_path, monkeypatch):
    """Kept by the meshes' content: found again for the same models elsewhere, not for other ones."""
    monkeypatch.setattr(rendering, "INSTANCES_PER_OBJECT", 2)
    cache, said = CacheOptions(tmp_path / "cache"), []
    first = render_synthetic(dataset, (2,), cache, said.append)
    assert "rendering 2 frames of the data set's models" in said[0]
    T_cam_obj, weight = ground_truth_poses(first.open(), open_crop_store(first.open(), 32, cache).keys)
    assert weight.all()
    assert torch.isfinite(T_cam_obj).all()
    elsewhere = DataOptions(copied(rendered_root, tmp_path / "elsewhere"), "train").open()
    said.clear()
    assert render_synthetic(elsewhere, (2,), cache, said.append) == first
    assert not said
    assert opened(first.dataset, dataset).split == "train"
    mesh = cube()
    larger = replace(mesh, vertices_m=1.5 * mesh.vertices_m)
    save_mesh_ply(larger, elsewhere.models.folder / "obj_000002.ply")
    assert (
        rendering._content_key(elsewhere, (2,), rendering._options(elsewhere, (2,), 2)) != first.dataset.name
    )


def test_rendering_that_was_stopped_goes_on(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "INSTANCES_PER_OBJECT", 2)
    cache = CacheOptions(tmp_path / "cache")

    def stop(tasks):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rendering, "render_all", stop)
        with pytest.raises(KeyboardInterrupt):
            render_synthetic(dataset, (2,), cache, lambda _: None)
    found = render_synthetic(dataset, (2,), cache, lambda _: None)
    assert len(found.open().frame_ids()) == 2


@pytest.mark.parametrize(("num_second", "world"), [(4, 1), (1, 2), (3, 4), (7, 8)])
def test_every_batch_has_its_share_of_both_parts(num_second, world):
    first, second = np.arange(20), np.arange(100, 111)

    def batch(step):
        parts = [
            MixedOrder(first, second, 8, num_second, 0, ProcessPart(rank, world)).indices(step)
            for rank in range(world)
        ]
        assert all(len(part) == 8 // world for part in parts)
        return np.concatenate(parts)

    batches = [batch(step) for step in range(12)]
    assert {int((one >= 100).sum()) for one in batches} == {num_second}
    seen = np.concatenate(batches)
    for part, per_step in ((first, 8 - num_second), (second, num_second)):
        own = seen[np.isin(seen, part)]
        for epoch in range(12 * per_step // len(part)):
            assert sorted(own[epoch * len(part) : (epoch + 1) * len(part)]) == part.tolist()


def test_targets_of_a_mixed_batch_come_from_each_instances_own_part(dataset, synthetic_root, cache):
    """Ten instances of each part, in mixed order: every target is the true pose of its own data set."""
    synthetic = opened(synthetic_root, dataset)
    stores = [open_crop_store(data, 32, cache) for data in (dataset, synthetic)]
    crops = JoinedCrops(*stores)
    truth = [
        ground_truth_poses(data, store.keys)[0]
        for data, store in zip((dataset, synthetic), stores, strict=True)
    ]
    shapes = build_object_shapes([cube()])
    symmetries = load_symmetries(dataset.models.folder, (2,), dataset.load_mesh)
    tables = [
        PoseTable(T, torch.full((10,), weight), symmetries, shapes)
        for T, weight in zip(truth, (1.0, 0.5), strict=True)
    ]
    source = PartTargets(*tables, crops.start)
    index = np.random.default_rng(0).permutation(20)
    records = crops.read(index)
    assert [crops.key(int(i)).im_id for i in index] == records["key"][:, 1].tolist()
    assert [crops.key(i).split for i in (0, 19)] == ["train", "train_pbr"]
    batch = sample_batch(
        decode_records(records), {2: 0}, torch.tensor([0.18]), 60, torch.Generator().manual_seed(0)
    )
    found = source.begin(batch, torch.from_numpy(index)).targets(
        batch, torch.from_numpy(index), torch.eye(4).repeat(20, 2, 1, 1)
    )
    T_cam_obj = batch.T_cam_crop[:, None] @ found.T_crop_obj
    expected = torch.cat(truth)[torch.from_numpy(index)].expand(-1, 2, -1, -1)
    assert torch.allclose(T_cam_obj, expected, atol=1e-5)
    assert found.weight.tolist() == [1.0 if i < 10 else 0.5 for i in index]
