"""The box, brick and can of the annotator's tests."""

from labeling.conftest import box, brick, round_can

__all__ = ["box", "brick", "round_can"]
