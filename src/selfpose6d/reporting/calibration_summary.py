"""What a calibration found, on the terminal."""

import math
from collections.abc import Sequence

from selfpose6d.calibration.scenes import SceneResult
from selfpose6d.labeling.calibration import CONFIDENCE_LEVEL, Calibration


def print_calibration(calibration: Calibration, results: Sequence[SceneResult]) -> None:
    """Scenes and how often the pose was right, per kind of mask; then what can be certified at each risk."""
    right = sum(one.right for one in results)
    print(
        f"{len(results)} instances, {right / max(len(results), 1):.1%} right (ADD(-S) < 10 % of the diameter)"
    )
    for kind in sorted({one.mask_kind for one in results}):
        part = [one for one in results if one.mask_kind == kind]
        print(f"  {kind:<8} masks {len(part):5d}, right {sum(one.right for one in part) / len(part):.1%}")
    tested = int(calibration.made_from["tested_on"])
    print(f"risk    certified of {tested}   wrong   bound ({CONFIDENCE_LEVEL:.0%})")
    for row in calibration.thresholds:
        if math.isinf(row.score):
            print(f"{row.risk:<6g}  nothing: too few scenes, or too many wrong among the best")
        else:
            share = row.certified / tested
            print(
                f"{row.risk:<6g}  {row.certified:5d} ({share:.0%})         {row.wrong:5d}   {row.bound:.4f}"
            )
    print(f"calibration {calibration.content_hash}")
