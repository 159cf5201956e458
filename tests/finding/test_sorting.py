import numpy as np

from finding.conftest import standing_pose, table_frame
from selfpose6d.finding.looks import Looks, alike, colour_histograms
from selfpose6d.finding.proposals import Proposal, cut_surface, unite
from selfpose6d.finding.scene import Scene
from selfpose6d.finding.sorting import sort_pairs


def test_an_object_comes_first_for_its_own_piece(models):
    poses = {
        1: standing_pose(models[1], -0.15),
        2: standing_pose(models[2], 0.05),
        3: standing_pose(models[3], 0.2),
    }
    frame, masks = table_frame(models, poses)
    scene = Scene.of(frame, 0.27)
    pieces = cut_surface(
        scene.surface, scene.on_plane, np.zeros(scene.surface.known.shape, bool), scene.lab, 0.27
    )
    looks = {obj_id: Looks.of(model) for obj_id, model in models.items()}
    pairs = sort_pairs(pieces, looks, scene)
    for obj_id, mask in masks.items():
        own = scene.surface.from_image(mask)
        of_piece = [
            pair
            for pair in pairs
            if (pair.proposal.mask & own).sum() / (pair.proposal.mask | own).sum() > 0.8
        ]
        assert of_piece[0].obj_id == obj_id
        of_object = [pair for pair in pairs if pair.obj_id == obj_id]
        assert of_piece[0] in of_object[:4]


def test_a_piece_much_larger_or_smaller_than_the_object_is_no_pair(models):
    frame, _ = table_frame(models, {1: standing_pose(models[1], 0.0)})
    scene = Scene.of(frame, 0.27)
    pieces = cut_surface(
        scene.surface, scene.on_plane, np.zeros(scene.surface.known.shape, bool), scene.lab, 0.27
    )
    look = Looks.of(models[1])
    for factor in (0.2, 5.0):
        scaled = Looks(look.area_m2 * factor**2, look.colours, look.diameter_m * factor)
        whole = max(pieces, key=lambda one: one.pixels)
        assert all(pair.proposal is not whole for pair in sort_pairs(pieces, {1: scaled}, scene))


def test_no_pieces_no_pairs(models):
    frame, _ = table_frame(models, {1: standing_pose(models[1], 0.0)})
    assert sort_pairs([], {1: Looks.of(models[1])}, Scene.of(frame, 0.27)) == []


def test_likeness_tells_colours_apart():
    rng = np.random.default_rng(0)
    red, blue = np.array([50.0, 60, 40]), np.array([40.0, 10, -50])
    pixels = np.stack([red + rng.normal(0, 3, (500, 3)), blue + rng.normal(0, 3, (500, 3))])
    one = np.zeros((2, 2, 500), bool)
    one[0, 0], one[1, 1] = True, True
    of_red, of_blue = colour_histograms(pixels, list(one))
    np.testing.assert_allclose([of_red.sum(), of_blue.sum()], 1, rtol=1e-5)
    assert alike(of_red[None], of_red[None])[0] > 0.99
    assert alike(of_red[None], of_blue[None])[0] < 0.05
    assert alike(of_red[None], np.stack([of_blue, of_red]))[0] > 0.99


def test_a_mesh_without_colour_is_neither_like_nor_unlike(models):
    from dataclasses import replace

    plain = replace(Looks.of(models[2]), colours=None)
    frame, _ = table_frame(models, {2: standing_pose(models[2], 0.0)})
    scene = Scene.of(frame, 0.27)
    pieces = cut_surface(
        scene.surface, scene.on_plane, np.zeros(scene.surface.known.shape, bool), scene.lab, 0.27
    )
    assert any(0.3 < pair.likeness <= 0.5 for pair in sort_pairs(pieces, {2: plain}, scene))


def test_what_a_source_names_comes_first_and_stays_apart_from_an_equal_piece(models):
    frame, masks = table_frame(models, {1: standing_pose(models[1], -0.1), 3: standing_pose(models[3], 0.1)})
    scene = Scene.of(frame, 0.27)
    pieces = cut_surface(
        scene.surface, scene.on_plane, np.zeros(scene.surface.known.shape, bool), scene.lab, 0.27
    )
    can = scene.surface.from_image(masks[3])
    named = Proposal(can, "segmented mask", 0.04, says=3)
    looks = {obj_id: Looks.of(models[obj_id]) for obj_id in models}
    pairs = sort_pairs(unite([*pieces, named]), looks, scene)
    assert pairs[0].obj_id == 3
    assert pairs[0].proposal.says == 3
    other = Proposal(can, "segmented mask", 0.1, says=1)
    assert {one.says for one in unite([named, other, Proposal(can, "standing", 0.1)])} == {1, 3}
