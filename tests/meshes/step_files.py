"""A box as a STEP file, written out by the format's own rules (ISO 10303-21, AP214)."""

from itertools import count

HEADER = """ISO-10303-21;
HEADER;
FILE_DESCRIPTION((''),'2;1');
FILE_NAME('box','2026-01-01T00:00:00',(''),(''),'','','');
FILE_SCHEMA(('AUTOMOTIVE_DESIGN { 1 0 10303 214 1 1 1 1 }'));
ENDSEC;
DATA;
"""
UNITS = {"mm": "SI_UNIT(.MILLI.,.METRE.)", "m": "SI_UNIT($,.METRE.)"}


def box_step(size, unit: str = "mm", rgb: tuple[float, float, float] | None = None) -> str:
    """A box from the origin to `size`, in `unit`."""
    lines, ids = [], count(1)

    def add(text: str) -> str:
        name = f"#{next(ids)}"
        lines.append(f"{name}={text};")
        return name

    def point(p) -> str:
        return add(f"CARTESIAN_POINT('',({','.join(f'{float(x):.6f}' for x in p)}))")

    def direction(d) -> str:
        return add(f"DIRECTION('',({','.join(f'{float(x):.1f}' for x in d)}))")

    def unit_vector(axis: int, sign: int) -> list[int]:
        return [sign * (k == axis) for k in range(3)]

    corners = [tuple(size[k] * (n >> k & 1) for k in range(3)) for n in range(8)]
    vertices = [add(f"VERTEX_POINT('',{point(p)})") for p in corners]
    edges = {}
    for n in range(8):
        for axis in range(3):
            if not n >> axis & 1:
                vector = add(f"VECTOR('',{direction(unit_vector(axis, 1))},1.)")
                line = add(f"LINE('',{point(corners[n])},{vector})")
                other = n | 1 << axis
                edges[n, other] = add(f"EDGE_CURVE('',{vertices[n]},{vertices[other]},{line},.T.)")
    faces = []
    for axis in range(3):
        b, c = (axis + 1) % 3, (axis + 2) % 3
        for side in (0, 1):
            base = side << axis
            ring = [base, base | 1 << b, base | 1 << b | 1 << c, base | 1 << c]
            ring = ring if side else ring[::-1]  # counter-clockwise seen from outside
            oriented = []
            for start, stop in zip(ring, ring[1:] + ring[:1], strict=True):
                edge = edges[min(start, stop), max(start, stop)]
                oriented.append(add(f"ORIENTED_EDGE('',*,*,{edge},.{'T' if start < stop else 'F'}.)"))
            loop = add(f"EDGE_LOOP('',({','.join(oriented)}))")
            bound = add(f"FACE_OUTER_BOUND('',{loop},.T.)")
            normal, across = direction(unit_vector(axis, 2 * side - 1)), direction(unit_vector(b, 1))
            placed = add(f"AXIS2_PLACEMENT_3D('',{point(corners[base])},{normal},{across})")
            plane = add(f"PLANE('',{placed})")
            faces.append(add(f"ADVANCED_FACE('',({bound}),{plane},.T.)"))
    shell = add(f"CLOSED_SHELL('',({','.join(faces)}))")
    solid = add(f"MANIFOLD_SOLID_BREP('box',{shell})")
    length = add(f"( LENGTH_UNIT() NAMED_UNIT(*) {UNITS[unit]} )")
    angle = add("( NAMED_UNIT(*) PLANE_ANGLE_UNIT() SI_UNIT($,.RADIAN.) )")
    solid_angle = add("( NAMED_UNIT(*) SI_UNIT($,.STERADIAN.) SOLID_ANGLE_UNIT() )")
    accuracy = add(f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-07),{length},'','')")
    context = add(
        "( GEOMETRIC_REPRESENTATION_CONTEXT(3) GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(("
        f"{accuracy})) GLOBAL_UNIT_ASSIGNED_CONTEXT(({length},{angle},{solid_angle})) REPRESENTATION_CONTEXT('','') )"
    )
    axes = add(f"AXIS2_PLACEMENT_3D('',{point((0, 0, 0))},{direction((0, 0, 1))},{direction((1, 0, 0))})")
    shape = add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',({axes},{solid}),{context})")
    application = add("APPLICATION_CONTEXT('automotive design')")
    product_context = add(f"PRODUCT_CONTEXT('',{application},'mechanical')")
    product = add(f"PRODUCT('box','box','',({product_context}))")
    formation = add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    definition_context = add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")
    definition = add(f"PRODUCT_DEFINITION('design','',{formation},{definition_context})")
    shape_of = add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    add(f"SHAPE_DEFINITION_REPRESENTATION({shape_of},{shape})")
    if rgb is not None:
        colour = add(f"COLOUR_RGB('',{','.join(f'{c:.6f}' for c in rgb)})")
        filled = add(f"FILL_AREA_STYLE_COLOUR('',{colour})")
        area = add(f"FILL_AREA_STYLE('',({filled}))")
        fill = add(f"SURFACE_STYLE_FILL_AREA({area})")
        side = add(f"SURFACE_SIDE_STYLE('',({fill}))")
        usage = add(f"SURFACE_STYLE_USAGE(.BOTH.,{side})")
        style = add(f"PRESENTATION_STYLE_ASSIGNMENT(({usage}))")
        styled = add(f"STYLED_ITEM('',({style}),{solid})")
        add(f"MECHANICAL_DESIGN_GEOMETRIC_PRESENTATION_REPRESENTATION('',({styled}),{context})")
    return HEADER + "\n".join(lines) + "\nENDSEC;\nEND-ISO-10303-21;\n"
