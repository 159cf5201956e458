"""A new texture for a mesh's faces: a cell for every two of them, whose texels are looked up one by one."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt8

MIN_CELL_PX, MAX_CELL_PX = 6, 512
"""Two triangles with their borders need six pixels; 512 is a large print on one face."""
CHUNK_TEXELS = 500_000
"""Looked up at a time: 12 MB of weights."""

ColourAt = Callable[
    [Int[np.ndarray, " texels"], Float[np.ndarray, "texels 3"]], UInt8[np.ndarray, "texels 3"]
]
"""Colours at points, of the face and the barycentric coordinates of each; some lie a little outside their face."""


def bake_faces(
    num_faces: int, num_texels: int, colour_at: ColourAt, max_cell_px: int = MAX_CELL_PX
) -> tuple[UInt8[np.ndarray, "rows columns 3"], Float[np.ndarray, "faces 3 2"]]:
    """A texture of about `num_texels` and each face's coordinates in it, coloured by `colour_at`."""
    pairs = (num_faces + 1) // 2
    cell_px = int(np.clip(np.sqrt(num_texels / pairs), MIN_CELL_PX, max_cell_px))
    columns = int(np.ceil(np.sqrt(pairs)))
    lower, weights = _cell_weights(cell_px)
    cells = np.empty((pairs, cell_px, cell_px, 3), np.uint8)
    chunk = max(CHUNK_TEXELS // cell_px**2, 1)
    for start in range(0, pairs, chunk):
        pair = np.arange(start, min(start + chunk, pairs))
        face = np.minimum(2 * pair[:, None, None] + lower, num_faces - 1)
        weight = np.broadcast_to(weights, (*face.shape, 3)).reshape(-1, 3)
        cells[start : start + chunk] = colour_at(face.ravel(), weight).reshape(*face.shape, 3)
    texture = _tile_cells(cells, columns)
    return texture, _cell_uv(num_faces, cell_px, texture.shape[:2])


def _corner_px(cell_px: int) -> Float[np.ndarray, "2 3 2"]:
    """Corners (x, y) of a cell's two triangles, far enough apart that bilinear lookup never mixes them."""
    s = float(cell_px)
    return np.array([[[1, 1], [s - 2, 1], [1, s - 2]], [[s - 1, s - 1], [3, s - 1], [s - 1, 3]]])


def _cell_weights(cell_px: int) -> tuple[Int[np.ndarray, "cell cell"], Float[np.ndarray, "cell cell 3"]]:
    """Of each texel: upper left the even face, lower right the odd one, both extended; barycentric coordinates."""
    y, x = np.mgrid[:cell_px, :cell_px] + 0.5
    lower = (x + y >= cell_px + 1).astype(int)
    a, b, c = np.moveaxis(_corner_px(cell_px)[lower], 2, 0)
    # both triangles are right-angled along the axes: the legs give the weights directly
    wb = (x - a[..., 0]) / (b[..., 0] - a[..., 0])
    wc = (y - a[..., 1]) / (c[..., 1] - a[..., 1])
    return lower, np.stack([1 - wb - wc, wb, wc], axis=-1)


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
