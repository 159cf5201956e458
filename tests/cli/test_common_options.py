"""What all commands share: --config, --json, --quiet, guesses, exit code 1, progress lines, the cache."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))

import itertools

from small_roots import write_bop

from selfpose6d.cli.arguments import split_common, with_config
from selfpose6d.cli.main import COMMANDS, command_module, main
from selfpose6d.reporting import console
from selfpose6d.reporting.console import progress_bar


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_bop(tmp_path / "root", {2: 3})


def command_type(name: str) -> type:
    return command_module(name).Command


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_json_is_one_object_and_all_there_is(root: Path, capsys) -> None:
    assert run("validate", root, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["command"] == "validate"
    assert (printed["exit_code"], printed["error"], printed["errors"]) == (0, None, 0)
    assert printed["text"][-1].startswith("ok: 0 errors")
    (root / "test/000002/rgb/000001.png").unlink()
    assert run("--json", "validate") == 2, "it follows the command"
    capsys.readouterr()
    assert run("validate", "--json", root) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["exit_code"] == 1
    assert any("missing file" in problem["message"] for problem in printed["problems"])


def test_json_of_wrong_use(tmp_path: Path, capsys) -> None:
    assert run("validate", tmp_path / "nowhere", "--json") == 2
    out, err = capsys.readouterr()
    printed = json.loads(out)
    assert printed["exit_code"] == 2
    assert "data set not found" in printed["error"]
    assert err.startswith("error: ")
    assert run("validate", "--jsonn", tmp_path) == 2
    assert "did you mean" not in capsys.readouterr().err, "no option of the command is near"


def test_quiet_prints_errors_and_warnings_only(root: Path, tmp_path: Path, capsys) -> None:
    assert run("annotate", root, "--out", tmp_path / "run", "--method", "icp", "--quiet") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert all(line.startswith("warning: ") for line in err.splitlines())
    assert run("annotate", root, "--quiet") == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_run_says_its_counts(root: Path, tmp_path: Path, capsys) -> None:
    assert run("annotate", root, "--out", tmp_path / "run", "--method", "icp", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["run"] == str(tmp_path / "run")
    assert (printed["frames"], printed["instances"], printed["skipped"]) == (3, 6, 0)
    assert printed["rejected"] == 6


def test_a_tenth_that_cannot_be_read_is_exit_code_1(root: Path, tmp_path: Path, capsys) -> None:
    (root / "test/000002/rgb/000003.png").unlink()
    assert run("annotate", root, "--out", tmp_path / "run", "--method", "icp") == 1
    assert "2 of 6 instances could not be read or used; skipped.jsonl says why" in capsys.readouterr().err
    assert len((tmp_path / "run/predictions.csv").read_text().splitlines()) == 5, "all else is written"
    assert run("find", root, "--out", tmp_path / "found", "--objects", 1) == 1
    assert "1 of 3 frames could not be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["anotate"], "unknown command 'anotate': did you mean annotate? See selfpose6d --help"),
        (["xyz"], "unknown command 'xyz': expected one of import, synth"),
        (["annotate", "X", "--riks", "0.1"], "annotate has no option --riks; did you mean --risk? See"),
        (["train", "X", "--max-step=3"], "train has no option --max-step; did you mean --max-steps? See"),
        (["validate", "X", "--zzzz"], "validate has no option --zzzz. See selfpose6d validate --help"),
        (["validate", "X", "--config"], "--config: expected one YAML file"),
        (["validate", "X", "--config", "none.yaml"], "no config file: none.yaml does not exist"),
    ],
)
def test_guesses(arguments: list[str], message: str, capsys) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("cache", "completion")])
def test_every_option_of_every_command_is_known(name: str) -> None:
    """What the parser takes and what the guesses know are the same."""
    import re

    shown = subprocess.run(
        [sys.executable, "-m", "selfpose6d", name, "--help"], capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"^[│ ]*(--[a-z][a-z-]*)", shown, re.MULTILINE)) - {"--help"}
    from selfpose6d.cli.arguments import require_known_options

    assert listed
    require_known_options(name, command_type(name), listed)


def test_options_from_a_file(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    options = {
        "dataset": str(root),
        "out": str(tmp_path / "run"),
        "method": "icp",
        "frames": [1, 2],
        "overlays": 0,
    }
    path.write_text(yaml.safe_dump(options))
    assert run("annotate", "--config", path) == 0
    assert len((tmp_path / "run/journal.jsonl").read_text().splitlines()) == 2
    assert run("annotate", "--config", path, "--frames", 3, "--out", tmp_path / "other") == 0
    (line,) = (tmp_path / "other/journal.jsonl").read_text().splitlines()
    assert json.loads(line)["frame"] == [2, 3], "the command line goes before the file"


def test_a_runs_config_makes_the_same_run(root: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = [
        "--method",
        "icp",
        "--direction",
        "model-to-observed",
        "--objects",
        2,
        "--seed",
        7,
        "--overlays",
        0,
    ]
    assert run("annotate", root, "--out", first, *options, "--risk", 0.05, "--depth-noise-mm", 2.5) == 0
    assert run("annotate", "--config", first / "config.yaml", "--out", second, "--overlays", 0) == 0
    there, here = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (first, second))
    assert there == here
    rows = [
        [line.rsplit(",", 1)[0] for line in (f / "predictions.csv").read_text().splitlines()]
        for f in (first, second)
    ]
    assert rows[0] == rows[1]


def test_wrong_config_files(root: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "options.yaml"
    for text, message in (
        ("riskk: 0.1", "validate has no option 'riskk'"),
        ("modles: x", "validate has no option 'modles'; did you mean --models?"),
        ("[1, 2]", "expected options by name, got list"),
        ("a: [", "not a YAML file"),
        ("format: 2\ncommand: train", "is of a run of train, got command validate"),
    ):
        path.write_text(text)
        assert run("validate", root, "--config", path) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_words_of_a_config(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("complete-frames: true\ncopy: false\nto: out\nrun_folder: runs/a\n")
    words = with_config(path, "export", command_type("export"), [])
    assert words == ["runs/a", "--complete-frames", "--no-copy", "--to", "out"]
    assert split_common(["a", "--quiet", "--config=x.yaml", "--b"]).rest == ("a", "--b")


def test_progress_is_lines_where_no_terminal_is(monkeypatch, capsys) -> None:
    monkeypatch.setattr(console, "ERRORS", Console(stderr=True))
    monkeypatch.setattr(console.ProgressLines, "SECONDS_A_LINE", 0.0)
    with progress_bar() as progress:
        for _ in progress.track(range(40), description="annotate"):
            pass
    lines = capsys.readouterr().err.splitlines()
    assert 5 <= len(lines) <= 10
    assert lines[0].startswith("annotate: 4 of 40 frames")
    monkeypatch.setenv("SELFPOSE6D_QUIET", "1")
    with progress_bar() as progress:
        list(progress.track(range(40)))
    assert capsys.readouterr().err == ""


def test_cache_says_its_size_and_clears_it(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run("cache") == 0
    assert "0.0 MB in" in capsys.readouterr().out
    (tmp_path / "selfpose6d/objects").mkdir(parents=True)
    (tmp_path / "selfpose6d/objects/a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "other").mkdir()
    assert run("cache", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["parts"] == {"objects": {"files": 1, "bytes": 3_000_000}}
    assert run("cache", "--clear") == 0
    assert "3.0 MB removed" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def config_of_run(path: Path, command: str, options: dict) -> Path:
    data = {"split": "test", "selection": {"scenes": [], "limit": None}, "models": None}
    context = {"dataset": "data", "device": "auto", "model": "runs/model.safetensors"}
    content = {"format": 2, "command": command, "data": data, "options": options, "context": context}
    path.write_text(yaml.safe_dump(content))
    return path


def test_what_estimate_certified_by_comes_back(tmp_path: Path) -> None:
    certifying = {"certificate": {"risk": 0.05}, "mask_quality": "box", "depth_noise_m": 0.0009, "seed": 3}
    options = {"model": "c0ffee", "refine": "icp", "annotate": certifying}
    words = with_config(
        config_of_run(tmp_path / "c.yaml", "estimate", options), "estimate", command_type("estimate"), []
    )
    assert words[:2] == ["runs/model.safetensors", "data"], "the place, not the content's hash"
    assert "--verify" in words
    pairs = dict(itertools.pairwise(words))
    assert pairs["--risk"] == "0.05"
    assert pairs["--mask-quality"] == "box"
    assert pairs["--depth-noise-mm"] == "0.9"


def test_files_of_which_a_run_keeps_the_hash_only_must_be_named(tmp_path: Path) -> None:
    from selfpose6d.errors import UsageError

    path = config_of_run(tmp_path / "c.yaml", "find", {"counts": "known", "segmenter": "c0ffee"})
    with pytest.raises(
        UsageError, match="the run was made with --segmenter, of which it keeps the content's hash"
    ):
        with_config(path, "find", command_type("find"), ["--out", "x"])
    words = with_config(path, "find", command_type("find"), ["--out", "x", "--segmenter", "runs/s"])
    assert words.count("--segmenter") == 1
    assert words[words.index("--segmenter") + 1] == "runs/s"


def test_help_is_shown_with_json_as_well(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        run("validate", "--help", "--json")
    assert not stop.value.code
    assert "Check a data set" in capsys.readouterr().out
