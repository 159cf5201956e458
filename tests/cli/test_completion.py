"""The completion script completes commands, options, values and files, in the shells that are here."""

import shutil
import subprocess
from pathlib import Path

import pytest

from selfpose6d.cli.completion import completion_script
from selfpose6d.cli.main import COMMANDS, main

BASH = """
    source "$1"; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
    _tyro_selfpose6d
    printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered_by(command: list[str], words: tuple[str, ...]) -> list[str]:
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.fixture(scope="module", params=["bash", "fish"])
def complete(request, tmp_path_factory):
    """What a shell offers for the last of some words."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"skipped: no {shell} here")
    path: Path = tmp_path_factory.mktemp("completion") / "script"
    path.write_text(completion_script(shell), encoding="utf-8")

    def bash(*words: str) -> list[str]:
        return offered_by(["bash", "-c", BASH, "bash", str(path)], words)

    def fish(*words: str) -> list[str]:
        asked = f"source {path}; complete -C (string join ' ' -- $argv)"
        return [line.split("\t")[0] for line in offered_by(["fish", "-c", asked], words)]

    return bash if shell == "bash" else fish


def test_commands_are_completed(complete):
    assert set(complete("selfpose6d", "")) >= set(COMMANDS)
    assert complete("selfpose6d", "ann") == ["annotate"]


def test_options_of_the_command_are_completed(complete):
    offered = complete("selfpose6d", "annotate", "data", "--m")
    assert set(offered) == {"--method", "--models", "--model-unit", "--mask-quality"}


def test_values_are_completed(complete):
    assert set(complete("selfpose6d", "annotate", "data", "--method", "")) == {"verified", "icp"}
    offered = complete("selfpose6d", "annotate", "data", "--model-unit", "")
    assert "mm" in offered
    assert "None" not in offered


def test_bash_completes_files_where_nothing_else_fits(tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("skipped: no bash here")
    (tmp_path / "script").write_text(completion_script("bash"), encoding="utf-8")
    asked = f"source {tmp_path / 'script'}; complete -p"
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "complete -o bashdefault -o default -F _tyro_selfpose6d selfpose6d\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell, capsys, tmp_path):
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert "mask-quality" in printed
    if shutil.which(shell) is not None:
        (tmp_path / "script").write_text(printed, encoding="utf-8")
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_an_unknown_shell_is_one_line(capsys):
    assert main(["completion", "cmd"]) == 2
    assert "bash" in capsys.readouterr().err
