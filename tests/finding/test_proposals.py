import numpy as np

from finding.conftest import SHAPE, TABLE, frame_of, plane_depth, seen, standing_pose, table_frame
from selfpose6d.finding.proposals import MAX_PROPOSALS, Proposal, _with_gaps, cut_surface, unite
from selfpose6d.finding.scene import Scene
from selfpose6d.finding.surface import Surface


def best_overlap(pieces: list[Proposal], mask: np.ndarray) -> float:
    return max((one.mask & mask).sum() / (one.mask | mask).sum() for one in pieces)


def nothing(scene: Scene) -> np.ndarray:
    return np.zeros(scene.surface.known.shape, bool)


def grey(surface: Surface) -> np.ndarray:
    return np.zeros((*surface.known.shape, 3), np.float32)


def test_every_object_on_a_table_is_a_piece(models):
    poses = {
        1: standing_pose(models[1], -0.15),
        2: standing_pose(models[2], 0.05),
        3: standing_pose(models[3], 0.2),
    }
    frame, masks = table_frame(models, poses)
    scene = Scene.of(frame, 0.27)
    pieces = cut_surface(scene.surface, scene.on_plane, nothing(scene), scene.lab, 0.27)
    for mask in masks.values():
        assert best_overlap(pieces, scene.surface.from_image(mask)) > 0.85


def test_without_a_plane_objects_are_pieces_too(models):
    frame, masks = table_frame(models, {1: standing_pose(models[1], 0.0)})
    scene = Scene.of(frame, 0.27)
    pieces = cut_surface(scene.surface, nothing(scene), nothing(scene), scene.lab, 0.27)
    assert best_overlap(pieces, scene.surface.from_image(masks[1])) > 0.8


def test_what_is_taken_is_no_piece(models):
    frame, masks = table_frame(models, {1: standing_pose(models[1], 0.0)})
    scene = Scene.of(frame, 0.27)
    taken = scene.surface.from_image(masks[1])
    for one in cut_surface(scene.surface, scene.on_plane, taken, scene.lab, 0.27):
        assert not (one.mask & taken).any()


def test_an_empty_table_and_an_empty_image_have_no_standing_piece():
    for depth in (plane_depth(*TABLE), np.zeros((480, 640), np.float32)):
        surface = Surface.of(seen(depth))
        on_plane = surface.known
        assert cut_surface(surface, on_plane, np.zeros_like(on_plane), grey(surface), 0.2) == []


def test_noise_gives_a_bounded_number_of_pieces():
    depth = np.random.default_rng(0).uniform(0.5, 1.5, (480, 640)).astype(np.float32)
    blocks = np.kron(np.random.default_rng(1).uniform(0.5, 1.5, (24, 32)), np.ones((20, 20))).astype(
        np.float32
    )
    for image in (depth, blocks):
        surface = Surface.of(seen(image))
        nothing_yet = np.zeros(surface.known.shape, bool)
        assert len(cut_surface(surface, nothing_yet, nothing_yet, grey(surface), 0.2)) <= MAX_PROPOSALS


def test_the_same_piece_comes_once_and_the_largest_first():
    mask = np.zeros((60, 80), bool)
    mask[10:40, 10:40] = True
    almost, other = mask.copy(), np.roll(mask, 30, axis=1)
    almost[10, 10] = False
    small = np.zeros_like(mask)
    small[50:55, 5:15] = True
    found = unite([Proposal(one, "test", 0.1) for one in (small, almost, mask, other)])
    assert [one.pixels for one in found] == [900, 900, 50]


def test_faces_in_one_plane_are_cut_where_their_colours_differ():
    """Two boxes side by side, seen from the front: nothing but colour tells where one ends."""
    depth = plane_depth(np.array([0.0, 0.0, -1.0]), -1.2)
    depth[150:330, 200:440] = 0.8
    rgb = np.full((*SHAPE, 3), 120, np.uint8)
    rgb[150:330, 200:320], rgb[150:330, 320:440] = (190, 60, 50), (60, 80, 180)
    scene = Scene.of(frame_of(depth, rgb), 0.35)
    pieces = cut_surface(scene.surface, scene.on_plane, nothing(scene), scene.lab, 0.35)
    for left in (200, 320):
        mask = np.zeros(SHAPE, bool)
        mask[150:330, left : left + 120] = True
        assert best_overlap(pieces, scene.surface.from_image(mask)) > 0.85
    plain = Scene.of(frame_of(depth), 0.35)
    pieces = cut_surface(plain.surface, plain.on_plane, nothing(plain), plain.lab, 0.35)
    assert best_overlap(pieces, scene.surface.from_image(mask)) < 0.6


def test_parts_without_depth_join_the_pieces_beside_them(models):
    """A black band divides the box in two, and the camera sees nothing there."""
    frame, masks = table_frame(models, {1: standing_pose(models[1], 0.0)})
    rows, columns = np.nonzero(masks[1])
    middle, across = int(rows.mean()), np.arange(SHAPE[0])[:, None]
    band = masks[1] & (np.abs(across - middle) < 20)
    scene = Scene.of(frame_of(np.where(band, 0, frame.depth_m).astype(np.float32), frame.rgb), 0.27)
    pieces = cut_surface(scene.surface, scene.on_plane, nothing(scene), scene.lab, 0.27)
    assert best_overlap(pieces, scene.surface.from_image(masks[1])) > 0.85
    assert columns.size > 2000


def test_narrow_shadows_are_no_gaps(models):
    frame, masks = table_frame(models, {1: standing_pose(models[1], 0.0)})
    depth = frame.depth_m.copy()
    right = int(np.nonzero(masks[1].any(0))[0].max())
    depth[:, right + 2 : right + 8] = 0
    scene = Scene.of(frame_of(depth, frame.rgb), 0.27)
    assert not (
        _with_gaps(scene.surface, np.zeros(scene.surface.known.shape, np.int32), nothing(scene)) > 0
    ).any()
