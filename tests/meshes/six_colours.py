"""A box whose six faces have six colours, for files of every dialect, and what was read of it."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import surface_rgb

SIZE_M = np.array([0.06, 0.09, 0.12])
LEVELS = np.array(
    [[200, 40, 40], [40, 170, 60], [50, 70, 200], [220, 200, 40], [190, 60, 180], [40, 190, 200]], np.uint8
)
"""Of face k, which looks along axis k // 2, forwards where k is even."""
LINEAR = np.where(LEVELS / 255 <= 0.04045, LEVELS / 255 / 12.92, ((LEVELS / 255 + 0.055) / 1.055) ** 2.4)
TRIANGLES = ((0, 1, 2), (0, 2, 3))
CELL_PX = 32


def quads() -> np.ndarray:
    """Six faces, four corners counter-clockwise seen from outside, metres."""
    faces = []
    for k in range(6):
        axis, sign = k // 2, 1 - 2 * (k % 2)
        corners = np.zeros((4, 3))
        corners[:, axis] = sign
        corners[:, (axis + 1) % 3] = (-1, 1, 1, -1)
        corners[:, (axis + 2) % 3] = (-1, -1, 1, 1)
        faces.append(corners[:: int(sign)] * SIZE_M / 2)
    return np.array(faces)


def atlas() -> np.ndarray:
    """Three cells above, three below, one for each face."""
    return np.kron(LEVELS.reshape(2, 3, 3), np.ones((CELL_PX, CELL_PX, 1), np.uint8)).astype(np.uint8)


def atlas_uv() -> np.ndarray:
    """Of every corner, v upwards: 6 x 4 x 2, well inside the cells."""
    square = np.array([(0.2, 0.8), (0.8, 0.8), (0.8, 0.2), (0.2, 0.2)])
    cells = np.array([(k % 3, k // 3) for k in range(6)])
    uv = (cells[:, None] + square) / (3, 2)
    uv[..., 1] = 1 - uv[..., 1]
    return uv


def encoded(rgb: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """An image file's bytes."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind, **options)
    return file.getvalue()


def write_atlas(path: Path) -> None:
    """The atlas, in the format of the suffix; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(atlas()).save(path)


def face_levels(mesh: Mesh) -> np.ndarray:
    """Levels in the middle of both triangles of each face of the box: 6 x 2 x 3."""
    middle = mesh.triangles_m.astype(np.float64).mean(axis=1) / (SIZE_M / 2)
    found = [[] for _ in range(6)]
    rgb = surface_rgb(mesh, np.arange(len(mesh.faces)), np.full((len(mesh.faces), 3), 1 / 3))
    assert rgb is not None
    for point, colour in zip(middle, rgb, strict=True):
        axis = int(np.abs(point).argmax())
        found[2 * axis + int(point[axis] < 0)].append(255 * colour)
    return np.array(found)


def assert_six_colours(mesh: Mesh, levels: np.ndarray = LEVELS, tolerance: float = 2) -> None:
    """Every face has its colour, and the box its size."""
    np.testing.assert_allclose(np.ptp(mesh.vertices_m, axis=0), SIZE_M, rtol=1e-5)
    np.testing.assert_allclose(face_levels(mesh), np.repeat(levels[:, None], 2, axis=1), atol=tolerance)
    outward = (mesh.face_normals * mesh.triangles_m.mean(1)).sum(1)
    assert outward.min() > 0


def assert_no_colour(mesh: Mesh) -> None:
    """Nothing that could stand in for a colour is there."""
    assert not mesh.has_colour
    assert not mesh.has_known_colour


class Glb:
    """A GLB to be written: accessors and images are added, `content` is changed, `write` makes the file."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": []}],
            "accessors": [],
            "bufferViews": [],
        }
        self.binary = b""

    def view(self, data: bytes, **more: Any) -> int:
        """A buffer view."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data), **more}
        self.content["bufferViews"].append(entry)
        self.binary += data
        return len(self.content["bufferViews"]) - 1

    def array(self, values: np.ndarray, normalized: bool = False) -> int:
        """An accessor of rows of numbers."""
        kinds = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
        padded = values
        if (
            values.ndim == 2 and values.itemsize * values.shape[1] % 4
        ):  # rows begin at multiples of four bytes
            width = -(-values.itemsize * values.shape[1] // 4) * 4 // values.itemsize
            padded = np.zeros((len(values), width), values.dtype)
            padded[:, : values.shape[1]] = values
        stride = {"byteStride": padded.itemsize * padded.shape[1]} if padded is not values else {}
        entry: dict[str, Any] = {
            "bufferView": self.view(padded.tobytes(), **stride),
            "componentType": kinds[values.dtype.str[1:]],
            "count": len(values),
            "type": "SCALAR" if values.ndim == 1 else f"VEC{values.shape[1]}",
        }
        if normalized:
            entry["normalized"] = True
        self.content["accessors"].append(entry)
        return len(self.content["accessors"]) - 1

    def image(self, data: bytes, kind: str = "image/png") -> int:
        """An embedded image."""
        self.content.setdefault("images", []).append({"bufferView": self.view(data), "mimeType": kind})
        return len(self.content["images"]) - 1

    def box(
        self, material: dict[str, Any] | None = None, uv: np.ndarray | None = None, **colours: Any
    ) -> dict:
        """The box as one primitive; `uv` 6 x 4 x 2 with v upwards; `COLOR_0` and others by their accessor."""
        attributes = {"POSITION": self.array(quads().reshape(-1, 3).astype(np.float32)), **colours}
        index = np.array(
            [4 * k + corner for k in range(6) for face in TRIANGLES for corner in face], np.uint16
        )
        if uv is not None:
            attributes["TEXCOORD_0"] = self.array(downwards(uv))
        primitive: dict[str, Any] = {"attributes": attributes, "indices": self.array(index)}
        if material is not None:
            self.content.setdefault("materials", []).append(material)
            primitive["material"] = len(self.content["materials"]) - 1
        self.content["meshes"][0]["primitives"].append(primitive)
        return primitive

    def textured_box(
        self, rgb: np.ndarray | None = None, uv: np.ndarray | None = None, **texture_info: Any
    ) -> dict:
        """The box with its atlas as base colour; `texture_info` goes into the material's reference to it."""
        self.content["textures"] = [{"source": self.image(encoded(atlas() if rgb is None else rgb))}]
        material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, **texture_info}}}
        return self.box(material, atlas_uv() if uv is None else uv)

    def write(self, path: Path) -> Path:
        """The file."""
        self.content["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.content).encode()
        text += b" " * (-len(text) % 4)
        binary = self.binary + b"\0" * (-len(self.binary) % 4)
        head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary))
        chunks = (
            struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942)
        )
        path.write_bytes(head + chunks + binary)
        return path


def downwards(uv: np.ndarray) -> np.ndarray:
    """Coordinates of corners as glTF stores them."""
    flat = uv.reshape(-1, 2).astype(np.float32).copy()
    flat[:, 1] = 1 - flat[:, 1]
    return flat


def per_corner(rows: np.ndarray) -> np.ndarray:
    """Values of the six faces for each of their four corners."""
    return np.repeat(rows, 4, axis=0)
