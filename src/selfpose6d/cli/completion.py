"""`selfpose6d completion SHELL`: print the script that completes commands, options and values with the tab key."""

import ast
import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from tyro.conf import Positional, arg

Shell = Literal["bash", "zsh", "fish"]
_SPECIFICATION = re.compile(r"^COMPLETION_SPEC = (.*)$", re.MULTILINE)
"""The line of tyro's scripts for bash and zsh that says what there is to complete."""

_WITH_FILES = (
    ("complete -F", "complete -o bashdefault -o default -F"),
    ("completions' completion_array", "completions' completion_array || _files"),
)
"""tyro offers files after options only; these offer them wherever nothing else fits, in bash and zsh."""


@dataclass(frozen=True)
class Command:
    """Print a shell's completion script: commands, options, their values, files.

    bash: selfpose6d completion bash > ~/.local/share/bash-completion/completions/selfpose6d
    """

    shell: Annotated[Positional[Shell], arg(metavar="SHELL")]
    """bash, zsh or fish."""

    def run(self) -> int:
        """Print the script."""
        print(completion_script(self.shell))
        return 0


def completion_script(shell: Shell) -> str:
    """The script of a shell for all commands at once."""
    script = _script_of_tyro("bash" if shell == "fish" else shell)
    found = _SPECIFICATION.search(script)
    assert found is not None
    specification = _mended(ast.literal_eval(found[1]))
    if shell == "fish":
        return "\n".join(_fish_lines(specification))
    script = f"{script[: found.start(1)]}{specification}{script[found.end(1) :]}"
    for theirs, with_files in _WITH_FILES:
        script = script.replace(theirs, with_files)
    return script


def _script_of_tyro(shell: Shell) -> str:
    import tyro

    from selfpose6d.cli.main import COMMANDS, command_module

    subcommands = tuple(
        Annotated[command_module(name).Command, tyro.conf.subcommand(name)] for name in COMMANDS
    )
    any_of_them: Any = Union[subcommands]  # noqa: UP007
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        tyro.cli(any_of_them, prog="selfpose6d", args=["--tyro-print-completion", shell])
    return printed.getvalue()


def _mended(command: dict[str, Any]) -> dict[str, Any]:
    """Descriptions in one line (tyro 1.0 offers a second one as a word), and no None as a value."""
    options = [
        option | {"description": " ".join(option["description"].split())} for option in command["options"]
    ]
    for option in options:
        if "None" in option.get("choices", ()):
            option["choices"] = sorted(set(option["choices"]) - {"None"})
    commands = {name: _mended(one) for name, one in command["subcommands"].items()}
    return command | {"options": options, "subcommands": commands}


def _fish_lines(specification: dict[str, Any]) -> Iterator[str]:
    """tyro's script for fish starts Python at every key; fish takes the same as lines of its own."""
    from selfpose6d.cli.main import COMMANDS

    for name, command in specification["subcommands"].items():
        title = COMMANDS[name].replace("'", "\\'")
        yield f"complete -c selfpose6d -n __fish_use_subcommand -f -a {name} -d '{title}'"
        for option in command["options"]:
            for flag in option["flags"]:
                values = " ".join(option.get("choices", ()))
                takes = (
                    "" if option["type"] in ("flag", "boolean") else f" -x -a '{values}'" if values else " -r"
                )
                letter = "-l" if flag.startswith("--") else "-s"
                where = f"-n '__fish_seen_subcommand_from {name}'"
                yield f"complete -c selfpose6d {where} {letter} {flag.lstrip('-')}{takes}"
