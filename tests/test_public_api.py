"""What users import and run."""

import subprocess
import sys

import pytest

import selfpose6d
from selfpose6d.cli.main import COMMANDS


def test_every_public_name_is_there():
    missing = [name for name in selfpose6d.__all__ if getattr(selfpose6d, name, None) is None]
    assert missing == []


def test_tab_completion_shows_the_public_names_and_nothing_else():
    assert dir(selfpose6d) == sorted(selfpose6d.__all__)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(selfpose6d, "nonsense")


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "selfpose6d", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"selfpose6d {selfpose6d.__version__}\n"


def test_importing_the_annotator_does_not_load_what_it_does_not_need():
    """roma from 1.6.1 on imports torch._dynamo, which takes longer than torch itself."""
    heavy = ("torch._dynamo", "scipy.spatial", "trimesh", "matplotlib", "tyro")
    assert (
        printed_by(f"""
import sys
from selfpose6d import annotate
print([name for name in {heavy} if name in sys.modules])
""")
        == "[]\n"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_quick_and_names_positionals_and_defaults(name):
    text = printed_by(f"""
import sys
from selfpose6d.cli.main import main
try:
    main(["{name}", "--help"])
except SystemExit:
    print("torch" in sys.modules)
""")
    assert text.endswith("False\n")
    shown = " ".join(text.split())
    assert "default: None" not in shown
    assert "(default: )" not in shown
    assert " PATH " not in shown.split("options", 1)[0]


def printed_by(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
