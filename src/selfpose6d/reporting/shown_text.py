"""Text as it may stand on a page that is sent to others: it does not say where folders lie."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

_FOLDERS = re.compile(
    r"""(?<![\w.~/\\:])(?:~|[A-Za-z]:)?[/\\](?:[^/\\\s:;,'"()<>]+[/\\])+(?=[^/\\\s:;,'"()<>])"""
)
"""The folders of an absolute path that ends with a name."""


def path_shortener(folders: Iterable[Path]) -> Callable[[str], str]:
    """A function that cuts paths in a text: those in `folders` begin with its name, of others the last name is left."""
    known = {
        str(form): form.name or "."
        for path in folders
        for form in (path, path.resolve())
        if form.is_absolute()
    }
    longest_first = sorted(known, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, longest_first)) or '(?!)'})(?![\w.-])")

    def shorten(text: str) -> str:
        return _FOLDERS.sub("", pattern.sub(lambda match: known[match[1]], text))

    return shorten


def unique_titles(paths: list[Path]) -> list[str]:
    """The last names of each path, as many as it takes to tell them apart."""
    parts = [path.resolve().parts for path in paths]
    return [_title(own, parts) for own in parts]


def _title(own: tuple[str, ...], parts: list[tuple[str, ...]]) -> str:
    for count in range(1, len(own)):
        if sum(other[-count:] == own[-count:] for other in set(parts)) == 1:
            return "/".join(own[-count:])
    return "/".join(own[1:]) or own[0]
