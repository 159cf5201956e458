"""From refined hypotheses to a verdict: what the image says of each finalist, then the certificate."""

from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.certificate import CertificateOptions, Verdict, certify
from selfpose6d.labeling.hypotheses import settle
from selfpose6d.labeling.object_model import ObjectModel
from selfpose6d.labeling.refine import Refined
from selfpose6d.labeling.silhouette import silhouette_shares
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.types import Frame, Instance


def judge(
    frame: Frame,
    instance: Instance,
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    finalists: Refined,
    options: CertificateOptions,
) -> Verdict:
    """Measure the finalists' residuals and silhouettes in the whole image, then choose and certify the winner."""
    residual = settle(model, cloud_cam_m, finalists.T_cam_obj, ResolverOptions(iterations=0))
    outside, visible = silhouette_shares(frame, instance, model, finalists.T_cam_obj)
    return certify(model, finalists, residual.rms_m, outside, visible, options)
