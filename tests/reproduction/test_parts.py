"""Thinning frames, counting instances, and which objects are the paper's."""

import itertools
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))

from small_roots import write_bop, write_json, write_models

from selfpose6d.datasets.model_files import find_model_files
from selfpose6d.errors import UsageError
from selfpose6d.reproduction.objects import YCB_DIAMETERS_MM, table_objects, ycb_ids
from selfpose6d.reproduction.parts import Part, count_instances, first_split, spread, target_frames
from selfpose6d.selection import FrameId, Selection


def grid(scenes: int, images: int) -> list[FrameId]:
    return [FrameId(scene, image) for scene in range(scenes) for image in range(images)]


def taken(frame_ids: list[FrameId], most: int) -> list[FrameId]:
    scenes, frames = spread(frame_ids, most)
    selection = Selection(scenes, frames)
    kept = [frame_id for frame_id in frame_ids if selection.keeps_scene(frame_id.scene_id)]
    return list(Selection(frames=frames).select(kept))


def test_long_scenes_keep_evenly_spread_images_of_each():
    kept = taken(grid(3, 100), 30)
    assert len(kept) == 30
    assert {frame_id.scene_id for frame_id in kept} == {0, 1, 2}
    images = sorted({frame_id.im_id for frame_id in kept})
    assert {b - a for a, b in itertools.pairwise(images)} == {10}


def test_many_short_scenes_are_thinned_whole():
    kept = taken(grid(150, 8), 80)
    assert len(kept) == 80
    assert {frame_id.im_id for frame_id in kept} == set(range(8))
    scenes = sorted({frame_id.scene_id for frame_id in kept})
    assert scenes[0] < 15
    assert scenes[-1] > 134


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 150))
def test_never_more_than_asked_for_and_never_none(scenes, images, most):
    frame_ids = grid(scenes, images)
    kept = taken(frame_ids, most)
    assert 1 <= len(kept) <= most
    assert len(kept) == len(frame_ids) or most < len(frame_ids)


def test_a_part_is_thinned_counted_and_restored(tmp_path):
    part = Part(write_bop(tmp_path / "data", {1: 6, 2: 6}), "test", Selection(objects=(1,)))
    thin = part.thinned(4)
    assert len(thin.open().frame_ids()) == 4
    assert {frame_id.scene_id for frame_id in thin.open().frame_ids()} == {1, 2}
    assert part.restored(json.loads(json.dumps(thin.to_json()))) == thin
    assert thin.arguments()[:3] == [str(part.root), "--split", "test"]
    assert count_instances(part.open()) == 1
    assert count_instances(Part(part.root, "test", Selection()).open()) == 2


def test_only_frames_with_targets_are_tested(tmp_path):
    root = write_bop(tmp_path / "data", {1: 3, 2: 3})
    part = Part(root, "test", Selection())
    assert target_frames(part) == part
    rows = [{"scene_id": 2, "im_id": i, "obj_id": 1, "inst_count": 1} for i in (1, 3)]
    write_json(root / "test_targets_bop19.json", rows)
    assert target_frames(part).open().frame_ids() == (FrameId(2, 1), FrameId(2, 3))


def test_the_first_split_that_is_there(tmp_path):
    root = write_bop(tmp_path / "data", {1: 2}, split="train_real")
    part = Part(root, "test", Selection())
    assert first_split(part, ("train", "train_real"), "train frames", "").split == "train_real"
    with pytest.raises(UsageError, match=r"no train frames in .*: tried split train, other"):
        first_split(part, ("train", "other"), "train frames", "")


def named_models(folder: Path, names: dict[int, str]):
    write_models(folder, tuple(names))
    info = json.loads((folder / "models_info.json").read_text())
    write_json(folder / "models_info.json", {i: entry | {"name": names[int(i)]} for i, entry in info.items()})
    return find_model_files(folder)


def test_the_papers_objects_are_known_by_name(tmp_path):
    models = named_models(tmp_path / "models", {3: "025_mug", 7: "061_foam_brick", 9: "gnome"})
    assert ycb_ids(models) == {3: 14, 7: 21}
    rows = table_objects(models, (), ())
    assert [(row.obj_id, row.name, row.ycb_id) for row in rows] == [
        (3, "025_mug", 14), (7, "061_foam_brick", 21), (9, "gnome", None),
    ]  # fmt: skip
    assert [row.obj_id for row in table_objects(models, (), (21,))] == [7], (
        "the table's own, where all are there"
    )
    assert len(table_objects(models, (), (20, 21))) == 3
    assert [row.obj_id for row in table_objects(models, (9, 3), (21,))] == [3, 9]
    with pytest.raises(UsageError, match="--objects 4: no such model"):
        table_objects(models, (4,), ())


def test_nameless_models_of_the_papers_sizes_are_the_papers(tmp_path):
    write_models(tmp_path / "models", tuple(range(1, 22)))
    path = tmp_path / "models" / "models_info.json"
    assert ycb_ids(find_model_files(path.parent)) == {}
    sizes = {str(i): {"diameter": size_mm * 1.004} for i, size_mm in enumerate(YCB_DIAMETERS_MM, start=1)}
    write_json(path, sizes)
    assert ycb_ids(find_model_files(path.parent)) == {i: i for i in range(1, 22)}


def test_the_published_meshes_have_these_sizes(ycbv_sample):
    info = json.loads((ycbv_sample / "models" / "models_info.json").read_text())
    sizes_mm = [info[str(i)]["diameter"] for i in range(1, 22)]
    assert sizes_mm == pytest.approx(list(YCB_DIAMETERS_MM), rel=0.006)
