"""Numeric arrays of MATLAB's level 5 files, which YCB-Video's `-meta.mat` are.

Every length is compared with what is left of the file before it is followed, and no more is unpacked than the arrays
need: SciPy's compiled reader leaves the process, or never comes back, on damaged files.

Reference: MathWorks, MAT-File Format (R2023b), chapter 1.
"""

import math
import struct
import zlib
from collections.abc import Collection, Iterator

import numpy as np

MAX_BYTES = 1 << 26
"""Of an unpacked array; a `-meta.mat` has some kilobytes, with its map of vertices 4 MB."""
_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's names of the stored kinds of numbers."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""And of the arrays' classes: a double that is whole may be stored in fewer bytes."""


def read_mat(content: bytes, names: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of these names that the file has, at least two-dimensional as MATLAB has them.

    Raises:
        ValueError: it is no such file, or broken.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        kind = "version 7.3 (HDF5)" if b"HDF" in content[:520] else "no MATLAB 5 file"
        raise ValueError(f"{kind}, expected one as YCB-Video has it: save(..., '-v7')")
    arrays = {}
    for kind, body in _elements(content[_HEADER_BYTES:], order):
        if kind == _COMPRESSED:
            kind, body = next(_elements(_unpacked(body), order), (0, b""))
        if kind == _MATRIX and (found := _array(body, order, names)) is not None:
            arrays[found[0]] = found[1]
    return arrays


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Kind and content of the data elements; those of up to four bytes have both in one word."""
    at = 0
    while at + 8 <= len(content):
        (word, length) = struct.unpack_from(f"{order}II", content, at)
        if word >> 16:
            kind, length, start, at = word & 0xFFFF, word >> 16, at + 4, at + 8
            if length > 4:
                raise ValueError(f"an element of {length} bytes where 4 fit")
        else:
            kind, start = word, at + 8
            at = start + length + (-length % 8 if kind != _COMPRESSED else 0)
        if start + length > len(content):
            raise ValueError(f"cut off: an element has {length} bytes, {len(content) - start} are left")
        yield kind, content[start : start + length]


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"broken compression ({error})") from None
    if unpacker.unconsumed_tail:
        raise ValueError(f"an array of more than {MAX_BYTES} bytes")
    if not unpacker.eof:
        raise ValueError("compressed data are cut off")
    return content


def _array(body: bytes, order: str, names: Collection[str]) -> tuple[str, np.ndarray] | None:
    """Name and content of a matrix; None for one of another name. Real parts only."""
    parts = _elements(body, order)
    flags, shape_part, name_part = (next(parts, (0, b""))[1] for _ in range(3))
    name = name_part.decode("ascii", "replace")
    if name not in names:
        return None
    shape = np.frombuffer(shape_part, f"{order}i4").tolist()
    kind, values = next(parts, (0, b""))
    array_class = struct.unpack_from(f"{order}I", flags)[0] & 0xFF if len(flags) >= 4 else 0
    if kind not in _NUMBERS or array_class not in _CLASSES:
        raise ValueError(f"{name} is no array of numbers")
    numbers = np.frombuffer(values, f"{order}{_NUMBERS[kind]}")
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) != len(numbers):
        raise ValueError(f"{name} has shape {shape} and {len(numbers)} numbers")
    return name, numbers.reshape(shape, order="F").astype(_CLASSES[array_class])
