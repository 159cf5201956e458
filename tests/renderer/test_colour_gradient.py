"""The colour loss through the renderer: its gradient to the pose against finite differences, silhouettes included."""

import pytest
import torch
from test_pose_gradient import Study, cosine, object_of

from selfpose6d.losses.colour import colour_loss


class ColourStudy(Study):
    """The colour loss without a window, against the picture at another pose."""

    names = ("colour",)

    def losses(self, twist: torch.Tensor) -> dict[str, torch.Tensor]:
        camera, ab = self.target, self.image(twist).rgb[..., 1:]
        return {"colour": colour_loss(camera.rgb[..., 1:], ab, (camera.mask > 0.5).float(), window_px=0)}


@pytest.mark.parametrize("faces", [12, 2_000])
def test_gradient_of_the_colour_loss_points_where_finite_differences_do(faces):
    study = ColourStudy(object_of(faces), supersample=1, lab=True)
    gradient, difference = study.gradients()["colour"], study.differences()["colour"]
    found = [cosine(gradient[:, k], difference[:, k]) for k in (slice(0, 2), 2, slice(3, 6))]
    assert found[0] > 0.97
    assert found[1] > 0.7
    assert found[2] > 0.9
