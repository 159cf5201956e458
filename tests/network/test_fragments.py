"""Fragments of surfaces: where they are, what a head says of them, and that files keep them."""

import torch
from networks import OBJECTS, TINY_COORDINATES, build_both, random_input, surfaces

from selfpose6d.network.checkpoint import load_network, save_network
from selfpose6d.network.fragment_poses import AT_WORK, IN_TRAINING, fragment_poses
from selfpose6d.network.fragments import REACH, FragmentHead, fragment_centres
from selfpose6d.network.interface import ObjectTable
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.network.transfer import take_over

COUNT = TINY_COORDINATES.fragments


def test_fragments_cover_the_surface_and_are_far_from_each_other():
    known = surfaces()
    centre = fragment_centres(known, COUNT)
    points = (known.grid.points_m - known.centre_m[:, None]) / known.diameter_m[:, None, None]
    assert centre.shape == (2, COUNT, 3)
    apart, covered = torch.cdist(centre, centre), torch.cdist(points, centre)
    assert (covered.amin(1) < 1e-5).all()  # they are points of the surface
    nearest = (apart + 10 * torch.eye(COUNT)).amin((1, 2))
    assert (covered.amin(2).amax(1) <= nearest + 1e-6).all()


def test_a_place_is_about_its_fragments_centre():
    torch.manual_seed(0)
    head = FragmentHead(TINY_COORDINATES, 2, surfaces())
    hidden = torch.randn(3, 24, TINY_COORDINATES.pixel_channels)
    index = torch.tensor([0, 1, 0])
    found = head(hidden, index)
    assert torch.equal(found.centre, fragment_centres(surfaces(), COUNT)[index])
    assert found.logit.shape == (3, 24, COUNT + 1)
    off = found.offset.norm(dim=-1)
    assert 0 < off.mean() < 0.05
    head.output_bias.data[0, COUNT + 1 :] = 1.0
    moved = head(hidden, index).offset
    torch.testing.assert_close((moved - found.offset)[0], torch.full((24, COUNT, 3), REACH))
    torch.testing.assert_close(moved[1], found.offset[1])


def test_a_file_keeps_the_fragments(tmp_path):
    network = build_both(TINY_COORDINATES)
    assert network.estimator.places.fragment_centre.any()
    save_network(tmp_path / "one.safetensors", network, {})
    loaded, _ = load_network(tmp_path / "one.safetensors")
    assert torch.equal(loaded.estimator.places.fragment_centre, network.estimator.places.fragment_centre)
    given = random_input(2, TINY_COORDINATES)
    assert torch.equal(loaded.estimator(given).T_crop_obj, network.estimator(given).T_crop_obj)


def test_a_network_of_more_objects_keeps_those_of_the_earlier_one():
    """By id, even where its mesh was sampled otherwise: the channels were taught these."""
    earlier = build_both(TINY_COORDINATES)
    earlier.estimator.places.fragment_centre.add_(0.01)
    more = ObjectTable(
        (7, 5, 1), (0.3, *OBJECTS.diameter_m[::-1]), (OBJECTS.centre_m[0], *OBJECTS.centre_m[::-1])
    )
    network = PoseNetwork(TINY_COORDINATES, more, surfaces(more))
    own = network.estimator.places.fragment_centre[0].clone()
    take_over(network, earlier)
    assert torch.equal(
        network.estimator.places.fragment_centre[1:], earlier.estimator.places.fragment_centre.flip(0)
    )
    assert torch.equal(network.estimator.places.fragment_centre[0], own)


def test_only_what_learns_fragments_takes_less_effort():
    estimator = PoseNetwork(TINY_COORDINATES, OBJECTS, surfaces()).estimator
    given = random_input(2, TINY_COORDINATES)
    diameter_m = estimator.diameter_m[given.object_index][:, None, None]

    def expected(found, effort) -> torch.Tensor:
        return fragment_poses(
            found, given.points_crop_m / diameter_m, estimator.drawn, TINY_COORDINATES.modes, effort
        )

    learning, at_work = estimator.train()(given), estimator.eval()(given)
    with torch.no_grad():  # as the joint loss has it
        frozen = estimator.train()(given)
        for found, effort in ((learning, IN_TRAINING), (at_work, AT_WORK), (frozen, AT_WORK)):
            R = expected(found.fragments, effort)[..., :3, :3]
            assert torch.equal(found.T_crop_obj[..., :3, :3], R)
        assert not torch.equal(learning.T_crop_obj, at_work.T_crop_obj)
