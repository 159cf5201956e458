"""The layouts that can be read. A new one is a new file, and a line here."""

from pathlib import Path

from selfpose6d.datasets.bop.layout import BOP
from selfpose6d.datasets.capture.layout import CAPTURE
from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.model_files import describe_folder
from selfpose6d.datasets.ycb_video.layout import YCB_VIDEO
from selfpose6d.errors import UsageError

LAYOUTS = (
    YCB_VIDEO,
    CAPTURE,
    BOP,
)
"""The first that matches is taken."""


def detect_layout(root: Path) -> Layout:
    """The layout of a folder.

    Raises:
        UsageError: it is none of them; says what was looked for and what is there.
    """
    for layout in LAYOUTS:
        if layout.matches(root):
            return layout
    known = [layout.description for layout in sorted(LAYOUTS, key=lambda layout: layout.name)]
    raise UsageError(
        f"{root} is no data set that can be read: looked for {', '.join(known[:-1])} and {known[-1]}, "
        f"found {describe_folder(root)}. Pass a folder that holds one."
    )
