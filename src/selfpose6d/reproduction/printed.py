"""What the paper prints: ADD-S AUC (0-100) in its Tables I and II, times and memory in its Table III."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MeanKind = Literal["pooled", "plain"]
"""Over instances, or over the objects of the table."""


@dataclass(frozen=True)
class PrintedColumn:
    """One column of a table, by YCB-Video's ids (1-21); `mean_kind` says what its MEAN is a mean over."""

    title: str
    values: Mapping[int, float]
    mean: float
    mean_kind: MeanKind = "pooled"


def _column(
    title: str, mean: float, values: tuple[float, ...], mean_kind: MeanKind = "pooled", first_id: int = 1
) -> PrintedColumn:
    return PrintedColumn(title, dict(enumerate(values, start=first_id)), mean, mean_kind)


TABLE_1 = {
    "densefusion": _column(
        "DenseFusion [11]", 91.5,
        (93.6, 91.9, 95.0, 93.6, 92.5, 94.1, 93.8, 96.2, 92.4, 85.4, 84.8,
         91.1, 86.9, 93.0, 88.0, 87.9, 86.5, 95.6, 89.4, 86.6, 91.2),
    ),
    "densefusion-refine": _column(
        "DF (refine) [11]", 92.4,
        (94.2, 94.3, 95.7, 93.9, 93.6, 94.9, 93.8, 97.2, 93.3, 87.7, 85.3,
         92.0, 88.9, 93.3, 88.5, 89.9, 88.7, 97.0, 90.6, 88.5, 91.3),
    ),
    "mixed": _column(
        "Semi-Supervised [33]", 90.9,
        (95.4, 88.6, 95.3, 93.6, 96.8, 96.2, 89.7, 96.0, 90.1, 93.2, 96.6,
         92.0, 87.4, 96.7, 91.6, 89.8, 81.7, 97.3, 72.0, 65.7, 93.4),
    ),
    "teacher-student": _column(
        "Self6D++ [32]", 91.1,
        (88.8, 94.2, 95.8, 90.8, 98.6, 97.5, 98.4, 94.0, 89.3, 98.5, 98.9,
         93.5, 89.1, 94.1, 95.2, 78.3, 69.2, 87.5, 79.2, 87.3, 95.5),
        "plain",
    ),
    "pure-icp": _column(
        "PureICP [14]", 79.1,
        (73.1, 61.9, 81.5, 83.6, 82.8, 90.8, 89.1, 90.5, 83.0, 94.1, 63.7,
         69.5, 62.2, 74.4, 75.2, 53.9, 92.0, 95.1, 85.9, 84.0, 91.2),
    ),
    "ours": _column(
        "Ours", 83.3,
        (85.9, 75.9, 80.8, 89.3, 88.7, 86.9, 87.9, 84.1, 85.1, 81.2, 74.4,
         81.8, 73.2, 88.5, 81.0, 77.4, 80.9, 85.8, 82.6, 82.3, 88.3),
    ),
    "ours-refine": _column(
        "Ours (refine)", 87.1,
        (88.5, 78.2, 88.3, 91.9, 91.8, 92.4, 88.2, 88.1, 90.1, 85.3, 76.4,
         88.3, 80.0, 89.1, 81.3, 83.1, 81.5, 92.4, 87.0, 86.3, 87.0),
    ),
}  # fmt: skip
"""By column of the plan. Plain means of its columns differ from the printed MEAN by up to 0.7, but for Self6D++."""

TABLE_2_OBJECTS = (17, 18, 19, 20, 21)
"""scissors, large marker, large clamp, extra large clamp, foam brick."""
TABLE_2 = {
    "unweighted": _column("w/o weighted", 79.1, (81.2, 77.6, 75.6, 77.3, 84.0), "plain", 17),
    "weighted": _column("with weighted", 84.0, (80.9, 85.8, 82.6, 82.3, 88.3), "plain", 17),
    "densefusion-real": _column("DF + real GT", 91.2, (88.7, 97.0, 90.6, 88.5, 91.3), "plain", 17),
    "weighted-synthetic": _column("ours + syn GT", 91.3, (89.6, 96.4, 89.5, 89.2, 91.8), "plain", 17),
}


@dataclass(frozen=True)
class PrintedCost:
    """A row of Table III; the paper does not say of how many poses or instances."""

    time_ms: float
    memory_mb: float


TABLE_3 = {"resolver": PrintedCost(0.049, 2061.0), "renderer": PrintedCost(0.300, 6385.0)}
