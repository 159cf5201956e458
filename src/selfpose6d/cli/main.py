"""`selfpose6d COMMAND ...`: finds the command's module, parses its options, turns user errors into one line."""

import contextlib
import importlib
import io
import keyword
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfpose6d.cli.arguments import Common

# Waiting threads sleep instead of spinning: on a busy machine a command is then 5 times faster, on an idle one no
# slower. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

COMMANDS = {
    "import": "read a recording (bag, RealSense, video, images) into a capture folder",
    "synth": "render an unannotated RGB-D data set",
    "annotate": "label every instance automatically, with a certificate; no training, no labels",
    "find": "find objects where there are no masks: masks, ids and certified poses",
    "merge": "join what several machines did of one run",
    "export": "write a run's labels as a BOP, COCO or FoundationPose data set",
    "train": "fit the pose network",
    "estimate": "run a trained model",
    "evaluate": "score predictions: ADD-S, ADD, ADD(-S), AUC, certified precision",
    "reproduce": "the paper's tables and figure: trained, measured, beside the printed ones",
    "report": "write one self-contained page: tables, curves, overlays, worst cases",
    "symmetries": "find the symmetries of meshes, show and declare them",
    "calibrate": "measure on rendered scenes what a certificate is worth",
    "validate": "check a data set: what is wrong, where, and how to mend it",
    "review": "accept, reject or correct a run's poses in the browser, doubtful ones first",
    "view": "show a run in 3-D in the browser",
    "cache": "say how large the cache is, or clear it",
    "completion": "print the script that completes commands and options with the tab key",
}
USAGE_EXIT_CODE = 2
RESUMABLE = ("import", "synth", "annotate", "find", "export", "train", "estimate", "calibrate")
"""Commands that go on from what is there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (0 fine, 1 data are unusable, 2 wrong use or input, 130 Ctrl-C)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0 if arguments else USAGE_EXIT_CODE
    if arguments[0] == "--version":
        from selfpose6d.version import __version__

        print(f"selfpose6d {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        from selfpose6d.cli.arguments import nearest

        guess = nearest(name, COMMANDS)
        meant = f"did you mean {guess}?" if guess else f"expected one of {', '.join(COMMANDS)}."
        return _fail(f"unknown command {name!r}: {meant} See selfpose6d --help")
    return run_command(name, rest)


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Parse `arguments` into the command's dataclass and run it; with `--json` print what came of it as an object."""
    from selfpose6d.cli.arguments import split_common
    from selfpose6d.cli.output import printed, write_json_result
    from selfpose6d.errors import UsageError

    warnings.showwarning = _show_warning
    try:
        common = split_common(arguments)
    except UsageError as error:
        return _fail(str(error))
    if {"-h", "--help"} & set(common.rest):
        return _outcome(name, common)[0]  # whose help is asked for, reads it
    with printed(common.as_json, common.quiet) as text:
        exit_code, error = _outcome(name, common)
    if common.as_json and text is not None:
        write_json_result(name, exit_code, error, text.getvalue())
    return exit_code


def command_module(name: str) -> Any:
    """The module of a command; `import`'s is `import_`, since Python has that word."""
    return importlib.import_module(f"selfpose6d.cli.{name}{'_' * keyword.iskeyword(name)}")


def _outcome(name: str, common: "Common") -> tuple[int, str]:
    """Run the command; its exit code and the error that was printed, "" for none."""
    from selfpose6d.cli.arguments import require_known_options, with_config
    from selfpose6d.errors import SelfPose6DError

    try:
        module = command_module(name)
        rewrite = getattr(module, "rewrite_arguments", list)  # few commands have forms that tyro cannot parse
        words = rewrite(common.rest)
        if common.config is not None:
            words = with_config(common.config, name, module.Command, words)
        require_known_options(name, module.Command, words)
        return parse(module.Command, name, words).run(), ""
    except SelfPose6DError as error:
        return _fail(message := str(error)), message
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0, ""
    except OSError as error:
        if error.errno is None:
            raise
        file = error.filename2 or error.filename  # of a copy the one that is written
        where = "" if file is None else f": {file}"
        goes_on = f"; then {_goes_on(name)}" if name in RESUMABLE else ""
        message = f"{error.strerror}{where}. Check the path, the permissions and the free space{goes_on}."
        return _fail(message), message
    except KeyboardInterrupt:
        message = f"interrupted; {_goes_on(name)}"
        print(message, file=sys.stderr)
        return 130, message


def parse(command_type: type, name: str, arguments: Sequence[str]) -> Any:
    """Parse with tyro; its multi-line error box becomes one `UsageError` line, `--help` exits 0."""
    import tyro

    from selfpose6d.errors import UsageError

    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                command_type,
                prog=f"selfpose6d {name}",
                args=list(arguments),
                config=(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.DisallowNone),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_one_line(errors.getvalue())}. See selfpose6d {name} --help") from None


def _one_line(box: str) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    words = re.sub(r"[│╭╮╰╯─|]+", " ", plain)
    words = re.sub(r"\s+", " ", words).strip()
    words = re.sub(r"^(Parsing error|Unrecognized options|Required options) ?", r"\1: ", words)
    return re.sub(r" ?For full helptext.*$", "", words).rstrip(". ")


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _goes_on(name: str) -> str:
    again = "the same command with --resume" if name == "train" else "the same command"
    return f"{again} continues where it stopped"


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return USAGE_EXIT_CODE


def _overview() -> str:
    lines = [
        "usage: selfpose6d COMMAND [options]",
        "",
        "6D object pose from unannotated RGB-D: frames and meshes in; certified poses out.",
        "",
    ]
    lines += [f"  {name:<10} {what}" for name, what in COMMANDS.items()]
    lines += [
        "",
        "every command: --config FILE (options from YAML, or from a run's config.yaml), --json (one object on standard",
        "output), --quiet (errors and warnings only)",
        "",
        "selfpose6d COMMAND --help lists a command's options, units and defaults.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
