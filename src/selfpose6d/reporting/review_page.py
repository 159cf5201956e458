"""The review page: its files, and what it may ask for."""

import html
from importlib import resources

from selfpose6d.reporting.local_server import MEDIA_TYPES, Answer, LocalServer, Site
from selfpose6d.reporting.review_session import ReviewSession
from selfpose6d.reporting.viser_client import CLIENT_PATH, client_page

TITLE_MARK = "{{title}}"


def page_file(name: str, title: str = "") -> Answer:
    """A file of `pages/`, with the title that it is shown under."""
    text = resources.files("selfpose6d.reporting").joinpath("pages", name).read_text(encoding="utf-8")
    suffix = name[name.rindex(".") :]
    return Answer(text.replace(TITLE_MARK, html.escape(title)).encode(), MEDIA_TYPES[suffix])


def serve_review(session: ReviewSession, title: str, host: str, port: int) -> LocalServer:
    """Serve the page until the server is stopped.

    Raises:
        UsageError: no port is free, or the host is none of this machine's.
    """
    pages = {"/": page_file("review.html", title)}
    pages |= {f"/{name}": page_file(name) for name in ("review.js", "requests.js", "pages.css")}
    site = Site(
        pages={**pages, CLIENT_PATH: client_page(session.viewer)},
        reads={
            "/api/start": session.start,
            "/api/items": session.items,
            "/api/item": session.item,
            "/api/trouble": session.trouble,
            "/api/picture": session.picture,
            "/api/corrected": session.corrected,
        },
        changes={
            "/api/show": session.show,
            "/api/decide": session.decide,
            "/api/undo": session.undo,
            "/api/correct": session.correct,
            "/api/back": session.back,
            "/api/forget": session.forget,
            "/api/refine": session.refine,
        },
        folders={CLIENT_PATH: session.viewer.client_files},
    )
    return LocalServer(site, host, port)
