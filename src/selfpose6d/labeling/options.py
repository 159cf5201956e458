"""Which poses are certified, as the options of `annotate` and `estimate --verify` say it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from selfpose6d.meshes.units import METRES_PER_MM
from selfpose6d.options import Unset

if TYPE_CHECKING:
    from selfpose6d.labeling.annotate import AnnotateOptions


@dataclass(frozen=True)
class CertifyingOptions:
    """What a certificate promises, and what it may take for granted."""

    risk: float = 0.01
    """Most of the certified poses that may be wrong (with 95 % confidence, on scenes like the calibration's)."""
    calibration: Unset[Path] = None
    """Calibration file made by selfpose6d calibrate (default: the shipped one, made from the built-in objects)."""
    mask_quality: Literal["auto", "exact", "rough", "box"] = "auto"
    """exact: outlines to a pixel; rough: outlines with errors; box: regions that hold the object (boxes, scribbles);
    auto: found out for every instance."""
    depth_noise_mm: Unset[float] = None
    """Standard deviation of the depth, millimetres (default: measured on every frame, at the object's distance)."""

    def applied(self, options: "AnnotateOptions") -> "AnnotateOptions":
        """The options of annotation with these.

        Raises:
            UsageError: a value is out of range, there is no such file, or it holds for other options.
            DataError: the calibration file is broken.
        """
        from selfpose6d.labeling.calibration import load_calibration
        from selfpose6d.labeling.settings import require_calibrated

        certificate = replace(
            options.certificate, risk=self.risk, calibration=load_calibration(self.calibration)
        )
        noise_m = None if self.depth_noise_mm is None else self.depth_noise_mm * METRES_PER_MM
        quality = None if self.mask_quality == "auto" else self.mask_quality
        applied = replace(options, certificate=certificate, mask_quality=quality, depth_noise_m=noise_m)
        name = "the shipped calibration" if self.calibration is None else f"--calibration {self.calibration}"
        require_calibrated(applied, name)
        return applied
