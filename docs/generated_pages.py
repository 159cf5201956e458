"""Pages that are made from the code when the site is built: the command line from --help, Python from the public names.

A hook of MkDocs (mkdocs.yml names it). `python docs/generated_pages.py` prints both pages.
"""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest.mock import patch

import selfpose6d
from selfpose6d.cli.main import COMMANDS, main

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig  # pyright: ignore[reportMissingImports]
    from mkdocs.structure.files import Files  # pyright: ignore[reportMissingImports]

WIDE = {"COLUMNS": "500", "NO_COLOR": "1"}
"""So wide that every paragraph of a help text is one line."""
SHARED = """Wrong use is one line and exit code 2. Exit codes: 0 done; 1 done, but data are unusable (errors that
`validate` found, or a tenth or more of the instances or frames that could not be read or used); 2 wrong use or input;
130 interrupted, and the same command goes on.

Every command also takes `--config FILE` (its options from a YAML file, by name, the positional ones too; or the
`config.yaml` of a run; what is on the command line goes before it), `--json` (one object on standard output: `command`,
`exit_code`, `error`, what came of it, and the printed lines under `text`) and `--quiet` (errors and warnings only)."""
COMPLETION = """## Tab completion { #tab-completion }

`selfpose6d completion SHELL` prints a script that completes commands, options, their values and file names:

```
selfpose6d completion bash > ~/.local/share/bash-completion/completions/selfpose6d
selfpose6d completion zsh > ~/.zfunc/_selfpose6d         # with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc
selfpose6d completion fish > ~/.config/fish/completions/selfpose6d.fish
```

Print it again after an update. For one shell only, without a file: `source <(selfpose6d completion bash)`.
"""


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages to those that are in docs/."""
    from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]

    for name, text in (("commands.md", commands_page()), ("api.md", python_page())):
        files.append(File.generated(config, name, content=text))
    return files


def commands_page() -> str:
    """Every command's help as Markdown."""
    lines = ["# Command line", "", f"`selfpose6d COMMAND --help` prints the same. {SHARED}", ""]
    lines += ["| command | does |", "|---|---|"]
    lines += [f"| [`{name}`](#{name}) | {what} |" for name, what in COMMANDS.items()]
    for name in COMMANDS:
        lines += ["", f"## `{name}` {{ #{name} }}", "", *_as_markdown(name, help_text(name))]
    return "\n".join([*lines, "", COMPLETION])


def help_text(command: str) -> str:
    """What `selfpose6d COMMAND --help` prints, unwrapped."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # tyro draws its boxes by the encoding
    with patch.dict(os.environ, WIDE), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([command, "--help"])
    printed.seek(0)
    return printed.read()


@dataclass
class Entry:
    """One positional argument or option, and the paragraphs that explain it."""

    invocation: str
    paragraphs: list[str] = field(default_factory=list)


@dataclass
class Group:
    """A box of the help text."""

    title: str
    introduction: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def read_help(text: str) -> tuple[str, list[str], list[Group]]:
    """Usage, description and groups of a help text."""
    head, *rest = re.split(r"^(?=╭)", text, flags=re.MULTILINE)
    usage, *description = [" ".join(part.split()) for part in re.split(r"\n\s*\n", head.strip())]
    return usage.removeprefix("usage: "), description, [_read_group(box) for box in rest]


def _read_group(box: str) -> Group:
    title, *lines = box.splitlines()
    group = Group(title.strip("╭╮─ "))
    for line in (line.strip().strip("│").removeprefix(" ").rstrip() for line in lines):
        if line.startswith("╰") or not line:
            continue
        if set(line) == {"─"}:  # what stood above the rule explains the group
            group.introduction = [entry.invocation for entry in group.entries]
            group.entries = []
        elif line.startswith("  "):
            group.entries[-1].paragraphs.append(line.strip())
        elif line.startswith("-") or group.title == "positional arguments":
            invocation, *explanation = re.split(r"\s{2,}", line, maxsplit=1)
            group.entries.append(Entry(invocation, explanation))
        else:
            group.entries.append(Entry(line))
    return group


def _as_markdown(command: str, text: str) -> Iterator[str]:
    usage, description, groups = read_help(text)
    yield from ("```", usage, "```", "")
    for paragraph in description:
        yield from (_escaped(paragraph), "")
    for group in groups:
        entries = [entry for entry in group.entries if not entry.invocation.startswith("-h,")]
        if not entries:
            continue
        yield from (f"**{group.title}**" + "".join(f": {_escaped(line)}" for line in group.introduction), "")
        for entry in entries:
            yield from (f"`{entry.invocation}`", f":   {' '.join(map(_escaped, entry.paragraphs))}", "")


def _escaped(text: str) -> str:
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)


def python_page() -> str:
    """The public names, functions first, for mkdocstrings to fill in."""
    names = [name for name in selfpose6d.__all__ if not name.startswith("__")]
    functions = [name for name in names if name[0].islower()]
    lines = ["# Python", "", "```python", f"from selfpose6d import {', '.join(functions)}, ...", "```", ""]
    lines += [
        "Transforms are `T_<to>_<from>`, lengths metres, cameras OpenCV ([conventions](conventions.md))."
    ]
    for title, shown in (
        ("Functions", functions),
        ("Classes", [name for name in names if name not in functions]),
    ):
        lines += ["", f"## {title}"]
        lines += [f"\n::: selfpose6d.{name}" for name in shown]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(commands_page(), python_page(), sep="\n\n")
