"""`train` and `estimate` as a user runs them: from labels to poses, and every wrong use as one line."""

import itertools
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

from networks import TINY
from small_roots import write_bop, write_capture, write_image, write_models

from selfpose6d.cli.main import main
from selfpose6d.datasets.options import DataOptions
from selfpose6d.labeling.calibration import default_calibration
from selfpose6d.network.checkpoint import load_network
from selfpose6d.network.config import SIZES
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import find_checkpoint
from selfpose6d.runs.predictions import iterate_predictions, read_skipped

pytestmark = pytest.mark.usefixtures("small_and_own")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two objects side by side; four frames to train on, three to test on."""
    folder = tmp_path_factory.mktemp("set") / "data"
    write_bop(folder, {1: 4}, split="train")
    other = write_bop(folder.with_name("other"), {2: 3})
    (other / "test").rename(folder / "test")
    return folder


def train(root: Path, out: Path, *more: str) -> int:
    return main(["train", str(root), "--out", str(out), "--max-steps", "2", "--batch", "2", *more])


@pytest.fixture(scope="module")
def model(root, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "model"
    assert train(root, out) == 0
    return out


def error_of(capsys) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, lines
    assert lines[-1] == errors[0]
    return errors[0]


def test_train_then_estimate(root, model, tmp_path, capsys):
    capsys.readouterr()
    assert main(["estimate", str(model), str(root), "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "6 poses, 0 instances skipped" in out
    assert "ms an instance: crop" in out
    rows = list(iterate_predictions(tmp_path / "run" / "predictions.csv"))
    assert [(row.scene_id, row.im_id, row.obj_id) for row in rows] == [
        (2, i, o) for i in (1, 2, 3) for o in (1, 2)
    ]
    for i in (1, 2, 3):
        times = {row.time_s for row in rows if row.im_id == i}
        assert len(times) == 1
        assert times.pop() > 0
    config = read_config(tmp_path / "run")
    assert (config.command, config.data.split) == ("estimate", "test")
    assert not (tmp_path / "run" / "certificates.jsonl").exists()


def test_icp_and_verification(root, model, tmp_path):
    for name, more in (("icp", ["--refine", "icp"]), ("verify", ["--verify"])):
        out = tmp_path / name
        assert main(["estimate", str(model), str(root), "--out", str(out), "--limit", "1", *more]) == 0
        assert len(list(iterate_predictions(out / "predictions.csv"))) == 2
    verified = list(read_certificates(tmp_path / "verify" / "certificates.jsonl"))
    assert [label.key.obj_id for label in verified] == [1, 2]
    assert not (tmp_path / "icp" / "certificates.jsonl").exists()


def test_the_pose_after_each_refinement_step_is_written(root, tmp_path):
    assert train(root, tmp_path / "model", "--max-steps", "12") == 0
    out = tmp_path / "run"
    arguments = ["--limit", "1", "--refine", "network+icp", "--refine-steps", "3"]
    assert main(["estimate", str(tmp_path / "model"), str(root), "--out", str(out), *arguments]) == 0
    names = ["0-estimator", "1-network-1", "2-network-2", "3-network-3", "4-icp"]
    assert sorted(path.stem for path in (out / "steps").iterdir()) == names
    steps = [list(iterate_predictions(out / "steps" / f"{name}.csv")) for name in names]
    final = list(iterate_predictions(out / "predictions.csv"))
    assert [row.T_cam_obj.tolist() for row in steps[-1]] == [row.T_cam_obj.tolist() for row in final]
    assert all(len(rows) == 2 for rows in steps)
    for before, after in itertools.pairwise(steps):
        assert not np.array_equal(before[0].T_cam_obj, after[0].T_cam_obj)
    evaluated = ["evaluate", str(out / "steps" / "1-network-1.csv"), str(root), "--limit", "1"]
    assert main(evaluated) == 0


def test_refining_with_a_network_that_never_learned_to_is_one_line(root, tmp_path, capsys):
    assert train(root, tmp_path / "model", "--stages", "estimator") == 0
    arguments = ["estimate", str(tmp_path / "model"), str(root), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--refine", "network"]) == 2
    assert "its refinement network is not trained" in error_of(capsys)


def test_estimate_reads_no_pose(root, model, tmp_path):
    spoiled = write_bop(tmp_path / "spoiled", {2: 3})
    path = spoiled / "test" / "000002" / "scene_gt.json"
    entries = json.loads(path.read_text())
    for frame in entries.values():
        for entry in frame:
            entry |= {"cam_R_m2c": [0.0] * 9, "cam_t_m2c": [1e9] * 3}
    path.write_text(json.dumps(entries))
    for data, name in ((root, "true"), (spoiled, "nonsense")):
        assert (
            main(["estimate", str(model), str(data), "--out", str(tmp_path / name), "--device", "cpu"]) == 0
        )
    true, nonsense = (
        list(iterate_predictions(tmp_path / name / "predictions.csv")) for name in ("true", "nonsense")
    )
    assert all(np.array_equal(a.T_cam_obj, b.T_cam_obj) for a, b in zip(true, nonsense, strict=True))


def test_an_interrupted_estimate_goes_on(root, model, tmp_path, monkeypatch):
    from selfpose6d.datasets import dataset as module

    seen, whole = [], module.process_frame

    def stop_at_the_second(dataset, frame_id, find_poses):
        seen.append(frame_id)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return whole(dataset, frame_id, find_poses)

    arguments = ["estimate", str(model), str(root), "--out", str(tmp_path / "run")]
    monkeypatch.setattr(module, "process_frame", stop_at_the_second)
    assert main(arguments) == 130
    assert main(arguments) == 0
    assert len(seen) == 4
    assert len(list(iterate_predictions(tmp_path / "run" / "predictions.csv"))) == 6


def test_an_unreadable_frame_is_reported_and_the_rest_estimated(model, tmp_path, capsys):
    data = write_bop(tmp_path / "data", {2: 3})
    (data / "test" / "000002" / "depth" / "000002.png").unlink()
    assert main(["estimate", str(model), str(data), "--out", str(tmp_path / "run")]) == 1
    assert "warning: frame skipped" in capsys.readouterr().err
    assert len(list(iterate_predictions(tmp_path / "run" / "predictions.csv"))) == 4
    skipped = list(read_skipped(tmp_path / "run" / "skipped.jsonl"))
    assert [item.key[1:4] for item in skipped] == [(2, 2, 1), (2, 2, 2)]


def test_a_capture_folder_has_one_split(tmp_path):
    capture = write_capture(tmp_path / "capture")
    write_models(tmp_path / "models", (1,))
    models = ["--models", str(tmp_path / "models")]
    assert train(capture, tmp_path / "model", *models) == 0
    assert (
        main(["estimate", str(tmp_path / "model"), str(capture), "--out", str(tmp_path / "run"), *models])
        == 0
    )
    assert len(list(iterate_predictions(tmp_path / "run" / "predictions.csv"))) == 2
    assert json.loads((tmp_path / "run" / "frames.json").read_text())


def test_summary_prints_sizes_and_trains_nothing(root, capsys):
    assert main(["train", str(root), "--summary"]) == 0
    out = capsys.readouterr().out
    assert "colour_branch" in out
    assert "MFLOP" in out


def test_summary_is_of_the_recipes_network(root, capsys):
    """DenseFusion has no gates: fewer parameters in the fusion."""
    printed = []
    for recipe in ("paper", "densefusion"):
        assert main(["train", str(root), "--summary", "--recipe", recipe]) == 0
        printed.append(capsys.readouterr().out)
    weighted, plain = (re.search(r"estimator\.fusion\W+([\d,]+)", text)[1] for text in printed)
    assert int(weighted.replace(",", "")) == int(plain.replace(",", "")) + 2 * 2 * 3
    assert "unweighted" in printed[1]


def test_verification_follows_the_seed(root, model, tmp_path):
    """The points that are verified are drawn by --seed: other points, other digits of the residual."""
    rms_m = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / name
        arguments = ["--refine", "icp", "--verify", "--limit", "1", "--seed", str(seed)]
        assert main(["estimate", str(model), str(root), "--out", str(out), *arguments]) == 0
        rms_m.append([json.loads(line)["rms_m"] for line in (out / "certificates.jsonl").open()])
    assert rms_m[0] == rms_m[1] != rms_m[2]


def test_the_page_of_every_command_names_its_data_set(root, model, tmp_path):
    assert main(["annotate", str(root), "--method", "icp", "--out", str(tmp_path / "labels")]) == 0
    assert main(["estimate", str(model), str(root), "--out", str(tmp_path / "estimate")]) == 0
    for run in (tmp_path / "labels", tmp_path / "estimate", model):
        config = read_config(run)
        assert config.context.dataset == root.resolve()
        assert DataOptions.of_run(config).open().fingerprint() == config.data.fingerprint
        assert main(["report", str(run), "--pictures", "0", "--out", str(tmp_path / "page.html")]) == 0
        page = (tmp_path / "page.html").read_text()
        assert f"{root.name}, split {config.data.split}" in page
        assert str(root.resolve()) not in page
        assert f"made by</dt><dd>{config.command}" in re.sub(r"\s*\n\s*", "", page)


@pytest.mark.parametrize(
    "options",
    [
        ["--risk", "0.05"],
        ["--calibration", "mine.json"],
        ["--mask-quality", "box"],
        ["--depth-noise-mm", "2"],
    ],
)
def test_what_is_to_be_certified_needs_verification(root, model, tmp_path, capsys, options):
    arguments = ["estimate", str(model), str(root), "--out", str(tmp_path / "run"), *options]
    assert main(arguments) == 2
    assert "say what --verify certifies. Add --verify." in error_of(capsys)
    assert not (tmp_path / "run").exists()


def test_verified_estimates_carry_the_risk_that_was_asked_for(root, model, tmp_path, capsys):
    arguments = ["estimate", str(model), str(root), "--verify", "--limit", "1"]
    assert main([*arguments, "--out", str(tmp_path / "run"), "--risk", "0.05"]) == 0
    labels = list(read_certificates(tmp_path / "run" / "certificates.jsonl"))
    assert labels
    assert {label.certificate.risk for label in labels} == {0.05}
    assert {label.certificate.calibration for label in labels} == {default_calibration().content_hash}
    capsys.readouterr()
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 2
    assert "risk" in error_of(capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipe", "magic"], "unknown recipe, expected one of paper"),
        (["--recipe", "supervised", "--labels", "somewhere"], "does not learn from labels"),
        (["--max-minutes", "3"], "either --max-steps N or --max-minutes N"),
        (["--objects", "9"], "no such model"),
        (["--split", "val"], "val"),
        (
            ["--recipe", "supervised", "--detections", "d.json"],
            "Use --recipe paper or verified|or use --recipe",
        ),
        (["--size", "huge"], "--size"),
        (["--stages", "joint-loss"], "first stage must train the estimator"),
        (["--recipe", "supervised", "--stages", "joint-loss"], "has no such stage"),
        (["--cache-gb", "0.0000001"], "Raise --cache-gb"),
        (
            ["--recipe", "verified", "--literal"],
            "--literal is the paper's own form of recipe paper, got recipe verified",
        ),
        (["--recipe", "paper", "--literal", "--batch", "1"], "whole epoch of stage joint-loss does not fit"),
        (["--recipe", "supervised", "--direction", "model-to-observed"], "takes no target from the resolver"),
        (["--recipe", "supervised", "--window", "3"], "--window: recipe supervised has no joint loss"),
        (["--lambdas", "1", "2"], "--lambdas"),
        (["--lambdas", "1", "2", "nan"], "--lambdas must be three weights of 0 or more, got 1 2 nan"),
        (["--weak-weight", "0"], "--weak-weight must be more than 0"),
        (["--gates", "perhaps"], "--gates"),
        (["--augment", "fog", "1"], "--augment fog: no such change"),
        (["--stage-fractions", "refiner", "1.5"], "fraction must be between 0 and 1"),
        (["--init", "nowhere"], "no checkpoint in nowhere"),
        (["--synthetic", "."], "--synthetic: recipe paper has no synthetic part"),
        (["--recipe", "mixed", "--synthetic", "nowhere"], "--synthetic nowhere: no split with true poses"),
        (["--recipe", "mixed", "--synthetic-share", "0"], "without its synthetic part is recipe paper"),
        (["--recipe", "mixed", "--synthetic-share", "0.1"], "a batch of 2 .* lacks one of its two parts"),
        (["--recipe", "teacher-student", "--synthetic-share", "1"], "must be 0 or more and below 1"),
        (["--recipe", "mixed", "--teacher-decay", "0.9"], "has no teacher in these stages"),
        (["--recipe", "teacher-student", "--direction", "model-to-observed"], "takes no target"),
        (
            ["--recipe", "teacher-student", "--stages", "student"],
            "needs a teacher that has learned something",
        ),
    ],
)
def test_wrong_use_of_train_is_one_line(root, tmp_path, capsys, options, message):
    more = ["--cache", str(tmp_path / "cache")]
    assert train(root, tmp_path / "run", *more, *options) == 2
    import re

    assert re.search(message, error_of(capsys))


def test_wrong_use_of_train_leaves_nothing_behind(root, tmp_path, capsys):
    for options in (
        ["--recipe", "paper", "--literal", "--batch", "1"],
        ["--init", str(root)],
        ["--lambdas", "1", "2"],
    ):
        assert train(root, tmp_path / "run", *options) == 2
        error_of(capsys)
        assert not (tmp_path / "run").exists()


def test_every_constant_of_the_paper_can_be_set(root, tmp_path):
    options = [
        "--weak-weight",
        "0.02",
        "--lambdas",
        "0.001",
        "0.2",
        "3",
        "--window",
        "1",
        "--refine-steps",
        "3",
    ]
    options += ["--iar-iterations", "5", "--gates", "off", "--num-poses", "6", "--learning-rate", "0.002"]
    assert (
        train(
            root, tmp_path / "run", *options, "--augment", "noise", "0", "--stage-fractions", "refiner", "0.3"
        )
        == 0
    )
    kept = read_config(tmp_path / "run").options
    settings, joint = kept["recipe_settings"], kept["recipe_settings"]["joint"]
    assert (settings["regularisation_m"], settings["refine_steps"], settings["resolver_iterations"]) == (
        0.02,
        3,
        5,
    )
    assert (joint["colour"], joint["iou"], joint["geometry"], joint["window_px"]) == (0.001, 0.2, 3.0, 1)
    assert (settings["num_poses"], settings["learning_rate"], settings["joint_learning_rate"]) == (
        6,
        0.002,
        0.002,
    )
    assert (settings["augment"]["noise"], settings["stages"][1]["fraction"]) == (0.0, 0.3)
    assert not kept["network"]["weighted"]


def test_more_steps_and_another_recipe_continue_a_model(root, model, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(root, out, "--recipe", "supervised", "--init", str(model)) == 0
    assert (
        train(root, out, "--recipe", "supervised", "--init", str(model), "--max-steps", "4", "--resume") == 0
    )
    assert read_config(out).options["max_steps"] == 4
    assert load_network(find_checkpoint(out))[0].config.architecture == "dense-fusion"
    capsys.readouterr()
    assert (
        train(root, out, "--recipe", "supervised", "--init", str(model), "--max-steps", "3", "--resume") == 2
    )
    assert "--max-steps 3: the training in" in error_of(capsys)


def test_a_network_is_not_gone_on_with_as_one_of_another_architecture(root, model, tmp_path, capsys):
    options = ["--recipe", "supervised", "--architecture", "coordinates", "--init", str(model)]
    assert train(root, tmp_path / "run", *options) == 2
    assert "its network is of architecture dense-fusion" in error_of(capsys)


def test_a_network_that_rates_itself_writes_certificates(root, tmp_path, capsys):
    """Two steps of training prove nothing, and it says so; every pose is kept."""
    trained, run = tmp_path / "trained", tmp_path / "run"
    assert train(root, trained, "--recipe", "supervised") == 0
    assert load_network(find_checkpoint(trained))[0].config.architecture == "coordinates"
    assert main(["estimate", str(trained), str(root), "--refine", "network", "--out", str(run)]) == 0
    labels = list(read_certificates(run / "certificates.jsonl"))
    assert len(labels) == len(list(iterate_predictions(run / "predictions.csv"))) == 6
    for label in labels:
        assert label.certificate.status in ("ambiguous", "rejected")
        assert label.certificate.reason
        assert label.confidence == label.certificate.confidence
        shares = [one.confidence for one in label.certificate.alternatives]
        assert not shares or sum(shares) == pytest.approx(1.0)
    assert main(["evaluate", str(run), str(root), "--split", "test"]) == 0
    capsys.readouterr()
    assert main(["estimate", str(trained), str(root), "--models", str(tmp_path), "--out", str(run)]) == 2


def test_train_without_out_says_so(root, capsys):
    assert main(["train", str(root), "--max-steps", "1"]) == 2
    assert "--out is missing" in error_of(capsys)


def test_training_again_into_the_same_folder_names_resume(root, model, capsys):
    assert train(root, model) == 2
    assert "--resume" in error_of(capsys)
    assert train(root, model, "--seed", "4", "--resume") == 2
    assert "--seed is 0 there, 4 now" in error_of(capsys)


def test_a_run_without_certified_labels_is_named(root, tmp_path, capsys):
    from selfpose6d.runs.config import RunContext, new_config
    from selfpose6d.runs.folder import RunFolder

    options = DataOptions(root, "train")
    data = options.config(options.open())
    RunFolder.open(tmp_path / "labels", new_config("annotate", data, {}, RunContext(root, "cpu")))
    (tmp_path / "labels" / "certificates.jsonl").write_text("")
    assert train(root, tmp_path / "run", "--recipe", "verified", "--labels", str(tmp_path / "labels")) == 2
    assert "has no certified label" in error_of(capsys)


def test_all_instances_skipped_is_one_line_for_both(model, tmp_path, capsys):
    data = write_bop(tmp_path / "data", {1: 2})
    for path in data.glob("test/*/depth/*.png"):
        write_image(path, np.zeros((48, 64), np.uint16))
    assert train(data, tmp_path / "run", "--split", "test") == 2
    assert "no usable instance" in error_of(capsys)
    assert main(["estimate", str(model), str(data), "--out", str(tmp_path / "estimates")]) == 2
    assert "no instance of" in error_of(capsys)
    assert len(list(read_skipped(tmp_path / "estimates" / "skipped.jsonl"))) == 4


def test_wrong_models_are_one_line(root, model, tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    assert main(["estimate", str(tmp_path / "nowhere"), str(root), *out]) == 2
    assert "no checkpoint" in error_of(capsys)
    corrupt = tmp_path / "corrupt.safetensors"
    corrupt.write_bytes((model / "checkpoints" / "last.safetensors").read_bytes()[:5000])
    assert main(["estimate", str(corrupt), str(root), *out]) == 2
    assert "corrupt.safetensors is not a readable checkpoint" in error_of(capsys)
    write_models(tmp_path / "others", (7, 8))
    assert main(["estimate", str(model), str(root), *out, "--models", str(tmp_path / "others")]) == 2
    assert "trained on objects 1 2" in error_of(capsys)


def test_an_object_that_the_model_does_not_know_is_named(root, tmp_path, capsys):
    assert train(root, tmp_path / "one", "--objects", "1") == 0
    arguments = ["estimate", str(tmp_path / "one"), str(root), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--objects", "2"]) == 2
    assert "--objects 2: the model was trained on objects 1" in error_of(capsys)
    assert main(arguments) == 1, "half of the instances cannot be used"
    reasons = {item.reason for item in read_skipped(tmp_path / "run" / "skipped.jsonl")}
    assert reasons == {"object 2 is unknown to the model (1)"}


def test_the_log_softmax_variant_trains_too(root, tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "small", replace(TINY, log_softmax=False, norm="group"))
    assert train(root, tmp_path / "run") == 0
