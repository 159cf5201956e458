"""Pages that describe the code name files that exist, and leave out no room."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from selfpose6d.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "selfpose6d"
PAGES = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/conventions.md", "docs/method.md")
FILES = (".py", ".csv", ".json", ".toml")


@pytest.fixture(scope="module")
def architecture():
    """The script that draws docs/architecture.svg."""
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def paths_named_in(text: str) -> set[str]:
    """Source files and folders in backticks that are named with their folder; `<name>` stands for a new one."""
    named = re.findall(r"`([\w./-]+\.(?:py|md|svg)|[\w./-]+/)`", text)
    return {name for name in named if "/" in name}


def test_paths_are_recognised():
    text = "`cli/main.py` `cli/` `runs/<name>.py` `config.yaml` `docs/method.md` cli/none.py"
    assert paths_named_in(text) == {"cli/main.py", "cli/", "docs/method.md"}


def test_every_path_of_the_architecture_page_exists():
    named = paths_named_in((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    assert [name for name in sorted(named) if not ((PACKAGE / name).exists() or (ROOT / name).exists())] == []


def test_every_room_is_on_the_architecture_page():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")]
    files = [path.name for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert [name for name in (*rooms, *files) if f"`{name}`" not in text] == []


def test_every_name_of_the_architecture_page_is_defined():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = [Path(name) for name in re.findall(r"`([A-Za-z_][\w.]+)`", text)]
    names = {name.name.rsplit(".", 1)[-1] for name in named if name.suffix not in FILES}
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    defined = {
        *re.findall(r"(?:def|class) (\w+)", source),
        *COMMANDS,
        *(room.name for room in PACKAGE.iterdir()),
    }
    assert len(names) > 30
    assert sorted(names - defined) == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_no_module_imports_itself_by_way_of_others(architecture):
    assert architecture.read_structure().circles() == []


def test_the_picture_is_the_same_when_drawn_again(architecture, tmp_path):
    structure = architecture.read_structure()
    pictures = tmp_path / "one.svg", tmp_path / "two.svg"
    for picture in pictures:
        architecture.draw(structure, picture)
    one, two = (picture.read_text(encoding="utf-8") for picture in pictures)
    assert one == two
    assert [room for row in structure.layers for room in row if room not in one] == []
