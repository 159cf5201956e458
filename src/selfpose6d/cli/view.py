"""`selfpose6d view RUN`: show a run's poses in 3-D in the browser."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from selfpose6d.meshes.units import Unit
from selfpose6d.options import Unset


@dataclass(frozen=True)
class Command:
    """Show measured points, the photo and textured meshes at their poses in the browser, until Ctrl-C.

    Frames by slider and arrow keys. Needs the viewer extra.
    """

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The --out of annotate, find or estimate; poses as its review.jsonl corrects them."""
    compare: Unset[Path] = None
    """Another run on the same data, whose poses are drawn as wires beside."""
    truth: bool = False
    """Draw the data set's true poses as white wires."""
    dataset: Unset[Path] = None
    """The data set (default: as the run's config.yaml says)."""
    models: Unset[Path] = None
    """Folder of models (default: as config.yaml says)."""
    model_unit: Unset[Unit] = None
    """Unit of the models (default: as config.yaml says)."""
    host: str = "127.0.0.1"
    """Address to serve at; 0.0.0.0 lets other machines in."""
    port: int = 8080
    """Port of the page, or the next free one; the 3-D view takes the one after it."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from selfpose6d.reporting.local_server import announce, require_address, wait_for_interrupt
        from selfpose6d.reporting.run_sources import resolve_sources
        from selfpose6d.reporting.run_views import RunViews, ViewOptions
        from selfpose6d.reporting.view_page import ViewSession, serve_view
        from selfpose6d.viz.viewer import Viewer

        sources = resolve_sources(self.run_folder, self.dataset, self.models, self.model_unit)
        other = None if self.compare is None else resolve_sources(self.compare)
        views = RunViews(sources, ViewOptions(self.truth, other))
        require_address(self.host, self.port)
        viewer = Viewer(self.host, self.port + 1)
        title = self.run_folder.resolve().name
        server = serve_view(ViewSession(views, viewer), viewer, title, self.host, self.port)
        announce(server, viewer.port)
        wait_for_interrupt()
        server.stop()
        viewer.stop()
        return 0
