"""Pages that describe the code name files that exist, and leave out no room."""

import re
from pathlib import Path

import pytest

from selfpose6d.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "selfpose6d"
PAGES = sorted(str(page.relative_to(ROOT)) for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
GENERATED = ("docs/commands.md", "docs/api.md")
"""Pages that exist in the built site only (docs/generated_pages.py)."""
FILES = (".py", ".csv", ".json", ".toml")


@pytest.fixture(scope="module")
def architecture(load_script):
    """The script that draws docs/architecture.svg."""
    return load_script(ROOT / "docs" / "architecture.py")


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


def links_of(page: Path) -> list[tuple[Path, str]]:
    """The file that a link leads to and its anchor, of all links that stay in the project; code is no text."""
    text = re.sub(
        r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    split = [link.partition("#") for link in links if "://" not in link and not link.startswith("mailto:")]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in split]


def anchors_of(page: Path) -> set[str]:
    """What the headings of a page are called in links, as the site and code hosts make it of their words."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def test_links_and_anchors_are_recognised(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `b/`, c\n[x](other.md#d) `[no](no.md)`\n```\n# no\n[no](no.md)\n```\n![y](#a-b-c)\n")
    assert links_of(page) == [(tmp_path / "other.md", "d"), (page, "a-b-c")]
    assert anchors_of(page) == {"a-b-c"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    generated = {ROOT / name for name in GENERATED}
    links = [(path, anchor) for path, anchor in links_of(ROOT / page) if path not in generated]
    assert [str(path) for path, _ in links if not path.exists()] == []
    assert [
        f"{path.name}#{anchor}" for path, anchor in links if anchor and anchor not in anchors_of(path)
    ] == []


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


def test_no_box_of_the_picture_hides_another(architecture):
    *rows, _, _ = architecture.read_structure().layers
    grown = tuple((*row, "new_room") if "datasets" in row else row for row in rows)
    places = architecture.place(grown).values()
    for x, y in places:
        beside = [abs(x - other) for other, other_y in places if other_y == y and other != x]
        assert min(beside, default=9) >= architecture.BOX_WIDTH
    assert len(set(places)) == len(places)
