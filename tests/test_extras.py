"""A missing optional package is one line that names what to install, in a form that works without an index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from selfpose6d import extras
from selfpose6d.extras import extra_packages, install_command, missing_extra

ROOT = Path(__file__).parents[1]
DECLARED = (
    "numpy>=2.0",
    'viser>=0.2; extra == "viewer"',
    'rosbags>=0.10; extra == "record"',
    'pyrealsense2>=2.55; sys_platform != "darwin" and extra == "record"',
    'recorder>=1; extra == "recorder"',
)


@pytest.fixture
def declared(monkeypatch):
    monkeypatch.setattr(extras, "requires", lambda name: list(DECLARED))


@pytest.mark.usefixtures("declared")
def test_an_extra_names_all_its_packages():
    assert extra_packages("record") == ("rosbags>=0.10", "pyrealsense2>=2.55")
    assert install_command("record", "rosbags") == "pip install 'rosbags>=0.10' 'pyrealsense2>=2.55'"


@pytest.mark.usefixtures("declared")
def test_an_unknown_extra_names_the_package_that_is_missing():
    assert extra_packages("recor") == ()
    assert install_command("step", "cascadio") == "pip install 'cascadio'"


def test_from_its_source_alone_the_package_that_is_missing_is_named(monkeypatch):
    def none_installed(name: str) -> list[str]:
        raise extras.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", none_installed)
    assert install_command("viewer", "viser") == "pip install 'viser'"


@pytest.mark.usefixtures("declared")
def test_the_error_is_one_line_with_remedies():
    assert str(missing_extra("viewer", "viser", needed_by="view", otherwise="Or use report.")) == (
        "view needs viser, which is not installed. Install the viewer extra: pip install 'viser>=0.2'. Or use report."
    )


def test_the_installed_package_declares_the_extras_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [Requirement(one) for one in project["optional-dependencies"]["viewer"]]
    assert [Requirement(one) for one in extra_packages("viewer")] == declared


def test_no_page_or_message_installs_by_a_name_that_no_index_has():
    folders = [(ROOT / folder).rglob("*") for folder in ("docs", "src", "examples")]
    pages = [path for paths in folders for path in paths if path.suffix in (".md", ".py", ".ipynb", ".jinja")]
    assert len(pages) > 300
    by_name = re.compile(r"pip3? install[^\n]*\bselfpose6d([\[\s`'\"]|$)", re.MULTILINE)
    assert [page.name for page in pages if by_name.search(page.read_text(encoding="utf-8"))] == []
