"""Every length of the search and the certificate, in units of the object and of the sensor's noise.

A 3 cm screw and a 1.2 m panel are treated alike: each length is a part of the diameter (an object's details, the errors
of its mesh) plus some standard deviations of the depth noise. At 20 cm and 1 mm of noise, a household object before a
structured-light camera at 0.9 m, they are the values that the search was developed with (in parentheses).
"""

from dataclasses import dataclass

from selfpose6d.labeling.hypotheses import PoseSpacing

SAME_CANDIDATE_RAD, SAME_REFINED_RAD, SAME_KIND_RAD = 0.105, 0.14, 0.35
"""6, 8 and 20 degrees: the basin of a few Gauss-Newton steps; the same for poses that moved towards each other; poses
so far apart are different explanations, not variants of one."""


@dataclass(frozen=True)
class Lengths:
    """Of one object at one distance."""

    diameter_m: float
    noise_m: float
    """Standard deviation of the depth there."""

    @property
    def depth_cap_m(self) -> float:
        """Depth errors count up to here, so that an occluder in the mask is not worse than a miss (20 mm)."""
        return 0.07 * self.diameter_m + 6 * self.noise_m

    @property
    def free_space_m(self) -> float:
        """Measured this far behind the rendering, the space is free: BOP's visibility tolerance (15 mm)."""
        return 0.045 * self.diameter_m + 6 * self.noise_m

    @property
    def agree_m(self) -> float:
        """Measured and rendered depth this near are the same surface (10 mm)."""
        return 0.03 * self.diameter_m + 4 * self.noise_m

    @property
    def inlier_m(self) -> float:
        """A measured point this near the posed mesh fits it (6 mm): 3 sigma and the errors of a mesh."""
        return 0.015 * self.diameter_m + 3 * self.noise_m

    @property
    def robust_m(self) -> float:
        """Beyond about this a residual is another surface's (10 mm)."""
        return self.agree_m

    @property
    def geometry_scale_m(self) -> float:
        """Of a residual that says nothing (3 mm)."""
        return 0.01 * self.diameter_m + self.noise_m

    @property
    def rms_slack_m(self) -> float:
        """By which residuals of equally good poses differ (2 mm)."""
        return 0.005 * self.diameter_m + self.noise_m

    @property
    def max_step_m(self) -> float:
        """Longest Gauss-Newton step: beyond it the residuals are not linear (20 mm)."""
        return 0.1 * self.diameter_m

    @property
    def right_m(self) -> float:
        """Poses whose model points are this near agree: what `evaluate` calls right, a tenth of the diameter."""
        return 0.1 * self.diameter_m

    @property
    def same_candidate(self) -> PoseSpacing:
        """Candidates this near refine to one pose (10 mm)."""
        return PoseSpacing(SAME_CANDIDATE_RAD, 0.05 * self.diameter_m)

    @property
    def same_refined(self) -> PoseSpacing:
        """The same for refined candidates (10 mm)."""
        return PoseSpacing(SAME_REFINED_RAD, 0.05 * self.diameter_m)

    @property
    def same_kind(self) -> PoseSpacing:
        """Poses this far apart are of different kinds (20 mm)."""
        return PoseSpacing(SAME_KIND_RAD, 0.1 * self.diameter_m)
