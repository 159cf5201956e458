"""`selfpose6d review RUN`: accept, reject or correct a run's poses in the browser."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from selfpose6d.cli.output import add_result
from selfpose6d.meshes.units import Unit
from selfpose6d.options import Several, Unset


@dataclass(frozen=True)
class Command:
    """Accept, reject, choose among alternatives or correct a run's poses in the browser, doubtful ones first.

    One key a decision; every decision is in RUN/review.jsonl at once, which train, evaluate, report and export honour.
    The same command again goes on where it stopped; Ctrl-C ends it. Needs the viewer extra.
    """

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The --out of annotate, find or estimate --verify."""
    status: Several[Literal["certified", "ambiguous", "rejected"]] = ()
    """Only poses of these statuses (default: all)."""
    objects: Several[str] = ()
    """Only these objects, by name or id."""
    reason: str = ""
    """Only poses whose certificate's reason has this text."""
    confidence: tuple[float, float] = (0.0, 1.0)
    """Least and most confidence."""
    order: Literal["doubt", "confidence", "frame"] = "doubt"
    """doubt: ambiguous ones, then rejected ones by falling, then certified ones by rising confidence. confidence:
    rising. frame: as in the data set."""
    dataset: Unset[Path] = None
    """The data set (default: as the run's config.yaml says)."""
    models: Unset[Path] = None
    """Folder of models (default: as config.yaml says)."""
    model_unit: Unset[Unit] = None
    """Unit of the models (default: as config.yaml says)."""
    host: str = "127.0.0.1"
    """Address to serve at; 0.0.0.0 lets other machines in, and whoever reaches them decide."""
    port: int = 8080
    """Port of the page, or the next free one; the 3-D view takes the one after it."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from selfpose6d.reporting.local_server import announce, require_address, wait_for_interrupt
        from selfpose6d.reporting.review_page import serve_review
        from selfpose6d.reporting.review_queue import ReviewFilter, reviewing
        from selfpose6d.reporting.review_session import ReviewSession
        from selfpose6d.reporting.run_sources import resolve_sources
        from selfpose6d.viz.viewer import Viewer

        wanted = ReviewFilter(self.status, self.objects, self.reason, self.confidence, self.order)
        sources = resolve_sources(self.run_folder, self.dataset, self.models, self.model_unit)
        require_address(self.host, self.port)
        with reviewing(sources.files):
            session = ReviewSession(sources, wanted)
            viewer = session.viewer = Viewer(self.host, self.port + 1)
            server = serve_review(session, self.run_folder.resolve().name, self.host, self.port)
            announce(server, viewer.port)
            wait_for_interrupt()
            server.stop()
            viewer.stop()
        print(f"{session.queue.num_decided} of {len(session.queue.labels)} decided: {sources.files.review}")
        decided, asked = session.queue.num_decided, len(session.queue.labels)
        add_result(review=sources.files.review, decided=decided, instances=asked)
        return 0
