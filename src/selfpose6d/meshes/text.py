"""Text of mesh files, whatever encodes it and ends its lines."""

import re
from collections.abc import Iterator


def decode_text(content: bytes) -> str:
    """Text of a file of unknown encoding: names and numbers stay what they are."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\\" not in text:
        return text
    # a comment ends with its line, also where a path in it ends in a backslash
    continued = re.compile(r"(#[^\r\n]*)|\\[ \t]*(?:\r\n|\n|\r)")
    return continued.sub(lambda match: match.group(1) or " ", text)


def lines_of(text: str) -> Iterator[str]:
    """Its lines that are not empty, whatever ends them."""
    return (match.group() for match in re.finditer(r"[^\r\n]+", text))
