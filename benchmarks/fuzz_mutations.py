"""How files go wrong: bytes, JSON values, fields of text, headers that claim too much, and what lies at a path."""

import io
import json
import os
import random
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 20
"""Of a mutated file: what claims to be large need not be large."""
MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\0",
    b"glTF",
    b"\x93NUMPY",
    b"PK\x03\x04",
    b"\x80\x04",
    b"\x1f\x8b",
)
NUMBERS = (0, 1, -1, 255, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63, 10**9, 10**30)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10**9, 2**31, 2**63, 10**400, 0.5, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), -float("inf")),
    *(
        "",
        "0",
        "nan",
        "1e999",
        "\ud800",
        "\0",
        "../../outside/secret.png",
        "/etc/passwd",
        "x" * 5000,
        "<script>",
    ),
    *([], {}, [[]], [None], {"": None}, [1, 2, 3], ["a"] * 9, {"0": {"0": {}}}),
)
WORDS = (
    *(
        "nan",
        "inf",
        "-inf",
        "1e308",
        "1e999",
        "",
        "0",
        "-1",
        "9" * 30,
        "1000000000",
        "x",
        "\0",
        "\ufeff",
        "\u0664",
    ),
    *(
        "../../outside/secret.png",
        "/etc/passwd",
        "C:\\a\\b.png",
        "a" * 5000,
        '"',
        ",",
        "'",
        "{",
        "!!python/object:os.x",
    ),
    *("&a [*a]", "1_000", "0x10", "1.0", "--1"),
)
PICKLE = b"cos\nsystem\n(S'touch outside/ran'\ntR."
"""A pickle that would run a command."""


def mutated(content: bytes, name: str, rng: random.Random) -> bytes:
    """The file's content gone wrong, by what its name says it is."""
    suffix = Path(name).suffix.lower()
    choices: list[Callable[[bytes, random.Random], bytes]] = [any_bytes]
    if suffix in (".json", ".jsonl"):
        choices += [json_lines if suffix == ".jsonl" else json_file, json_text] * 3
    if suffix in (".json", ".jsonl", ".csv", ".yaml", ".txt", ".xyz", ".obj", ".mtl", ".off"):
        choices += [text_fields] * 3
    special = _SPECIAL.get(suffix)
    if special is not None:
        choices += [special] * 3
    result = rng.choice(choices)(content, rng)
    if rng.random() < 0.2:
        result = any_bytes(result, rng)
    return result[:MAX_BYTES]


def any_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, splices, repeated chunks, integers at any place, other files' beginnings."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = rng.choice((0, 255, 127, 128, 10, 32, rng.randrange(256)))
        elif kind == 2:
            data = data[:at]
        elif kind == 3:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.randrange(1, 64)] * rng.choice((1, 1, 50))
        elif kind == 4:
            del data[at : at + rng.randrange(1, 64)]
        elif kind == 5:
            form = rng.choice(("<I", ">I", "<H", "<Q", ">H", "<i"))
            data[at : at + struct.calcsize(form)] = _packed(form, rng.choice(NUMBERS))
        elif kind == 6:
            data[at:at] = rng.randbytes(rng.randrange(1, 16))
        else:
            magic = rng.choice((*MAGIC, PICKLE, b"\xef\xbb\xbf", b"\xff\xfe", b"\r\n", b""))
            data = bytearray(magic) + data[rng.choice((0, len(magic))) :]
    return bytes(data)


def _packed(form: str, number: int) -> bytes:
    size = struct.calcsize(form)
    order = "little" if form[0] == "<" else "big"
    return (number % (1 << 8 * size)).to_bytes(size, order)


def json_value(value: Any, rng: random.Random) -> Any:
    """One value within, or one key, gone wrong."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return _other(value, rng)
    if isinstance(value, list):
        items = list(value)
        index = rng.randrange(len(items))
        kind = rng.random()
        if kind < 0.1:
            del items[index]
        elif kind < 0.2:
            items.insert(index, items[rng.randrange(len(items))])
        else:
            items[index] = json_value(items[index], rng)
        return items
    result = dict(value)
    key = rng.choice(list(result))
    kind = rng.random()
    if kind < 0.1:
        del result[key]
    elif kind < 0.2:
        result[rng.choice(("", "-1", "1.0", " 1 ", "x", "9" * 30, "\ud800", "NaN", key.upper()))] = (
            result.pop(key)
        )
    elif kind < 0.3:
        result[rng.choice(("extra", "name", "ignore", "iscrowd", "bbox"))] = rng.choice(VALUES)
    else:
        result[key] = json_value(result[key], rng)
    return result


def _other(value: Any, rng: random.Random) -> Any:
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and rng.random() < 0.4
    ):
        return rng.choice(
            (-value, str(value), [value], value + 0.5, value * 1000, value * 1e-3, {"value": value})
        )
    if isinstance(value, str) and rng.random() < 0.4:
        return rng.choice(
            (value * 2, value[:1], value.upper(), f"../{value}", f"/{value}", [value], value + "\n")
        )
    return rng.choice(VALUES)


def json_file(content: bytes, rng: random.Random) -> bytes:
    """A JSON file with one to three values or keys gone wrong."""
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = json_value(value, rng)
    return json.dumps(value, ensure_ascii=rng.random() < 0.9).encode("utf-8", "replace")


def json_lines(content: bytes, rng: random.Random) -> bytes:
    """One line of JSON gone wrong."""
    lines = content.splitlines() or [b"{}"]
    index = rng.randrange(len(lines))
    kind = rng.random()
    if kind < 0.1:
        lines.insert(index, rng.choice((b"", b"null", b"[]", b"1", b"{}", lines[index], b"\xff")))
    else:
        lines[index] = json_file(lines[index], rng)
    return rng.choice((b"\n", b"\r\n")).join(lines) + rng.choice((b"\n", b""))


def json_text(content: bytes, rng: random.Random) -> bytes:
    """What only text can be: repeated keys, deep nesting, marks, other encodings, comments, commas."""
    text = content.decode("utf-8", "replace")
    kind = rng.randrange(8)
    if kind == 0:
        depth = rng.choice((100, 100_000))
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        return (opening * depth + rng.choice(("1" + closing * depth, ""))).encode()
    if kind == 1:
        return text.replace("{", '{"obj_id": 1, "obj_id": 2, ', 1).encode()
    if kind == 2:
        return text.encode(rng.choice(("utf-8-sig", "utf-16", "utf-32", "latin-1")), "replace")
    if kind == 3:
        return (text.rstrip()[:-1] + ", " + text.rstrip()[-1:]).encode()
    if kind == 4:
        return ("// exported\n" + text).encode()
    if kind == 5:
        return (text + text).encode()
    if kind == 6:
        return re.sub(
            r"-?\d+(\.\d+)?", lambda match: str(rng.choice((match[0], "1e400", "-0"))), text
        ).encode()
    nested = "[" * 3000 + "]" * 3000
    return re.sub(r"\d+", lambda match: nested if rng.random() < 0.05 else match[0], text).encode()


def text_fields(content: bytes, rng: random.Random) -> bytes:
    """Words of a text replaced, left out or repeated; lines in another order."""
    text = content.decode("utf-8", "replace")
    for _ in range(rng.choice((1, 1, 2, 5))):
        fields = list(re.finditer(r"[^\s,:\[\]]+", text))
        if not fields:
            break
        found = rng.choice(fields)
        word = rng.choice((*WORDS, found[0] * 2, found[0] + " " + found[0], "-" + found[0]))
        text = text[: found.start()] + word + text[found.end() :]
    if rng.random() < 0.1:
        lines = text.splitlines(keepends=True)
        rng.shuffle(lines)
        text = "".join(lines)
    return text.encode("utf-8", "replace")


def png_header(content: bytes, rng: random.Random) -> bytes:
    """A PNG that claims another size, depth or colour type, its check sum right; or one with other chunks."""
    if content[:4] != b"\x89PNG" or len(content) < 33:
        return any_bytes(content, rng)
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    big = rng.choice((0, 1, 60_000, 2**31 - 1, 2**32 - 1, 100_000))
    kind = rng.randrange(5)
    if kind < 3:
        width, height = ((big, height), (width, big), (big, big))[kind]
    elif kind == 3:
        depth = rng.choice((1, 2, 4, 8, 16, 32))
    else:
        colour = rng.choice((0, 2, 3, 4, 6, 9))
    ihdr = b"IHDR" + struct.pack(">IIBB", width, height, depth, colour) + content[26:29]
    return content[:12] + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + content[33:]


def png_bomb(width: int, height: int) -> bytes:
    """A small PNG that is this large, all of it black: a decompression bomb."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer, packed, row = zlib.compressobj(9), io.BytesIO(), bytes(1 + 3 * width)
    for _ in range(height):
        packed.write(packer.compress(row))
    packed.write(packer.flush())
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return MAGIC[0] + chunk(b"IHDR", head) + chunk(b"IDAT", packed.getvalue()) + chunk(b"IEND", b"")


def header_numbers(content: bytes, rng: random.Random) -> bytes:
    """One number of the first 400 bytes, written in digits, replaced: counts of PLY, OFF, npy and safetensors."""
    head, rest = content[:400], content[400:]
    found = list(re.finditer(rb"\d+", head))
    if not found:
        return any_bytes(content, rng)
    one = rng.choice(found)
    number = str(rng.choice((*NUMBERS, 3, 8, 10**12))).encode()
    return head[: one.start()] + number + head[one.end() :] + rest


def stl_count(content: bytes, rng: random.Random) -> bytes:
    """A binary STL that claims another number of triangles."""
    return content[:80] + _packed("<I", rng.choice(NUMBERS)) + content[84:]


def glb_json(content: bytes, rng: random.Random) -> bytes:
    """A GLB whose JSON has values gone wrong, its lengths right."""
    if content[:4] != b"glTF" or len(content) < 20:
        return any_bytes(content, rng)
    length = struct.unpack("<I", content[12:16])[0]
    try:
        text = json_file(content[20 : 20 + length], rng)
    except ValueError:
        return any_bytes(content, rng)
    text += b" " * (-len(text) % 4)
    rest = content[20 + length :]
    total = 20 + len(text) + len(rest)
    return b"glTF" + struct.pack("<II", 2, total) + struct.pack("<I", len(text)) + b"JSON" + text + rest


def safetensors_header(content: bytes, rng: random.Random) -> bytes:
    """A safetensors file whose header has values gone wrong, its length right; the header's own JSON in it, too."""
    length = struct.unpack("<Q", content[:8])[0]
    try:
        header = json.loads(content[8 : 8 + length])
        if rng.random() < 0.7 and "__metadata__" in header:
            name = rng.choice(list(header["__metadata__"]))
            header["__metadata__"][name] = json_file(header["__metadata__"][name].encode(), rng).decode()
            text = json.dumps(header).encode()
        else:
            text = json_file(json.dumps(header).encode(), rng)
    except (ValueError, KeyError):
        return any_bytes(content, rng)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def pickled(content: bytes, rng: random.Random) -> bytes:
    """An archive or array replaced by a pickle that would run a command."""
    if rng.random() < 0.1:
        return PICKLE
    if rng.random() < 0.3:  # an array of objects
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + PICKLE
    return header_numbers(content, rng)


_SPECIAL: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".png": png_header,
    ".ply": header_numbers,
    ".off": header_numbers,
    ".npy": pickled,
    ".npz": pickled,
    ".pt": pickled,
    ".stl": stl_count,
    ".glb": glb_json,
    ".gltf": json_file,
    ".safetensors": safetensors_header,
}


def replace_by_other_kind(path: Path, outside: Path, rng: random.Random) -> str:
    """What is no file where one is expected: nothing, a folder, an empty file, a pipe, a link; says which."""
    kind = rng.choice(("nothing", "empty", "folder", "pipe", "loop", "dangling", "outside", "text"))
    path.unlink()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "dangling":
        path.symlink_to(outside / "not there")
    elif kind == "outside":
        path.symlink_to(outside / "secret.png")
    elif kind == "text":
        path.write_text("<html>404 Not Found</html>\n")
    return kind
