"""The labels of an `annotate` run as training takes them: reviewed, certified, of the same data."""

from pathlib import Path

from selfpose6d.errors import UsageError
from selfpose6d.runs.certificates import read_certificates, read_review, reviewed
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.types import InstanceKey, LabeledPose


def load_labels(run: Path, fingerprint: str, split: str) -> dict[InstanceKey, LabeledPose]:
    """The certified labels of a run by key, after the verdicts of `review.jsonl`; weight = confidence.

    Args:
        run: the `--out` of an `annotate` run.
        fingerprint: `Dataset.fingerprint()` of the data set to train on.
        split: its split.

    Raises:
        UsageError: the run is of another data set or split, or has no certified label.
        DataError: a file of the run is missing or broken.
    """
    config, files = read_config(run), RunFiles(run)
    if config.command != "annotate":
        raise UsageError(
            f"{run} was made by {config.command}, not annotate. Pass an annotate run to --labels."
        )
    if config.data.split != split:
        raise UsageError(
            f"{run} labels split {config.data.split}, training reads split {split}. Annotate split {split} first."
        )
    if config.data.fingerprint != fingerprint:
        raise UsageError(
            f"{run} labels another data set (fingerprint {config.data.fingerprint}, expected {fingerprint}). "
            "Annotate this data set first."
        )
    review = read_review(files.review)
    labels = (reviewed(label, review) for label in read_certificates(files.certificates))
    certified = {label.key: label for label in labels if label.certificate.status == "certified"}
    if not certified:
        raise UsageError(
            f"{run} has no certified label. Look at its {files.certificates.name} for the reasons."
        )
    return certified
