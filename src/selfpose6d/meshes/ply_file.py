"""PLY's container: header and elements, ASCII or binary in either byte order, as arrays."""

import re
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int, Shaped

_TYPES = {
    **{
        "char": "i1",
        "int8": "i1",
        "uchar": "u1",
        "uint8": "u1",
        "short": "i2",
        "int16": "i2",
        "ushort": "u2",
    },
    **{
        "uint16": "u2",
        "int": "i4",
        "int32": "i4",
        "uint": "u4",
        "uint32": "u4",
        "float": "f4",
        "float32": "f4",
    },
    **{"double": "f8", "float64": "f8", "int64": "i8", "uint64": "u8", "long": "i8", "ulong": "u8"},
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_TEXTURE_FILE = re.compile(r"^(?:comment|obj_info)\s+texture[_ ]?file\s+(.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Lists:
    """A list property: how many values each row has, and all values one after the other."""

    counts: Int[np.ndarray, " rows"]
    values: Shaped[np.ndarray, " values"]


@dataclass(frozen=True)
class Property:
    """One column of an element; `count_type` is that of a list's length, else empty."""

    name: str
    kind: str
    count_type: str = ""


@dataclass
class Element:
    """A table of the file: its columns as the header says, and what was read of them."""

    name: str
    rows: int
    properties: list[Property] = field(default_factory=list)
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    lists: dict[str, Lists] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether every row has the same numbers of values, by the header alone."""
        return not any(column.count_type for column in self.properties)


@dataclass(frozen=True)
class PlyFile:
    """Everything in the file."""

    elements: dict[str, Element]
    textures: tuple[str, ...]
    """Image names in the order of their comments; texture numbers count in it."""


def read_ply_file(content: bytes) -> PlyFile:
    """Read all elements.

    Raises:
        ValueError: it is no PLY file, of another format, or ends early.
    """
    header, body = _split_header(content)
    order, elements, textures = _parse_header(header)
    if order == "":
        _fill_from_text(elements, body)
    else:
        _fill_from_bytes(elements, body, order)
    return PlyFile({element.name: element for element in elements}, tuple(textures))


def _split_header(content: bytes) -> tuple[list[str], bytes]:
    start = re.match(rb"(?:\xef\xbb\xbf)?ply[ \t]*(\r\n|\n|\r)", content)
    if start is None:
        raise ValueError("it does not begin with a PLY header")
    end = re.compile(rb"end_header[ \t]*" + start.group(1)).search(content)
    if end is None:
        raise ValueError("its header has no end")
    text = content[start.end() : end.start()]
    try:
        header = text.decode("utf-8")
    except UnicodeDecodeError:
        header = text.decode("latin-1")
    return re.split(r"\r\n|\n|\r", header), content[end.end() :]


def _parse_header(lines: list[str]) -> tuple[str, list[Element], list[str]]:
    order, elements, textures = None, [], []
    for line in lines:
        words = line.split()
        needed = {"format": 2, "element": 3, "property": 5 if words[1:2] == ["list"] else 3}
        if words and len(words) < needed.get(words[0], 0):
            raise ValueError(f"its header has the line {line.strip()!r}, which says too little")
        if texture := _TEXTURE_FILE.match(line.strip()):
            textures.append(texture.group(1).strip())
        elif words[:1] == ["format"]:
            order = _ORDERS.get(words[1])
        elif words[:1] == ["element"]:
            elements.append(Element(words[1], int(words[2])))
            if elements[-1].rows < 0:
                raise ValueError(f"element {words[1]} has {words[2]} rows")
            if words[1] in [element.name for element in elements[:-1]]:
                raise ValueError(f"its header has two elements {words[1]}, expected one")
        elif words[:2] == ["property", "list"]:
            elements[-1].properties.append(Property(words[4], _type(words[3]), _type(words[2])))
        elif words[:1] == ["property"]:
            elements[-1].properties.append(Property(words[2], _type(words[1])))
    if order is None:
        raise ValueError("its header names no known format (ascii, binary_little_endian, binary_big_endian)")
    return order, elements, textures


def _type(name: str) -> str:
    if name not in _TYPES:
        raise ValueError(f"its header has a property of type {name}")
    return _TYPES[name]


def _fill_from_text(elements: list[Element], body: bytes) -> None:
    tokens = np.array(body.split(), dtype=np.float64)
    start = 0
    for element in elements:
        if element.is_plain:
            width = len(element.properties)
            end = start + element.rows * width
            table = tokens[start:end].reshape(element.rows, width)
            for index, column in enumerate(element.properties):
                element.columns[column.name] = _as_type(table[:, index], column.kind)
            start = end
        else:
            start = _fill_rows(element, _TextRows(tokens, start))


class _TextRows:
    """Values of an ASCII body, one after the other."""

    def __init__(self, tokens: np.ndarray, position: int) -> None:
        self._tokens, self.position = tokens, position

    def take(self, kind: str, count: int) -> np.ndarray:
        end = self.position + count
        if count < 0 or end > len(self._tokens):
            raise ValueError("it ends early")
        taken = self._tokens[self.position : end]
        self.position = end
        return taken

    def uniform(self, element: Element, counts: dict[str, int]) -> dict[str, np.ndarray] | None:
        """All rows at once if every list is as long as in the first row; None where they are not."""
        widths = [counts[c.name] + 1 if c.count_type else 1 for c in element.properties]
        end = self.position + element.rows * sum(widths)
        if end > len(self._tokens):
            return None
        table = self._tokens[self.position : end].reshape(element.rows, sum(widths))
        blocks = np.split(table, np.cumsum(widths)[:-1], axis=1)
        named = {c.name: block for c, block in zip(element.properties, blocks, strict=True)}
        if any((named[name][:, 0] != count).any() for name, count in counts.items()):
            return None
        self.position = end
        return {name: block[:, 1:] if name in counts else block[:, 0] for name, block in named.items()}


class _ByteRows:
    """Values of a binary body, one after the other."""

    def __init__(self, body: bytes, position: int, order: str) -> None:
        self._body, self.position, self._order = body, position, order

    def take(self, kind: str, count: int) -> np.ndarray:
        dtype = np.dtype(self._order + kind)
        end = self.position + count * dtype.itemsize
        if count < 0 or end > len(self._body):
            raise ValueError("it ends early")
        taken = np.frombuffer(self._body, dtype, count, self.position)
        self.position = end
        return taken

    def uniform(self, element: Element, counts: dict[str, int]) -> dict[str, np.ndarray] | None:
        """All rows at once if every list is as long as in the first row; None where they are not."""
        fields: list[tuple] = []
        for column in element.properties:
            if column.count_type:
                fields.append((f"number of {column.name}", self._order + column.count_type))
                fields.append((column.name, self._order + column.kind, (counts[column.name],)))
            else:
                fields.append((column.name, self._order + column.kind))
        dtype = np.dtype(fields)
        if self.position + element.rows * dtype.itemsize > len(self._body):
            return None
        table = np.frombuffer(self._body, dtype, element.rows, self.position)
        if any((table[f"number of {name}"] != count).any() for name, count in counts.items()):
            return None
        self.position += element.rows * dtype.itemsize
        return {column.name: table[column.name] for column in element.properties}


def _fill_rows(element: Element, rows: _TextRows | _ByteRows) -> int:
    """Read an element with lists; where the next one begins."""
    if element.rows == 0:
        return rows.position
    start = rows.position
    first = _one_row(element, rows)
    rows.position = start
    counts = {column.name: len(first[column.name]) for column in element.properties if column.count_type}
    if (table := rows.uniform(element, counts)) is None:
        read = [_one_row(element, rows) for _ in range(element.rows)]
        for column in element.properties:
            values = np.concatenate([row[column.name] for row in read])
            _keep(element, column, values, np.array([len(row[column.name]) for row in read]))
        return rows.position
    for column in element.properties:
        count = counts.get(column.name, 1)
        _keep(element, column, table[column.name].reshape(-1), np.full(element.rows, count))
    return rows.position


def _one_row(element: Element, rows: _TextRows | _ByteRows) -> dict[str, np.ndarray]:
    row = {}
    for column in element.properties:
        count = int(rows.take(column.count_type, 1)[0]) if column.count_type else 1
        row[column.name] = rows.take(column.kind, count)
    return row


def _keep(element: Element, column: Property, values: np.ndarray, counts: np.ndarray) -> None:
    values = _as_type(values, column.kind)
    if column.count_type:
        element.lists[column.name] = Lists(counts.astype(np.int64), values)
    else:
        element.columns[column.name] = values


def _as_type(values: np.ndarray, kind: str) -> np.ndarray:
    """Native numbers of the header's type; integers of text that do not fit it stay as they are."""
    dtype = np.dtype(kind)
    if dtype.kind in "iu" and values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ValueError("a whole number is not finite")
        limits = np.iinfo(dtype)
        is_whole = bool((values == np.rint(values)).all())
        return values.astype(dtype) if is_whole and _within(values, limits) else values
    return values.astype(dtype)


def _within(values: np.ndarray, limits: np.iinfo) -> bool:
    return not values.size or bool(limits.min <= values.min() and values.max() <= limits.max)


def _fill_from_bytes(elements: list[Element], body: bytes, order: str) -> None:
    position = 0
    for element in elements:
        if element.is_plain:
            dtype = np.dtype([(c.name, order + c.kind) for c in element.properties])
            end = position + element.rows * dtype.itemsize
            if end > len(body):
                raise ValueError("it ends early")
            table = np.ndarray((element.rows,), dtype, body, position)
            for column in element.properties:
                element.columns[column.name] = _as_type(table[column.name], column.kind)
            position = end
        else:
            position = _fill_rows(element, _ByteRows(body, position, order))
