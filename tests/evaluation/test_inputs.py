"""Runs and data sets as tables: certificates find their predictions, data sets need no images."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runs.written import write_certificates, write_predictions
from selfpose6d.datasets import layouts
from selfpose6d.datasets.capture.layout import CAPTURE
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, UsageError
from selfpose6d.evaluation import evaluate as evaluate_module
from selfpose6d.evaluation.estimates import EstimateReader, read_estimates, verdict_counts
from selfpose6d.evaluation.evaluate import evaluate, read_evaluation, results_path, write_evaluation
from selfpose6d.evaluation.inputs import ReferenceOptions, load_reference
from selfpose6d.reporting.reliability_tables import review_lines
from selfpose6d.runs.predictions import Prediction
from selfpose6d.runs.review import Verdict, append_verdict
from selfpose6d.selection import Selection
from selfpose6d.types import Certificate, InstanceKey, LabeledPose


def random_poses(count: int) -> np.ndarray:
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = Rotation.random(count, rng=np.random.default_rng(1)).as_matrix()
    T[:, :3, 3] = np.random.default_rng(2).uniform(0.1, 1, (count, 3))
    return T


def label(key: InstanceKey, T_cam_obj: np.ndarray, status: str) -> LabeledPose:
    certificate = Certificate(status, "", 0.5, 0.1, 0.001, 0.9, 0.0, 0.5)
    return LabeledPose(key, T_cam_obj, 0.5, certificate=certificate)


def test_certificates_of_several_instances_are_told_apart_by_pose(tmp_path):
    poses = random_poses(4)
    write_predictions(tmp_path / "predictions.csv", [Prediction(0, 1, 5, 0.5, T) for T in poses])
    statuses = ["certified", "ambiguous", "rejected", "certified"]
    labels = [label(InstanceKey("test", 0, 1, 5, i), poses[i], statuses[i]) for i in (2, 0, 3, 1)]
    write_certificates(tmp_path / "certificates.jsonl", labels)
    estimates, has_certificates = read_estimates(tmp_path)
    assert has_certificates
    assert estimates.status.tolist() == statuses
    np.testing.assert_allclose(estimates.T_cam_obj, poses, atol=1e-6)


def test_a_prediction_without_certificate_has_no_status(tmp_path):
    poses = random_poses(2)
    write_predictions(
        tmp_path / "predictions.csv", [Prediction(0, i, 5, 0.5, T) for i, T in enumerate(poses)]
    )
    write_certificates(
        tmp_path / "certificates.jsonl", [label(InstanceKey("test", 0, 1, 5, 0), poses[1], "certified")]
    )
    assert read_estimates(tmp_path)[0].status.tolist() == ["", "certified"]


def test_a_bare_file_has_no_certificates(tmp_path):
    write_predictions(tmp_path / "other.csv", [Prediction(0, 1, 5, 0.5, random_poses(1)[0])])
    estimates, has_certificates = read_estimates(tmp_path / "other.csv")
    assert not has_certificates
    assert estimates.status.tolist() == [""]


def test_a_row_that_cannot_be_read_is_a_miss_and_the_others_count(tmp_path):
    path = tmp_path / "other.csv"
    write_predictions(path, [Prediction(0, image, 5, 0.5, T) for image, T in enumerate(random_poses(3))])
    header, first, second, third = path.read_text().splitlines()
    fields = second.split(",")
    path.write_text("\n".join([header, first, ",".join([*fields[:4], "0 " * 9, *fields[5:]]), third]))
    with pytest.warns(UserWarning, match=r"other\.csv, line 3, column R: R is no rotation"):
        estimates, _ = read_estimates(path)
    assert estimates.im_id.tolist() == [0, 2]
    assert estimates.row.tolist() == [0, 2]


def test_metres_in_a_file_of_millimetres_are_named(tmp_path):
    path = tmp_path / "other.csv"
    poses = [T * [[1], [1], [1], [1]] for T in random_poses(3)]
    for T in poses:
        T[:3, 3] /= 1000
    write_predictions(path, [Prediction(0, 1, 5, 0.5, T) for T in poses])
    with pytest.raises(DataError, match=r"t must be in millimetres: .* It seems to be in metres: convert it"):
        read_estimates(path)


def test_single_rows_in_metres_are_counted(tmp_path):
    path = tmp_path / "other.csv"
    poses = random_poses(3)
    poses[1][:3, 3] /= 1000
    write_predictions(path, [Prediction(0, 1, 5, 0.5, T) for T in poses])
    with pytest.warns(UserWarning, match=r"other\.csv: 1 of 3 poses are nearer to the camera than 20 mm"):
        estimates, _ = read_estimates(path)
    assert len(estimates) == 3


def test_rows_are_counted_while_they_are_read(tmp_path):
    path = tmp_path / "other.csv"
    write_predictions(path, [Prediction(0, 1, 5, 0.5, T) for T in random_poses(3)])
    path.write_text(path.read_text() + "0,1,5\n")
    reader = EstimateReader(path)
    with pytest.warns(UserWarning, match="line 5: it has 3 fields"):
        reader.rest()
    assert (reader.counts.total, reader.counts.left_out) == (4, 1)


def test_missing_predictions(tmp_path):
    with pytest.raises(UsageError, match=r"predictions\.csv does not exist\. Pass the --out"):
        read_estimates(tmp_path)


def test_poses_that_are_not_the_certificates_are_refused(tmp_path):
    poses = random_poses(2)
    write_predictions(tmp_path / "predictions.csv", [Prediction(0, 1, 5, 0.5, poses[0])])
    write_certificates(
        tmp_path / "certificates.jsonl", [label(InstanceKey("test", 0, 1, 5, 0), poses[1], "certified")]
    )
    with pytest.raises(DataError, match=r"line 2: its pose of scene 0, image 1, object 5 is not in"):
        read_estimates(tmp_path)


def test_blank_lines_count_in_the_line_that_is_named(tmp_path):
    poses, path = random_poses(2), tmp_path / "predictions.csv"
    write_predictions(path, [Prediction(0, i, 5, 0.5, poses[0]) for i in (1, 2)])
    write_certificates(
        tmp_path / "certificates.jsonl", [label(InstanceKey("test", 0, 2, 5, 0), poses[1], "certified")]
    )
    path.write_text(path.read_text().replace("\n", "\n\n"))
    with pytest.raises(DataError, match=r"line 5: its pose of scene 0, image 2"):
        read_estimates(tmp_path)


def test_another_file_beside_the_certificates_is_scored_without_them(tmp_path):
    poses = random_poses(2)
    write_predictions(tmp_path / "refined.csv", [Prediction(0, 1, 5, 0.5, poses[0])])
    write_certificates(
        tmp_path / "certificates.jsonl", [label(InstanceKey("test", 0, 1, 5, 0), poses[1], "certified")]
    )
    estimates, has_certificates = read_estimates(tmp_path / "refined.csv")
    assert not has_certificates
    assert estimates.status.tolist() == [""]


def test_two_instances_at_one_pose_keep_their_own_certificates(tmp_path):
    (T,) = random_poses(1)
    write_predictions(tmp_path / "predictions.csv", [Prediction(0, 1, 5, 0.5, T)] * 2)
    labels = [
        label(InstanceKey("test", 0, 1, 5, i), T, status) for i, status in ((3, "certified"), (4, "rejected"))
    ]
    write_certificates(tmp_path / "certificates.jsonl", labels)
    estimates, _ = read_estimates(tmp_path)
    assert estimates.inst_id.tolist() == [3, 4]
    assert estimates.status.tolist() == ["certified", "rejected"]


def test_estimates_are_as_the_review_corrects_them(tmp_path):
    poses, corrected = random_poses(3), random_poses(4)[3]
    write_predictions(
        tmp_path / "predictions.csv", [Prediction(0, i, 5, 0.5, T) for i, T in enumerate(poses)]
    )
    keys = [InstanceKey("test", 0, i, 5, 0) for i in range(3)]
    labels = [label(key, T, "rejected") for key, T in zip(keys, poses, strict=True)]
    write_certificates(tmp_path / "certificates.jsonl", labels)
    assert verdict_counts(tmp_path) is None
    append_verdict(tmp_path / "review.jsonl", keys[0], Verdict("accept"))
    append_verdict(tmp_path / "review.jsonl", keys[2], Verdict("pose", T_cam_obj=corrected))
    estimates, _ = read_estimates(tmp_path)
    assert estimates.status.tolist() == ["certified", "rejected", "certified"]
    assert estimates.reason.tolist() == ["review: accept", "", "review: pose"]
    assert estimates.confidence.tolist() == [1.0, 0.5, 1.0]
    np.testing.assert_allclose(estimates.T_cam_obj, [*poses[:2], corrected], atol=1e-6)
    before, _ = read_estimates(tmp_path, before_review=True)
    assert before.status.tolist() == ["rejected"] * 3
    assert verdict_counts(tmp_path) == {"accept": 1, "reject": 0, "alternative": 0, "pose": 1}
    append_verdict(tmp_path / "review.jsonl", keys[0]._replace(im_id=7), Verdict("accept"))
    with pytest.raises(
        DataError, match="line 3: object 5, instance 0 of split test, scene 0, image 7, has no pose"
    ):
        read_estimates(tmp_path)


@pytest.fixture
def poses_only(ycbv_sample: Path, tmp_path: Path) -> Path:
    """The sample without any image: `scene_gt.json` and points files alone."""
    root = tmp_path / "poses"
    for source in ycbv_sample.glob("test/*/scene_gt.json"):
        target = root / source.relative_to(ycbv_sample)
        target.parent.mkdir(parents=True)
        shutil.copy(source, target)
    (root / "models").mkdir()
    for source in ycbv_sample.glob("models/obj_*.xyz"):
        shutil.copy(source, root / "models")
    shutil.copy(ycbv_sample / "models" / "models_info.json", root / "models")
    return root


def true_predictions(root: Path) -> list[Prediction]:
    rows = []
    for path in sorted(root.glob("test/*/scene_gt.json")):
        for im_id, entries in json.loads(path.read_text()).items():
            for entry in entries:
                T = np.eye(4)
                T[:3, :3] = np.reshape(entry["cam_R_m2c"], (3, 3))
                T[:3, 3] = np.array(entry["cam_t_m2c"]) / 1000
                rows.append(Prediction(int(path.parent.name), int(im_id), entry["obj_id"], 1.0, T))
    return rows


def test_scoring_needs_no_images(poses_only, tmp_path):
    write_predictions(tmp_path / "predictions.csv", true_predictions(poses_only))
    results = evaluate(tmp_path, load_reference(ReferenceOptions(DataOptions(poses_only)))).results
    assert results.instances == 50
    assert results.pooled.add_auc > 99.999
    assert results.selection == {"split": "test", "targets": "all"}
    assert results.symmetric_ids == (13, 16, 19, 20, 21)


def test_true_poses_score_full_marks_on_the_sample(ycbv_sample, tmp_path):
    write_predictions(tmp_path / "predictions.csv", true_predictions(ycbv_sample))
    reference = load_reference(
        ReferenceOptions(DataOptions(ycbv_sample, selection=Selection(scenes=(1,), limit=2)))
    )
    results = evaluate(tmp_path, reference, recalls_on="cpu").results
    assert results.instances == 8
    assert results.pooled.add_auc > 99.999
    assert results.pooled.ar == 1
    assert results.selection == {"split": "test", "targets": "bop19", "scenes": (1,), "limit": 2}


def test_selected_objects_only(ycbv_sample, tmp_path):
    write_predictions(tmp_path / "predictions.csv", true_predictions(ycbv_sample))
    reference = load_reference(
        ReferenceOptions(DataOptions(ycbv_sample, selection=Selection(objects=(8, 14))))
    )
    evaluation = evaluate(tmp_path, reference)
    assert sorted(evaluation.results.objects) == [8, 14]
    assert set(evaluation.errors.obj_id.tolist()) == {8, 14}
    assert evaluation.results.certified_share != evaluation.results.certified_share  # NaN: no certificates


def test_ycb_video_layout_is_scored_with_its_points_files(shared_data, tmp_path):
    root = shared_data / "ycbv-original-layout"
    reference = load_reference(ReferenceOptions(DataOptions(root, "all")))
    truths = reference.truths
    keys = zip(truths.scene_id.tolist(), truths.im_id.tolist(), truths.obj_id.tolist(), strict=True)
    rows = [Prediction(*key, 1.0, T) for key, T in zip(keys, truths.T_cam_obj, strict=True)]
    write_predictions(tmp_path / "predictions.csv", rows)
    results = evaluate(tmp_path, reference).results
    assert results.points == "points file"
    assert results.pooled.add_auc > 99.99
    assert set(results.symmetric_ids) == {13, 16, 19, 20, 21}


def test_the_only_split_of_a_layout_is_scored(tmp_path, monkeypatch):
    layout = replace(CAPTURE, matches=lambda root: True, only_split="one")
    monkeypatch.setattr(layouts, "LAYOUTS", (layout,))
    assert ReferenceOptions(DataOptions(tmp_path)).split == "one"
    assert ReferenceOptions(DataOptions(tmp_path, "val")).split == "val"


def test_content_names_predictions_certificates_and_reference(tmp_path):
    write_predictions(tmp_path / "predictions.csv", [Prediction(0, 1, 5, 0.5, np.eye(4))])
    data = DataOptions(tmp_path / "data", "test")
    options = ReferenceOptions(data, "all", symmetric_ids=(5,))
    others = [
        replace(options, data=replace(data, dataset=tmp_path / "other")),
        replace(options, data=replace(data, split="val")),
        replace(options, data=replace(data, selection=Selection(objects=(8,)))),
        replace(options, data=replace(data, models=tmp_path)),
        replace(options, targets="bop19"),
        replace(options, points="surface"),
        replace(options, symmetric_ids=()),
        replace(options, surface_seed=1),
    ]
    named = [other.content_hash(tmp_path) for other in (options, *others)]
    write_certificates(
        tmp_path / "certificates.jsonl", [label(InstanceKey("test", 0, 1, 5, 0), np.eye(4), "certified")]
    )
    named.append(options.content_hash(tmp_path))
    write_predictions(tmp_path / "predictions.csv", [])
    named.append(options.content_hash(tmp_path))
    assert len(set(named)) == 11
    elsewhere = replace(options, data=replace(data, dataset=tmp_path / "x" / ".." / "data"))
    assert elsewhere.content_hash(tmp_path) == named[-1]


def test_a_review_changes_what_is_certified_and_not_what_certificates_are_worth(poses_only, tmp_path):
    truths = true_predictions(poses_only)
    off = [replace(row, T_cam_obj=row.T_cam_obj.copy()) for row in truths]
    for row in off[:10]:
        row.T_cam_obj[2, 3] += 0.1
    write_predictions(tmp_path / "predictions.csv", off)
    keys = [InstanceKey("test", row.scene_id, row.im_id, row.obj_id, i) for i, row in enumerate(off)]
    stated = Certificate("certified", "", 0.5, 0.1, 0.001, 0.9, 0.0, 0.5, risk=0.1, calibration="a1")
    labels = [
        LabeledPose(key, row.T_cam_obj, 1.0, certificate=stated) for key, row in zip(keys, off, strict=True)
    ]
    write_certificates(tmp_path / "certificates.jsonl", labels)
    reference = load_reference(ReferenceOptions(DataOptions(poses_only)))
    before = evaluate(tmp_path, reference).results
    assert before.review is None
    for key, row in zip(keys[:8], truths, strict=False):
        append_verdict(tmp_path / "review.jsonl", key, Verdict("pose", T_cam_obj=row.T_cam_obj))
    for key in keys[8:10]:
        append_verdict(tmp_path / "review.jsonl", key, Verdict("reject"))
    after = evaluate(tmp_path, reference).results
    assert (before.certified_share, before.certified_precision) == (1.0, pytest.approx(0.8))
    assert (after.certified_share, after.certified_precision) == (pytest.approx(0.96), 1.0)
    assert after.pooled.add_or_adds_below_2cm == pytest.approx(0.96)
    assert after.claims == before.claims
    assert after.claims[0].certified["below_2cm"].right == 40
    assert after.reliability["below_2cm"].everything == before.reliability["below_2cm"].everything
    assert after.content != before.content
    path = results_path(tmp_path)
    write_evaluation(evaluate(tmp_path, reference), path)
    stored = json.loads(path.read_text())["review"]
    assert stored["verdicts"] == {"accept": 0, "reject": 2, "alternative": 0, "pose": 8}
    assert stored["certified_precision_before"] == pytest.approx(0.8)
    assert read_evaluation(tmp_path, reference.options).results.review.verdicts == stored["verdicts"]
    (line,) = review_lines(after)
    assert line.startswith(
        "review: 2 reject, 8 pose; certified 100.0 -> 96.0 %, right of these (< 2 cm) 80.0 -> 100.0 %"
    )
    assert review_lines(before) == []


@pytest.fixture
def evaluated(poses_only, tmp_path):
    """Predictions with what `evaluate` made of them, and the options of its reference."""
    write_predictions(tmp_path / "predictions.csv", true_predictions(poses_only))
    reference = load_reference(ReferenceOptions(DataOptions(poses_only)))
    evaluation = evaluate(tmp_path, reference)
    write_evaluation(evaluation, results_path(tmp_path))
    return evaluation, reference.options


def test_an_evaluation_is_read_for_its_own_reference_only(evaluated, tmp_path):
    evaluation, options = evaluated
    found = read_evaluation(tmp_path, options)
    assert found is not None
    assert found.results.pooled == evaluation.results.pooled
    assert read_evaluation(tmp_path, replace(options, symmetric_ids=())) is None


@pytest.mark.parametrize("name", ["results.json", "instances.csv"])
def test_a_broken_or_missing_evaluation_is_none(evaluated, tmp_path, name):
    (tmp_path / name).write_text("{")
    assert read_evaluation(tmp_path, evaluated[1]) is None
    (tmp_path / name).unlink()
    assert read_evaluation(tmp_path, evaluated[1]) is None


@pytest.mark.parametrize("killed_in", ["write_instances", "write_results"])
def test_results_never_stand_beside_errors_of_others(evaluated, tmp_path, monkeypatch, killed_in):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate_module, killed_in, killed)
    with pytest.raises(KeyboardInterrupt):
        write_evaluation(evaluated[0], results_path(tmp_path))
    assert read_evaluation(tmp_path, evaluated[1]) is None
