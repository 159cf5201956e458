"""viser's own page, served with ours: from one origin, so that keys pressed in the view reach our page."""

import re

from selfpose6d.errors import UsageError
from selfpose6d.reporting.local_server import MEDIA_TYPES, Answer
from selfpose6d.viz.viewer import Viewer

CLIENT_PATH = "/view3d/"
_PART = re.compile(r'<script type="module"[^>]*></script>|<link rel="stylesheet"[^>]*>')
"""What the view needs of the page; the rest would ask other servers who looks at it."""
_STYLE = (
    "html, body, #root {margin: 0; height: 100%; overflow: hidden}"
    "#root .mantine-Paper-root, #root .mantine-AppShell-aside, #root img {display: none !important}"
)
"""The view fills its frame; viser's own panel has nothing to say."""


def client_page(viewer: Viewer) -> Answer:
    """The page of the view, without anything from elsewhere.

    Raises:
        UsageError: this version of viser is built otherwise.
    """
    source = (viewer.client_files / "index.html").read_text(encoding="utf-8")
    parts = _PART.findall(source)
    if not parts:
        raise UsageError("this version of viser is not known. Run: pip install 'viser==0.2.23'")
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>3-D view</title>'
        f'{"".join(parts)}<style>{_STYLE}</style></head><body><div id="root"></div></body></html>'
    )
    return Answer(html.encode(), MEDIA_TYPES[".html"])
