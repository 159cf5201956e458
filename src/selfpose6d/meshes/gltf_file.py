"""glTF 2.0's container: JSON, buffers and the arrays in them, packed, interleaved, sparse or of whole numbers."""

import base64
import binascii
import struct
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
from jaxtyping import Shaped, UInt8

from selfpose6d.errors import MeshError
from selfpose6d.files import read_whole
from selfpose6d.json_files import parse_json
from selfpose6d.meshes.assets import Assets

COMPRESSIONS = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
"""Of the geometry, by extension: without it there is none."""
MAX_VALUES = 2**26
"""Of an array whose values no buffer holds, which a few bytes can announce: 0.5 GB as numbers of 64 bits."""
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


@dataclass
class GltfFile:
    """A glTF file's JSON, `content`, and what its buffers hold."""

    content: dict[str, Any]
    assets: Assets
    binary: bytes = b""
    _buffers: dict[int, bytes] = field(default_factory=dict)
    _images: dict[int, UInt8[np.ndarray, "rows columns 3"] | None] = field(default_factory=dict)

    @property
    def required(self) -> list[str]:
        """Extensions without which the file cannot be read."""
        return [str(name) for name in self.content.get("extensionsRequired", [])]

    def entry(self, table: str, index: int) -> dict[str, Any]:
        """One entry of a table such as `accessors`.

        Raises:
            ValueError: it has no such entry.
        """
        entries = self.content.get(table, [])
        if not isinstance(index, int) or not 0 <= index < len(entries):
            raise ValueError(f"it names {table}[{index}] of {len(entries)}")
        return entries[index]

    def array(self, index: int) -> Shaped[np.ndarray, "count width"]:
        """An accessor's values: whole numbers that stand for fractions become them (64 bits), others stay.

        Raises:
            ValueError: it reaches beyond its buffer.
            MeshError: its buffer is compressed or missing.
        """
        accessor = self.entry("accessors", index)
        dtype, width = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
        count = int(accessor["count"])
        if "bufferView" in accessor:
            values = self._strided(accessor["bufferView"], accessor.get("byteOffset", 0), count, dtype, width)
        elif 0 <= count * width <= MAX_VALUES:
            values = np.zeros((count, width), dtype)
        else:
            raise ValueError(f"accessors[{index}] announces {count} values that no buffer holds")
        if (sparse := accessor.get("sparse")) is not None:
            values = self._with_sparse(values, sparse)
        if not accessor.get("normalized") or dtype.kind == "f":
            return values
        return np.maximum(values / float(np.iinfo(dtype).max), -1.0)

    def _with_sparse(self, values: np.ndarray, sparse: dict[str, Any]) -> np.ndarray:
        """The values with some of them replaced."""
        count, where, what = int(sparse["count"]), sparse["indices"], sparse["values"]
        index_type = np.dtype(_TYPES[where["componentType"]])
        index = self._strided(where["bufferView"], where.get("byteOffset", 0), count, index_type, 1)[:, 0]
        replaced = values.copy()
        replaced[index] = self._strided(
            what["bufferView"], what.get("byteOffset", 0), count, values.dtype, values.shape[1]
        )
        return replaced

    def _strided(self, view: int, offset: int, count: int, dtype: np.dtype, width: int) -> np.ndarray:
        data = self.view(view)
        stride = self.entry("bufferViews", view).get("byteStride") or dtype.itemsize * width
        needed = offset + stride * (count - 1) + dtype.itemsize * width if count else 0
        if min(offset, count) < 0 or stride < dtype.itemsize * width or needed > len(data):
            raise ValueError(f"bufferViews[{view}] has {len(data)} bytes, {needed} are named")
        if not count:
            return np.zeros((0, width), dtype)
        strides = (stride, dtype.itemsize)
        return np.ndarray((count, width), dtype, data, offset, strides).copy()

    def view(self, index: int) -> bytes:
        """The bytes of a buffer view.

        Raises:
            ValueError: it reaches beyond its buffer.
            MeshError: it is compressed, or its buffer's file is missing.
        """
        view = self.entry("bufferViews", index)
        buffer = self._buffer(int(view["buffer"]))
        start, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        if start < 0 or length < 0 or start + length > len(buffer):
            raise ValueError(f"bufferViews[{index}] ends at {start + length}, its buffer at {len(buffer)}")
        return buffer[start : start + length]

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = self.entry("buffers", index)
            self._buffers[index] = self._read_buffer(buffer, index)
        return self._buffers[index]

    def _read_buffer(self, buffer: dict[str, Any], index: int) -> bytes:
        uri = buffer.get("uri")
        if uri is None:
            if compression := next(
                (name for name in COMPRESSIONS if name in buffer.get("extensions", {})), None
            ):
                raise compressed(self.assets, compression)
            return self.binary if index == 0 else b""
        if (data := data_of_uri(uri)) is not None:
            return data
        if (path := Assets(self.assets.path).find(unquote(uri))) is None:
            raise MeshError(
                f"{self.assets.path}: unreadable mesh (missing {uri}). Put the file beside it, or export a GLB."
            )
        return read_whole(path)

    def image(self, index: int) -> UInt8[np.ndarray, "rows columns 3"] | None:
        """An image's colours, decoded once; None with a note where they cannot be read."""
        if index not in self._images:
            self._images[index] = self._decoded(index)
        return self._images[index]

    def _decoded(self, index: int) -> UInt8[np.ndarray, "rows columns 3"] | None:
        image = self.entry("images", index)
        name = str(image.get("name") or image.get("uri", "")[:80] or f"images[{index}]")
        if "bufferView" in image:
            return self.assets.decode(self.view(image["bufferView"]), name)
        uri = str(image.get("uri", ""))
        if (data := data_of_uri(uri)) is not None:
            return self.assets.decode(data, f"images[{index}]")
        return self.assets.image(unquote(uri))


def compressed(assets: Assets, extension: str) -> MeshError:
    """What says that geometry is compressed."""
    return MeshError(
        f"{assets.path}: its geometry is compressed with {COMPRESSIONS[extension]} ({extension}), which cannot be "
        "read. Export it without compression."
    )


def data_of_uri(uri: str) -> bytes | None:
    """The bytes in a `data:` URI, None where it is none.

    Raises:
        ValueError: they are not encoded as it says.
    """
    if uri[:5].lower() != "data:":
        return None
    kind, _, text = uri[5:].partition(",")
    if not kind.lower().endswith(";base64"):
        return unquote_to_bytes(text)
    try:
        return base64.b64decode(unquote(text))
    except binascii.Error as error:
        raise ValueError(f"a data URI is no base64 ({error})") from None


def read_gltf_file(content: bytes, assets: Assets) -> GltfFile:
    """Open a GLB or glTF file.

    Raises:
        ValueError: it is neither, or ends early.
        MeshError: it is of another version.
    """
    text, binary = _chunks(content) if content[:4] == b"glTF" else (content, b"")
    tree = parse_json(text)
    if not isinstance(tree, dict):
        raise ValueError("its JSON is no object")
    version = str(tree.get("asset", {}).get("version", "2.0"))
    if not version.startswith("2"):
        raise MeshError(
            f"{assets.path}: glTF {version} is not read, expected 2.0. Export it again as glTF 2.0."
        )
    return GltfFile(tree, assets, binary)


def _chunks(content: bytes) -> tuple[bytes, bytes]:
    """JSON and binary chunk of a GLB."""
    version = struct.unpack_from("<I", content, 4)[0]
    if version != 2:
        raise ValueError(f"GLB version {version} is not read, expected 2")
    chunks: dict[int, bytes] = {}
    position = 12
    while position + 8 <= len(content):
        length, kind = struct.unpack_from("<II", content, position)
        if position + 8 + length > len(content):
            raise ValueError("it ends early")
        chunks.setdefault(kind, content[position + 8 : position + 8 + length])
        position += 8 + length + (-length % 4)
    return chunks[_JSON_CHUNK], chunks.get(_BINARY_CHUNK, b"")
