"""The options of annotation that a calibration holds for: with others the same terms would mean something else."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from selfpose6d.errors import UsageError

if TYPE_CHECKING:
    from selfpose6d.labeling.annotate import AnnotateOptions


def calibrated_settings(options: "AnnotateOptions") -> dict[str, Any]:
    """As `calibration.json` has them."""
    certificate = options.certificate
    settings = {
        "attempts": options.attempts,
        "observation": asdict(options.observation),
        "search": asdict(options.search),
        "temperature": certificate.temperature,
        "min_agreement": certificate.min_agreement,
        "no_rival": certificate.no_rival,
    }
    if options.search.refinement != "joint-loss":
        del settings["search"]["joint"]
    return json.loads(json.dumps(settings, default=str))


def resolved_options(options: "AnnotateOptions") -> dict[str, Any]:
    """Every option that changes labels, for a run's configuration; of the calibration its hash."""
    certificate = {
        "risk": options.certificate.risk,
        "temperature": options.certificate.temperature,
        "min_agreement": options.certificate.min_agreement,
        "calibration": options.certificate.calibration.content_hash,
    }
    rest = {name: value for name, value in vars(options).items() if name != "certificate"}
    groups = ("observation", "search")
    grouped = {name: asdict(value) if name in groups else value for name, value in rest.items()}
    return {**grouped, "certificate": certificate}


def require_calibrated(options: "AnnotateOptions", name: str) -> None:
    """Refuse a calibration that was made for other options; `name` says which in the message.

    Raises:
        UsageError: the first option that differs is named.
    """
    there, now = options.certificate.calibration.settings, calibrated_settings(options)
    flat = [dict(_flat(settings)) for settings in (there, now)]
    for key in sorted({*flat[0], *flat[1]}, key=lambda name: (name.count("."), name)):
        if flat[0].get(key) != flat[1].get(key):
            raise UsageError(
                f"{name} holds for {key} {flat[0].get(key)!r}, not {flat[1].get(key)!r}. Calibrate for these options "
                "(selfpose6d calibrate --out FILE), and pass --calibration FILE."
            )


def _flat(settings: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(settings, dict):
        return [(prefix, settings)]
    return [
        pair
        for key, value in settings.items()
        for pair in _flat(value, f"{prefix}.{key}" if prefix else str(key))
    ]
