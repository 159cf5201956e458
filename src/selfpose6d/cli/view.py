"""`selfpose6d view RUN`: show a run's poses in 3-D in the browser."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from selfpose6d.meshes.units import Unit
from selfpose6d.options import Unset


@dataclass(frozen=True)
class Command:
    """Show measured points and estimated poses in the browser, until Ctrl-C. Needs the viewer extra."""

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The --out of annotate or estimate."""
    dataset: Unset[Path] = None
    """The data set (default: as the run's config.yaml says)."""
    models: Unset[Path] = None
    """Folder of models (default: as config.yaml says)."""
    model_unit: Unset[Unit] = None
    """Unit of the models (default: as config.yaml says)."""
    host: str = "127.0.0.1"
    """Address to serve at; 0.0.0.0 lets other machines in."""
    port: int = 8080
    """Port to serve at."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from selfpose6d.reporting.run_sources import resolve_sources
        from selfpose6d.reporting.run_views import RunViews
        from selfpose6d.viz.viewer import start_viewer

        run = RunViews(resolve_sources(self.run_folder, self.dataset, self.models, self.model_unit))
        server = start_viewer(run.titles, run.load, self.host, self.port)
        print(f"open http://{self.host}:{server.get_port()} in a browser; Ctrl-C ends", flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            server.stop()
            return 0
