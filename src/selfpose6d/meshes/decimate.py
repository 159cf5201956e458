"""Fewer faces for heavy meshes, with the colours of the original baked into a new texture."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.meshes.merge import weld
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_surface

# two triangles with their borders need six pixels; 32 limits the texture where there are few faces
MIN_CELL_PX, MAX_CELL_PX = 6, 32
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

    pairs = (len(target.faces) + 1) // 2
    cell_px = int(np.clip(np.sqrt(ATLAS_TEXELS / pairs), MIN_CELL_PX, MAX_CELL_PX))
    columns = int(np.ceil(np.sqrt(pairs)))
    samples = sample_surface(original, COLOUR_SAMPLES, np.random.default_rng(0))
    assert samples.rgb is not None
    texel_m = _texel_positions_m(target, cell_px)
    _, nearest = KDTree(samples.points_m).query(texel_m.reshape(-1, 3), workers=-1)
    cells = np.round(samples.rgb[nearest] * 255).astype(np.uint8).reshape(pairs, cell_px, cell_px, 3)
    texture = _tile_cells(cells, columns)
    return replace(target, texture=texture, corner_uv=_cell_uv(len(target.faces), cell_px, texture.shape[:2]))


def _corner_px(cell_px: int) -> Float[np.ndarray, "2 3 2"]:
    """Corners (x, y) of a cell's two triangles, far enough apart that bilinear lookup never mixes them."""
    s = float(cell_px)
    return np.array([[[1, 1], [s - 2, 1], [1, s - 2]], [[s - 1, s - 1], [3, s - 1], [s - 1, 3]]])


def _texel_positions_m(mesh: Mesh, cell_px: int) -> Float[np.ndarray, "pairs cell cell 3"]:
    """Object point of every texel: upper left the even face, lower right the odd one, both extended."""
    odd = len(mesh.faces) % 2
    triangles = np.concatenate([mesh.triangles_m, mesh.triangles_m[len(mesh.faces) - odd :]])
    y, x = np.mgrid[:cell_px, :cell_px] + 0.5
    lower = (x + y >= cell_px + 1).astype(int)
    a, b, c = np.moveaxis(_corner_px(cell_px)[lower], 2, 0)
    # both triangles are right-angled along the axes: the legs give the weights directly
    wb = (x - a[..., 0]) / (b[..., 0] - a[..., 0])
    wc = (y - a[..., 1]) / (c[..., 1] - a[..., 1])
    weights = np.stack([1 - wb - wc, wb, wc], axis=-1)
    by_cell = triangles.reshape(-1, 2, 3, 3)[:, lower]
    return np.einsum("yxk,pyxkd->pyxd", weights, by_cell).astype(np.float32)


def _tile_cells(
    cells: UInt8[np.ndarray, "pairs cell cell 3"], columns: int
) -> UInt8[np.ndarray, "rows columns 3"]:
    pairs, cell_px = cells.shape[:2]
    rows = -(-pairs // columns)
    padded = np.concatenate([cells, np.zeros((rows * columns - pairs, cell_px, cell_px, 3), np.uint8)])
    grid = padded.reshape(rows, columns, cell_px, cell_px, 3).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * cell_px, columns * cell_px, 3))


def _cell_uv(faces: int, cell_px: int, texture_shape: tuple[int, int]) -> Float[np.ndarray, "faces 3 2"]:
    rows_px, columns_px = texture_shape
    pair, which = np.divmod(np.arange(faces), 2)
    row, column = np.divmod(pair, columns_px // cell_px)
    px = _corner_px(cell_px)[which] + (np.stack([column, row], axis=-1) * cell_px)[:, None]
    return np.stack([px[..., 0] / columns_px, 1 - px[..., 1] / rows_px], axis=-1).astype(np.float32)
