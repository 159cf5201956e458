"""glTF and GLB: the nodes of the scene with their transforms, and the colours of their primitives by the format's rule.

Colour is base colour factor times texture times vertex colour.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.errors import MeshError
from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.gltf_file import COMPRESSIONS, GltfFile, compressed, read_gltf_file
from selfpose6d.meshes.gltf_materials import GltfMaterial, read_material
from selfpose6d.meshes.gltf_skin import joint_matrices, skinned
from selfpose6d.meshes.part import Part, Texture, are_known
from selfpose6d.meshes.polygons import strip_triangles

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_MAX_NODES = 100_000
_MAX_FACES = 20_000_000
"""Of all instances of all meshes, 1 GB: a few bytes can repeat a mesh without end."""
_READ = {
    *("KHR_mesh_quantization", "KHR_texture_transform", "KHR_texture_basisu", "KHR_node_visibility"),
    *("EXT_texture_webp", "EXT_texture_avif", "MSFT_texture_dds", "EXT_mesh_gpu_instancing"),
    *("KHR_lights_punctual", "KHR_xmp_json_ld", "KHR_animation_pointer"),
}
"""Extensions that a file may require: they are read, or are no matter for the shape, as those of materials."""


def read_gltf(content: bytes, assets: Assets) -> list[Part]:
    """The surfaces of a glTF file's scene, one part for each primitive of each node.

    Raises:
        ValueError: it is no glTF file, or its numbers do not fit each other.
        MeshError: its geometry is compressed, or it requires an extension that is not read.
    """
    file = read_gltf_file(content, assets)
    for extension in file.required:
        if extension in COMPRESSIONS:
            raise compressed(assets, extension)
        if extension not in _READ and not extension.startswith("KHR_materials_"):
            raise MeshError(
                f"{assets.path}: it requires the glTF extension {extension}, which is not read. Export it without."
            )
    parts, num_faces = [], 0
    materials: dict[int | None, GltfMaterial] = {}
    parents = _parents(file)
    for node, T_scene_node in _placed_nodes(file):
        mesh = file.entry("meshes", node["mesh"])
        if any(node.get("weights", mesh.get("weights", []))):
            assets.note("a mesh is given in a morphed form (weights); its basic form is taken")
        T_scene_mesh = None
        if "skin" in node:
            assets.note(
                "a mesh follows a skeleton (skin); it is taken in the pose in which its joints are stored"
            )
            T_scene_mesh = joint_matrices(
                file, node["skin"], lambda index: _scene_transform(file, parents, index)
            )
        for primitive in mesh.get("primitives", []):
            index = primitive.get("material")
            if index not in materials:
                materials[index] = read_material(file, index)
            if materials[index].is_invisible:
                continue
            if (part := _read_primitive(file, primitive, materials[index], T_scene_mesh)) is not None:
                num_faces += len(part.faces) * len(T_scene_node)
                if num_faces > _MAX_FACES:
                    raise ValueError(f"its nodes show more than {_MAX_FACES} triangles")
                parts += [_moved(part, T) for T in T_scene_node]
    return parts


def _placed_nodes(file: GltfFile) -> list[tuple[dict[str, Any], list[Float[np.ndarray, "4 4"]]]]:
    """The scene's nodes that have a mesh, and where each of their instances is."""
    nodes = file.content.get("nodes", [])
    placed, visited = [], 0
    stack = [(index, 1, np.eye(4)) for index in reversed(_root_nodes(file))]
    while stack:
        index, depth, T_scene_parent = stack.pop()
        visited += 1
        if depth > len(nodes) or visited > _MAX_NODES:
            raise ValueError(
                "its nodes go round in a circle" if depth > len(nodes) else "it has too many nodes"
            )
        node = file.entry("nodes", index)
        extensions = node.get("extensions", {})
        if not extensions.get("KHR_node_visibility", {}).get("visible", True):
            continue
        T_scene_node = T_scene_parent @ _node_transform(node)
        if "mesh" in node:
            instances = _instances(file, extensions.get("EXT_mesh_gpu_instancing"))
            everywhere = [np.eye(4)] if "skin" in node else [T_scene_node @ T for T in instances]
            placed.append((node, [T for T in everywhere if T[:3, :3].any()]))  # scale 0 hides a node
        stack += [(child, depth + 1, T_scene_node) for child in reversed(node.get("children", []))]
    return placed


def _root_nodes(file: GltfFile) -> list[int]:
    """Of the default scene, else the first, else all nodes that no other one holds."""
    if file.content.get("scenes"):
        return list(file.entry("scenes", file.content.get("scene", 0)).get("nodes", []))
    parents = _parents(file)
    return [index for index in range(len(file.content.get("nodes", []))) if index not in parents]


def _parents(file: GltfFile) -> dict[int, int]:
    """The node that holds each node, for those that one holds."""
    nodes = file.content.get("nodes", [])
    return {child: above for above, node in enumerate(nodes) for child in node.get("children", [])}


def _scene_transform(file: GltfFile, parents: Mapping[int, int], index: int) -> Float[np.ndarray, "4 4"]:
    """Where a node is in the scene, through all that hold it."""
    nodes = file.content.get("nodes", [])
    T_scene_node, steps = _node_transform(file.entry("nodes", index)), 0
    while index in parents:
        index, steps = parents[index], steps + 1
        if steps > len(nodes):
            raise ValueError("its nodes go round in a circle")
        T_scene_node = _node_transform(nodes[index]) @ T_scene_node
    return T_scene_node


def _node_transform(node: dict[str, Any]) -> Float[np.ndarray, "4 4"]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    return _trs(
        np.array(node.get("translation", (0, 0, 0)), np.float64),
        np.array(node.get("rotation", (0, 0, 0, 1)), np.float64),
        np.array(node.get("scale", (1, 1, 1)), np.float64),
    )


def _trs(
    translation: Float[np.ndarray, "3"], quat_xyzw: Float[np.ndarray, "4"], scale: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "4 4"]:
    x, y, z, w = quat_xyzw / max(float(np.linalg.norm(quat_xyzw)), 1e-12)
    T = np.eye(4)
    T[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    T[:3, :3] *= scale
    T[:3, 3] = translation
    return T


def _instances(file: GltfFile, instancing: dict[str, Any] | None) -> list[Float[np.ndarray, "4 4"]]:
    """Where EXT_mesh_gpu_instancing puts a node's mesh, in the node's frame; once where there is none."""
    attributes = (instancing or {}).get("attributes", {})
    arrays = {
        name: file.array(attributes[name])
        for name in ("TRANSLATION", "ROTATION", "SCALE")
        if name in attributes
    }
    if not arrays:
        return [np.eye(4)]
    count = len(next(iter(arrays.values())))
    if count > _MAX_NODES:
        raise ValueError(f"a mesh is repeated {count} times")
    translation = arrays.get("TRANSLATION", np.zeros((count, 3)))
    rotation = arrays.get("ROTATION", np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)))
    scale = arrays.get("SCALE", np.ones((count, 3)))
    return [_trs(*each) for each in zip(translation, rotation, scale, strict=True)]


def _read_primitive(
    file: GltfFile,
    primitive: dict[str, Any],
    material: GltfMaterial,
    T_scene_mesh: Float[np.ndarray, "joints 4 4"] | None,
) -> Part | None:
    """One primitive in its node's frame, or in the scene's where it follows joints; None where it has no triangles."""
    mode, attributes = primitive.get("mode", _TRIANGLES), primitive.get("attributes", {})
    if mode not in (_TRIANGLES, _STRIP, _FAN) or "POSITION" not in attributes:
        return None
    draco = "KHR_draco_mesh_compression"
    if draco in primitive.get("extensions", {}) and not _is_stored(file, attributes["POSITION"]):
        raise compressed(file.assets, draco)
    vertices = file.array(attributes["POSITION"]).astype(np.float64)
    index = file.array(primitive["indices"])[:, 0].astype(np.int64) if "indices" in primitive else None
    faces = _triangles(np.arange(len(vertices)) if index is None else index, mode)
    if not len(faces):
        return None
    if faces.max() >= len(vertices):
        raise ValueError(f"a face names vertex {faces.max()} of {len(vertices)}")
    if T_scene_mesh is not None:
        posed = skinned(file, attributes, vertices, T_scene_mesh)
        if posed is None:
            file.assets.note("a mesh follows a skeleton but has no weights; it is taken as it is stored")
        else:
            vertices = posed
            if np.linalg.det(T_scene_mesh[0, :3, :3]) < 0:
                faces = faces[:, ::-1]
    used, compact = np.unique(faces, return_inverse=True)
    shape = Part(vertices[used], compact.reshape(-1, 3), is_linear=True)
    attribute = {name: _of_vertices(file, attributes, name, len(vertices), used) for name in attributes}
    return _painted(shape, attribute, material, file.assets)


def _is_stored(file: GltfFile, accessor: int) -> bool:
    """Whether the file holds an array outside its compressed form."""
    return "bufferView" in file.entry("accessors", accessor)


def _of_vertices(
    file: GltfFile, attributes: dict[str, int], name: str, count: int, used: Int[np.ndarray, " used"]
) -> np.ndarray | None:
    """An attribute of the vertices that are used, if it is one of colour."""
    if not name.startswith(("COLOR_0", "TEXCOORD_")):
        return None
    values = file.array(attributes[name])
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} entries for {count} vertices")
    is_quantised = name != "COLOR_0" and "KHR_mesh_quantization" in file.content.get(
        "extensionsUsed", file.required
    )
    if values.dtype.kind in "iu" and not is_quantised:  # not marked as fractions, which they can only be
        values = values / float(np.iinfo(values.dtype).max)
    return values[used].astype(np.float64)


def _triangles(index: Int[np.ndarray, " indices"], mode: int) -> Int[np.ndarray, "faces 3"]:
    if mode == _TRIANGLES:
        return index[: len(index) // 3 * 3].reshape(-1, 3)
    if len(index) < 3:
        return np.zeros((0, 3), np.int64)
    if mode == _FAN:
        return np.stack([np.full(len(index) - 2, index[0]), index[1:-1], index[2:]], axis=1)
    return strip_triangles(index)


def _painted(
    shape: Part, attribute: dict[str, np.ndarray | None], material: GltfMaterial, assets: Assets
) -> Part:
    lacking = Part(shape.vertices, shape.faces, is_linear=True, lacks_texture=True)
    if material.lacks_texture:
        return lacking
    colour = attribute.get("COLOR_0")
    vertex_rgb = None if colour is None else colour[:, :3]
    factor = material.factor if material.is_stated else None
    if (use := material.texture) is None:
        return Part(shape.vertices, shape.faces, vertex_rgb=vertex_rgb, factor=factor, is_linear=True)
    uv = attribute.get(f"TEXCOORD_{use.coordinates}")
    if uv is None or not are_known(uv[shape.faces]):
        assets.note(
            f"faces with a texture have no TEXCOORD_{use.coordinates}; their colours count as unknown"
        )
        return lacking
    moved = uv @ use.T_image_uv[:2, :2].T + use.T_image_uv[:2, 2]
    moved[:, 1] = 1 - moved[:, 1]
    texture = Texture(use.rgb, moved[shape.faces], use.wrap)
    return Part(shape.vertices, shape.faces, texture, vertex_rgb, factor, is_linear=True)


def _moved(part: Part, T_scene_node: Float[np.ndarray, "4 4"]) -> Part:
    """The part where a node puts it; a mirror image keeps its outside."""
    vertices = part.vertices @ T_scene_node[:3, :3].T + T_scene_node[:3, 3]
    if np.linalg.det(T_scene_node[:3, :3]) >= 0:
        return replace(part, vertices=vertices)
    texture = part.texture and replace(part.texture, corner_uv=part.texture.corner_uv[:, ::-1])
    return replace(part, vertices=vertices, faces=part.faces[:, ::-1], texture=texture)
