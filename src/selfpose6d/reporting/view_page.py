"""The page of `view`: a run's frames in 3-D, by slider and arrow keys."""

from collections.abc import Mapping
from threading import RLock
from typing import Any

import numpy as np

from selfpose6d.errors import UsageError
from selfpose6d.reporting.local_server import Answer, LocalServer, Site
from selfpose6d.reporting.review_page import page_file
from selfpose6d.reporting.run_views import RunViews
from selfpose6d.reporting.viser_client import CLIENT_PATH, client_page
from selfpose6d.viz.viewer import HIDDEN_FIRST, LAYERS, ViewedFrame, Viewer


class ViewSession:
    """Answers the page. Several threads may call it."""

    def __init__(self, views: RunViews, viewer: Viewer) -> None:
        self._views, self._viewer, self._lock = views, viewer, RLock()
        self._shown: tuple[int, ViewedFrame] | None = None

    def start(self, _: Mapping[str, str]) -> Answer:
        """What the page needs once."""
        return Answer.of_json(
            {
                "titles": self._views.titles,
                "layers": list(LAYERS),
                "hidden": list(HIDDEN_FIRST),
                "view_port": self._viewer.port,
            }
        )

    def show(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Show a frame without the hidden layers; what its poses are.

        Raises:
            UsageError: there is no such frame.
            DataError: it cannot be read.
        """
        index, hidden = request.get("index"), request.get("hidden") or ()
        if not isinstance(index, int) or not 0 <= index < len(self._views.titles):
            raise UsageError(f"no frame {index!r}: there are {len(self._views.titles)}.")
        with self._lock:
            if self._shown is None or self._shown[0] != index:
                frame = self._views.load(index)
                middle_m = np.mean([pose.T_cam_obj[:3, 3] for pose in frame.poses], axis=0)
                self._viewer.show(frame, middle_m if self._shown is None else None)
                self._shown = index, frame
            self._viewer.hide({layer for layer in LAYERS if layer in hidden})
            poses = self._shown[1].poses
        return {
            "poses": [
                {"label": pose.label, "details": pose.details, "status": pose.status, "kind": pose.kind}
                for pose in poses
            ],
            "layers": [layer for layer in LAYERS if layer in self._viewer.filled_layers],
        }


def serve_view(session: ViewSession, viewer: Viewer, title: str, host: str, port: int) -> LocalServer:
    """Serve the page until the server is stopped.

    Raises:
        UsageError: no port is free, or the host is none of this machine's.
    """
    pages = {"/": page_file("view.html", title)}
    pages |= {f"/{name}": page_file(name) for name in ("view.js", "requests.js", "pages.css")}
    site = Site(
        pages={**pages, CLIENT_PATH: client_page(viewer)},
        reads={"/api/start": session.start},
        changes={"/api/show": session.show},
        folders={CLIENT_PATH: viewer.client_files},
    )
    return LocalServer(site, host, port)
