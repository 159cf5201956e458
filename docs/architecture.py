"""Draws docs/architecture.svg from the package's real imports and prints the numbers of its structure.

Run by `make architecture`. The rows are the layers of the import contract in pyproject.toml, which `make lint` holds
the imports to; an arrow goes from the room that imports to the room that is imported.
"""

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import grimp
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = "selfpose6d"
MAX_PARAMETERS = 7
"""A function with more wants an object; compiled kernels take arrays only and are counted apart."""
KERNELS = ("_numba", "_kernels")
WIDTH, BOX_WIDTH, BOX_HEIGHT, ROW = 12.0, 1.7, 0.56, 1.0
"""Of the picture, inches."""
X = {
    "cli": 8.5, "reproduction": 7.25, "reporting": 5.75, "evaluation": 2.0, "viz": 4.0, "training": 6.75,
    "finding": 4.0, "calibration": 6.25, "inference": 8.75, "labeling": 11.0,
    "recordings": 1.0, "export": 2.75, "objects": 4.5, "synthetic": 6.25, "segmentation": 8.0, "crops": 9.75,
    "datasets": 6.25, "renderer": 1.25, "runners": 10.5,
    "runs": 9.75, "resolver": 2.0, "metrics": 4.0, "meshes": 6.25, "network": 8.25, "losses": 10.75,
}  # fmt: skip
"""Where rooms stand, from the left: so that few dark arrows pass behind a box. Others stand where a row is freest."""
INK, PAPER, FAINT = "#24364b", "#eef3f9", "#8fa3ba"


@dataclass(frozen=True)
class Structure:
    """The package's modules, as they are on disk and as they import each other (`TYPE_CHECKING` included)."""

    files: dict[str, Path]
    imports: tuple[tuple[str, str], ...]
    layers: tuple[tuple[str, ...], ...]
    """Rooms and single modules, from the top down."""

    @cached_property
    def lines(self) -> Counter[str]:
        """Source lines by room."""
        lines: Counter[str] = Counter()
        for module, path in self.files.items():
            lines[room_of(module)] += len(path.read_text(encoding="utf-8").splitlines())
        return lines

    @cached_property
    def room_imports(self) -> Counter[tuple[str, str]]:
        """How many imports lead from one room to another."""
        pairs = ((room_of(importer), room_of(imported)) for importer, imported in self.imports)
        return Counter(pair for pair in pairs if pair[0] != pair[1])

    def circles(self) -> list[list[str]]:
        """Modules that import each other, directly or by way of others."""
        index = {module: node for node, module in enumerate(sorted(self.files))}
        ends = np.array([(index[a], index[b]) for a, b in self.imports]).reshape(-1, 2).T
        graph = coo_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(len(index), len(index)))
        _, component = connected_components(graph, connection="strong")
        circles: dict[int, list[str]] = {}
        for module, node in index.items():
            circles.setdefault(component[node], []).append(module)
        return [modules for modules in circles.values() if len(modules) > 1]


def read_structure() -> Structure:
    """Read the package's files, imports and layers."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None, exclude_type_checking_imports=False)
    imports = ((a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a))
    source = ROOT / "src"
    files = {module_name(path.relative_to(source)): path for path in sorted(source.rglob("*.py"))}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = tuple(tuple(layer.replace("|", " ").replace(":", " ").split()) for layer in layers)
    return Structure(files, tuple(sorted(imports)), rows)


def module_name(path: Path) -> str:
    """The module that a file below src/ holds."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The folder or file right under the package that a module belongs to."""
    return [*module.split("."), "__init__"][1]


def wide_functions(path: Path) -> Iterator[str]:
    """Functions of a file with more than `MAX_PARAMETERS`, `self` and `cls` not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            given = node.args
            names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            if count > MAX_PARAMETERS:
                yield f"{path.relative_to(ROOT / 'src' / PACKAGE)}: {node.name} ({count})"


def print_numbers(structure: Structure) -> None:
    """Lines, circles and wide functions, for a terminal."""
    lines, total = structure.lines, structure.lines.total()
    for room, count in lines.most_common():
        print(f"{room:<12} {count:>6,} lines  {count / total:>5.1%}")
    print(f"{'in all':<12} {total:>6,} lines; the biggest room has {max(lines.values()) / total:.1%} of them")
    print(f"import circles: {len(structure.circles())}", *map(" <-> ".join, structure.circles()), sep="\n  ")
    paths = structure.files.values()
    for what, kernels in (("functions", False), ("kernels", True)):
        wide = [
            name for path in paths if path.stem.endswith(KERNELS) == kernels for name in wide_functions(path)
        ]
        print(f"{what} with more than {MAX_PARAMETERS} parameters: {len(wide)}", *wide, sep="\n  ")


def place(rows: tuple[tuple[str, ...], ...]) -> dict[str, tuple[float, float]]:
    """The centre of every room's box; the top row is highest."""
    places: dict[str, tuple[float, float]] = {}
    for row, rooms in enumerate(rows):
        taken = [X[room] for room in rooms if room in X]
        for room in rooms:
            if room not in X:
                taken.append(freest(taken))
            places[room] = (X.get(room, taken[-1]), (len(rows) - row) * ROW)
    return places


def freest(taken: list[float]) -> float:
    """The place in a row that is farthest from the boxes in it: the middle of an empty one."""
    offered = sorted(np.arange(BOX_WIDTH, WIDTH - BOX_WIDTH, 0.25), key=lambda x: abs(x - WIDTH / 2))
    return float(max(offered, key=lambda x: min((abs(x - other) for other in taken), default=0.0)))


def needed_arrows(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those between rooms that no chain of other arrows joins."""
    reached: dict[str, set[str]] = {}

    def reach(room: str) -> set[str]:
        if room not in reached:
            ends = {end for start, end in arrows if start == room}
            reached[room] = ends.union(*map(reach, ends))
        return reached[room]

    return {(a, b) for a, b in arrows if not any(b in reach(c) for start, c in arrows if start == a)}


def draw(structure: Structure, path: Path) -> None:
    """Draw rows, boxes and arrows; without arrows the two lowest rows, which nearly all rooms import."""
    *rows, geometry, leaves = structure.layers
    centre = place(tuple(rows))
    arrows = {pair for pair in structure.room_imports if set(pair) <= set(centre)}
    figure = Figure(figsize=(WIDTH, (len(rows) + 0.5) * ROW + 1))
    axes = figure.add_axes((0, 0, 1, 1))
    needed = needed_arrows(arrows)
    for pair in sorted(arrows):
        draw_arrow(axes, centre[pair[0]], centre[pair[1]], pair in needed)
    for room, (x, y) in centre.items():
        draw_box(axes, x, y, room, f"{structure.lines[room]:,} lines", BOX_WIDTH)
    for row, names in enumerate((geometry, leaves), start=1):
        count = sum(structure.lines[name] for name in names)
        note = f"{count:,} lines, used by nearly all rooms above: no arrows drawn"
        draw_box(axes, WIDTH / 2, 1 - 0.8 * row, "    ".join(names), note, WIDTH - 0.5)
    axes.set(xlim=(0, WIDTH), ylim=(-1.0, (len(rows) + 0.5) * ROW), aspect="equal")
    axes.set_axis_off()
    with rc_context(
        {"svg.hashsalt": PACKAGE, "svg.fonttype": "none"}
    ):  # the same ids each time; texts as text
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def draw_box(axes: Axes, x: float, y: float, name: str, note: str, width: float) -> None:
    """One room."""
    corner = x - width / 2, y - BOX_HEIGHT / 2
    shape = FancyBboxPatch(
        corner, width, BOX_HEIGHT, "round,pad=0,rounding_size=0.08", fc=PAPER, ec=INK, lw=1.1
    )
    axes.add_patch(shape)
    axes.text(x, y + 0.09, name, ha="center", va="center", color=INK, size=11, weight="bold")
    axes.text(x, y - 0.14, note, ha="center", va="center", color=INK, size=8)


def draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], needed: bool) -> None:
    """An arrow between two boxes; light where a chain of others joins them too."""
    style = {"color": INK, "lw": 1.3, "zorder": 0.5} if needed else {"color": FAINT, "lw": 0.6, "zorder": 0}
    arrow = FancyArrowPatch(
        (start[0], start[1] - BOX_HEIGHT / 2),
        (end[0], end[1] + BOX_HEIGHT / 2),
        arrowstyle="-|>,head_width=2,head_length=4",
        shrinkA=0,
        shrinkB=0,
        **style,
    )
    axes.add_patch(arrow)


def main() -> None:
    """Redraw the picture, print the numbers."""
    structure = read_structure()
    draw(structure, PICTURE)
    print_numbers(structure)


if __name__ == "__main__":
    main()
