"""Fewer faces for heavy meshes, with the colours of the original baked into a new texture."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.meshes.bake import bake_faces
from selfpose6d.meshes.merge import weld
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_surface

# limits the texture where there are few faces
MAX_CELL_PX = 32
# of the new texture, about 1000 x 1000 (3 MB): cells of 10 pixels for 20,000 faces
ATLAS_TEXELS = 1_000_000
# points of the original whose colours are looked up: about 0.4 mm apart on an object of 10 cm
COLOUR_SAMPLES = 400_000


def decimate(mesh: Mesh, max_faces: int) -> Mesh:
    """A mesh of at most about `max_faces` faces; the same mesh when it has no more.

    Quadric edge collapse on the welded surface. Colours keep their detail: every pair of new faces gets a
    cell of a new texture, each texel the colour of the nearest point of the original surface.
    """
    if len(mesh.faces) <= max_faces:
        return mesh
    import fast_simplification

    welded = weld(mesh)
    writable = welded.vertices_m.copy(), welded.faces.copy()  # it takes no others
    simplified = fast_simplification.simplify(*writable, target_count=max_faces)
    plain = Mesh(simplified[0].astype(np.float32), simplified[1].astype(np.int32), source=mesh.source)
    return bake_colours(plain, mesh) if mesh.has_colour else plain


def bake_colours(target: Mesh, original: Mesh) -> Mesh:
    """`target` with a texture that holds the colours of `original`'s surface, whatever their layout there."""
    from scipy.spatial import KDTree

    samples = sample_surface(original, COLOUR_SAMPLES, np.random.default_rng(0))
    assert samples.rgb is not None
    tree, levels = KDTree(samples.points_m), np.round(samples.rgb * 255).astype(np.uint8)

    def colour_at(
        face: Int[np.ndarray, " texels"], barycentric: Float[np.ndarray, "texels 3"]
    ) -> UInt8[np.ndarray, "texels 3"]:
        texel_m = np.einsum("tk,tkd->td", barycentric, target.triangles_m[face]).astype(np.float32)
        return levels[tree.query(texel_m, workers=-1)[1]]

    texture, corner_uv = bake_faces(len(target.faces), ATLAS_TEXELS, colour_at, MAX_CELL_PX)
    return replace(target, texture=texture, corner_uv=corner_uv)
