"""Names and paths are text on a terminal, too: brackets are no markup, colons no pictures."""

from selfpose6d.reporting.console import plain_console
from selfpose6d.reporting.tables import TextTable, to_rich

NAMES = (
    "[/red]",
    "[bold]can[/bold]",
    "a:smile:b",
    "[link=file:///etc/passwd]x[/link]",
    "<script>alert(1)</script>",
)


def test_tables_print_names_as_they_are(capsys):
    table = TextTable(("name", "n"), tuple((name, "1") for name in NAMES), 0, "note of [/x]")
    console = plain_console(width=120)
    console.print(to_rich(table, "/runs/[/red]", console.width))
    console.print("not found: /data/[/b]:warning:")
    shown = capsys.readouterr().out
    for text in (*NAMES, "/runs/[/red]", "note of [/x]", "/data/[/b]:warning:"):
        assert text in shown


def test_no_other_console_is_made():
    from pathlib import Path

    import selfpose6d

    package = Path(selfpose6d.__file__).parent
    makers = [path.name for path in package.rglob("*.py") if " Console(" in path.read_text(encoding="utf-8")]
    assert makers == ["console.py"]
