"""A large data set is scored some scenes at a time, with the result of all at once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from runs.written import write_certificates, write_predictions
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError
from selfpose6d.evaluation import inputs
from selfpose6d.evaluation.estimates import EstimateReader, UnorderedError
from selfpose6d.evaluation.evaluate import Evaluation, evaluate
from selfpose6d.evaluation.inputs import ReferenceOptions, load_reference
from selfpose6d.runs.predictions import Prediction
from selfpose6d.runs.review import Verdict, append_verdict
from selfpose6d.types import Certificate, InstanceKey, LabeledPose

SCENES, IMAGES, OBJECTS = (1, 2, 5, 9), 6, (1, 2)
STATUSES = ("certified", "ambiguous", "rejected")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four scenes of six images, two objects in each, no image file."""
    rng, root = np.random.default_rng(0), tmp_path / "data"
    for obj_id in OBJECTS:
        path = root / "models" / f"obj_{obj_id:06d}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.box((100, 60 * obj_id, 40)).export(path)
    for scene_id in SCENES:
        images = {}
        for im_id in range(IMAGES):
            rotations = Rotation.random(len(OBJECTS), rng=rng).as_matrix().reshape(-1, 9).tolist()
            places_mm = rng.uniform((-100, -100, 500), (100, 100, 900), (len(OBJECTS), 3)).tolist()
            entries = zip(OBJECTS, rotations, places_mm, strict=True)
            images[str(im_id)] = [
                {"obj_id": obj_id, "cam_R_m2c": R, "cam_t_m2c": t} for obj_id, R, t in entries
            ]
        folder = root / "test" / f"{scene_id:06d}"
        folder.mkdir(parents=True)
        (folder / "scene_gt.json").write_text(json.dumps(images))
    return root


@pytest.fixture
def labels(root: Path) -> list[LabeledPose]:
    """An estimate of most instances, up to 4 cm off, in the order of the data set."""
    rng, labels = np.random.default_rng(1), []
    for scene_id in SCENES:
        images = json.loads((root / "test" / f"{scene_id:06d}" / "scene_gt.json").read_text())
        for im_id, entries in images.items():
            for entry in entries:
                T = np.eye(4)
                T[:3, :3] = np.reshape(entry["cam_R_m2c"], (3, 3))
                T[:3, 3] = np.array(entry["cam_t_m2c"]) / 1000 + rng.uniform(-0.023, 0.023, 3)
                status = STATUSES[rng.integers(3)]
                certificate = Certificate(status, "", 0.5, 0.1, 0.001, 0.9, 0.0, 0.5, source="search")
                key = InstanceKey("test", scene_id, int(im_id), entry["obj_id"], 0)
                if rng.random() < 0.9:
                    labels.append(LabeledPose(key, T, float(rng.random()), certificate=certificate))
    return labels


def write_run(run: Path, labels: list[LabeledPose], certificates: list[LabeledPose]) -> Path:
    run.mkdir()
    rows = [Prediction(*label.key[1:4], label.confidence, label.T_cam_obj) for label in labels]
    write_predictions(run / "predictions.csv", rows)
    write_certificates(run / "certificates.jsonl", certificates)
    return run


def scored(root: Path, run: Path) -> Evaluation:
    return evaluate(run, load_reference(ReferenceOptions(DataOptions(root), "annotated")))


def some_scenes_at_a_time(monkeypatch) -> None:
    monkeypatch.setattr(inputs, "TRUTHS_AT_ONCE", 2 * IMAGES * len(OBJECTS))


def assert_same(first: Evaluation, second: Evaluation) -> None:
    assert first.results.to_json() == second.results.to_json()
    for name, column in vars(first.errors).items():
        np.testing.assert_array_equal(column, getattr(second.errors, name), err_msg=name)


def test_blocks_are_whole_scenes(root, monkeypatch):
    whole = load_reference(ReferenceOptions(DataOptions(root), "annotated"))
    some_scenes_at_a_time(monkeypatch)
    reference = load_reference(ReferenceOptions(DataOptions(root), "annotated"))
    assert reference.few is None
    assert [sorted(set(block.scene_id.tolist())) for block in reference.blocks()] == [[1, 2], [5, 9]]
    np.testing.assert_array_equal(reference.truths.T_cam_obj, whole.truths.T_cam_obj)


@pytest.mark.parametrize("order", ["of the data set", "images backwards", "scenes backwards", "at random"])
def test_the_order_of_a_file_changes_nothing(root, labels, order, tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    key_of = {
        "of the data set": lambda label: label.key,
        "images backwards": lambda label: (label.key.scene_id, -label.key.im_id),
        "scenes backwards": lambda label: -label.key.scene_id,
        "at random": lambda label: rng.random(),
    }[order]
    run = write_run(tmp_path / "run", sorted(labels, key=key_of), labels)
    append_verdict(run / "review.jsonl", labels[3].key, Verdict("accept"))
    append_verdict(run / "review.jsonl", labels[-1].key, Verdict("reject"))
    whole = scored(root, run)
    assert 0 < whole.results.missed < whole.results.instances == len(SCENES) * IMAGES * len(OBJECTS)
    assert 0 < whole.results.certified_precision < 1
    assert whole.results.review is not None
    some_scenes_at_a_time(monkeypatch)
    assert_same(scored(root, run), whole)


def test_a_reader_says_that_scenes_are_mixed(root, labels, tmp_path):
    run = write_run(tmp_path / "run", labels[::-1], labels)
    reader = EstimateReader(run)
    assert not len(reader.up_to(2))  # the first row is of scene 9
    with pytest.raises(UnorderedError):
        reader.rest()
    mixed = write_run(tmp_path / "mixed", [*labels[5:], *labels[:5]], labels)
    reader = EstimateReader(mixed)
    assert set(reader.up_to(2).scene_id.tolist()) == {1, 2}
    with pytest.raises(UnorderedError):
        reader.rest()


@pytest.mark.parametrize("scene_id", [3, 77])
def test_estimates_of_scenes_without_targets_are_no_part_of_it(root, labels, scene_id, tmp_path, monkeypatch):
    more = [replace(label, key=label.key._replace(scene_id=scene_id)) for label in labels]
    run = tmp_path / "run.csv"
    rows = sorted([*labels, *more], key=lambda label: label.key)
    write_predictions(run, [Prediction(*row.key[1:4], row.confidence, row.T_cam_obj) for row in rows])
    whole = scored(root, run)
    assert whole.rows.total == len(rows)
    some_scenes_at_a_time(monkeypatch)
    evaluation = scored(root, run)
    assert_same(evaluation, whole)
    assert evaluation.rows == whole.rows


def test_faults_are_named_as_they_are_at_once(root, labels, tmp_path, monkeypatch):
    some_scenes_at_a_time(monkeypatch)
    run = write_run(tmp_path / "run", labels, labels)
    append_verdict(run / "review.jsonl", labels[0].key._replace(im_id=70), Verdict("accept"))
    with pytest.raises(DataError, match="scene 1, image 70, has no pose"):
        scored(root, run)
    elsewhere = labels[-1].T_cam_obj.copy()
    elsewhere[0, 3] += 0.1
    other = [*labels[:-1], LabeledPose(labels[-1].key, elsewhere, 0.5, certificate=labels[-1].certificate)]
    with pytest.raises(
        DataError, match=rf"predictions\.csv, line {len(labels) + 1}: .* is not in certificates"
    ):
        scored(root, write_run(tmp_path / "other", labels, other))
    metres = tmp_path / "metres.csv"
    rows = [Prediction(*label.key[1:4], 1.0, label.T_cam_obj) for label in labels]
    for row in rows:
        row.T_cam_obj[:3, 3] /= 1000
    write_predictions(metres, rows)
    with pytest.raises(DataError, match="t must be in millimetres"):
        scored(root, metres)
