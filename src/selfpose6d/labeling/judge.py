"""From refined hypotheses to a verdict: what the image says of each finalist, then the certificate."""

from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.certificate import CertificateOptions, certify
from selfpose6d.labeling.hypotheses import distinct, settle
from selfpose6d.labeling.refine import Refined
from selfpose6d.labeling.search import FINALISTS_DIFFER
from selfpose6d.labeling.silhouette import silhouette_shares
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.types import Certificate, Frame, Instance


def judge(
    frame: Frame,
    instance: Instance,
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    finalists: Refined,
    options: CertificateOptions,
) -> tuple[Float[Tensor, "4 4"], Certificate]:
    """Measure the finalists' residuals and silhouettes in the whole image, then choose and certify the winner.

    Of finalists that came to the same pose the best-scored counts: the certificate weighs different answers.
    """
    T, total = finalists.T_cam_obj, finalists.scores.total
    finalists = finalists.take(distinct(T, total, model.centre_m, *FINALISTS_DIFFER, len(T)))
    residual = settle(model, cloud_cam_m, finalists.T_cam_obj, ResolverOptions(iterations=0))
    outside, visible = silhouette_shares(frame, instance, model, finalists.T_cam_obj)
    verdict = certify(model, finalists, residual.rms_m, outside, visible, options)
    return finalists.T_cam_obj[verdict.winner], verdict.certificate
