"""A page for one person on one machine: served on loopback, its changes safe from other web pages.

A request that changes something must carry the page's token, which no other page can read, and come from the page's own
origin. Requests by a host name that is not this machine's are refused: a foreign page could have its name point here.
"""

import json
import os
import secrets
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from selfpose6d.errors import SelfPose6DError, UsageError
from selfpose6d.json_files import parse_json
from selfpose6d.options import QUIET_VARIABLE

LOOPBACK = ("127.0.0.1", "localhost")
MOST_PORT = 65_535
PORTS_TRIED = 50
"""From the asked one upwards, where another program listens."""
TOKEN_HEADER = "X-Selfpose6d-Token"
TOKEN_MARK = b"{{token}}"
"""Where the page's text gets the token."""
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".wasm": "application/wasm",
    ".ttf": "font/ttf",
}
POLICY = (
    "default-src 'self' data: blob:; connect-src 'self' ws: data: blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; frame-ancestors 'self'; form-action 'none'"
)
"""Nothing is fetched from elsewhere, and no other page may frame these; the 3-D view has its own port for data."""
MOST_BYTES = 1 << 16
"""Of a request that changes something: they have a few numbers."""


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    body: bytes
    media_type: str = MEDIA_TYPES[".json"]
    status: HTTPStatus = HTTPStatus.OK

    @classmethod
    def of_json(cls, content: Any, status: HTTPStatus = HTTPStatus.OK) -> "Answer":
        """A JSON value."""
        return cls(json.dumps(content, allow_nan=False).encode(), status=status)

    @classmethod
    def of_error(cls, message: str, status: HTTPStatus) -> "Answer":
        """What is wrong, for the page to show."""
        return cls.of_json({"error": message}, status)


@dataclass(frozen=True)
class Site:
    """The pages and what they ask for."""

    pages: Mapping[str, Answer]
    """By path. `{{token}}` in them becomes the token."""
    reads: Mapping[str, Callable[[Mapping[str, str]], Answer]] = field(default_factory=dict)
    """By path, of the query: changes nothing that lasts."""
    changes: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    """By path, from JSON to JSON."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Files to serve, by the beginning of their path (`/name/`)."""


class LocalServer:
    """Serves a site in threads of its own until `stop`."""

    def __init__(self, site: Site, host: str, port: int) -> None:
        """Raises UsageError when no port is free, or the host is none of this machine's."""
        self.token = secrets.token_urlsafe(24)
        self.host = host
        self._server = _listen(_handler_of(site, self), host, port)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens: the asked port or the next free one."""
        return self._server.server_port

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    def stop(self) -> None:
        """End; open requests are answered."""
        self._server.shutdown()
        self._server.server_close()

    def refusal(self, headers: Message, changes: bool) -> str:
        """Why a request is not answered; "" where it is."""
        host = headers.get("Host", "")
        name = ""
        with suppress(ValueError):  # not even an address
            name = urlsplit(f"//{host}").hostname or ""
        if not self._is_own_name(name):
            return f"asked for host {name!r}, expected one of {', '.join(LOOPBACK)} or this machine's name or address"
        if not changes:
            return ""
        origin = headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"asked from {origin!r}, expected the page itself"
        if not secrets.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            return "the page's token is missing or of an earlier start: reload the page"
        return ""

    def _is_own_name(self, name: str) -> bool:
        """Names of this machine; where others may reach it, also any address, which no foreign page can take for it."""
        if name in LOOPBACK or self.is_loopback:
            return name in LOOPBACK
        with suppress(ValueError):
            return bool(ip_address(name))
        return name in {one.lower() for one in (self.host, socket.gethostname(), socket.getfqdn())}


def require_address(host: str, port: int) -> None:
    """Refuse a host that is none of this machine's, or ports of which none is free: viser would try for ever.

    Raises:
        UsageError: says which.
    """
    if not 0 < port < MOST_PORT:
        raise UsageError(
            f"--port must be from 1 to {MOST_PORT - 1} (the 3-D view takes the next one), got {port}."
        )
    _listen(BaseHTTPRequestHandler, host, port).server_close()


def announce(server: LocalServer, *more_ports: int) -> None:
    """Say where to look, and who else can; `more_ports`: of the data that the page fetches besides."""
    # with --json and --quiet as well: without the address there is nothing to do
    quiet = QUIET_VARIABLE in os.environ
    print(
        f"open {server.url} in a browser; Ctrl-C ends", file=sys.stderr if quiet else sys.stdout, flush=True
    )
    ports = " and ".join(map(str, (server.port, *more_ports)))
    if server.is_loopback:
        print(f"from another machine: forward ports {ports} (ssh -L), or pass --host", flush=True)
    else:
        print(
            f"warning: --host {server.host}: whoever reaches ports {ports} of this machine can see the images and "
            "take every action of the page",
            file=sys.stderr,
            flush=True,
        )


def wait_for_interrupt() -> None:
    """Return at Ctrl-C, or when the process is asked to end."""
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        while not ended.wait(0.5):
            pass
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _listen(handler: type[BaseHTTPRequestHandler], host: str, port: int) -> ThreadingHTTPServer:
    if not 0 <= port <= MOST_PORT:
        raise UsageError(f"--port must be between 0 and {MOST_PORT}, got {port}.")
    reason: str | None = ""
    for tried in range(port, min(port + PORTS_TRIED, MOST_PORT + 1)):
        try:
            return _Server((host, tried), handler)
        except OSError as error:
            reason = error.strerror
    raise UsageError(
        f"cannot listen at {host}, port {port} and the next ones: {reason}. Pass another --host or --port."
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # two programs on one port would each get some of the requests
    allow_reuse_port = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle of an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_of(site: Site, server: LocalServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
            if refusal := server.refusal(self.headers, changes=False):
                self._send(Answer.of_error(refusal, HTTPStatus.FORBIDDEN))
            elif path in site.pages:
                page = site.pages[path]
                body = page.body.replace(TOKEN_MARK, server.token.encode())
                self._send(Answer(body, page.media_type))
            elif path in site.reads:
                self._send(_answer(lambda: site.reads[path](query)))
            else:
                self._send(_file(site.folders, path))

        def do_POST(self) -> None:
            path, length = urlsplit(self.path).path, self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()) or int(length) > MOST_BYTES:
                self.close_connection = True
                self._send(Answer.of_error("a request of another size", HTTPStatus.BAD_REQUEST))
                return
            content = self.rfile.read(int(length))
            if refusal := server.refusal(self.headers, changes=True):
                self._send(Answer.of_error(refusal, HTTPStatus.FORBIDDEN))
            elif path in site.changes:
                self._send(_answer(lambda: Answer.of_json(site.changes[path](_object(content)))))
            else:
                self._send(Answer.of_error(f"no {path}", HTTPStatus.NOT_FOUND))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.media_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """The terminal is for what the person does."""

    return Handler


def _object(content: bytes) -> dict[str, Any]:
    try:
        row = parse_json(content or b"{}")
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise UsageError("expected a JSON object.")
    return row


def _answer(make: Callable[[], Answer]) -> Answer:
    """What `make` gives; its errors as the page shows them, those that are ours with their traceback here."""
    try:
        return make()
    except SelfPose6DError as error:
        return Answer.of_error(str(error), HTTPStatus.BAD_REQUEST)
    except Exception as error:
        traceback.print_exc()
        return Answer.of_error(f"internal error: {error!r}", HTTPStatus.INTERNAL_SERVER_ERROR)


def _file(folders: Mapping[str, Path], path: str) -> Answer:
    for prefix, folder in folders.items():
        if path.startswith(prefix):
            file = (folder / path.removeprefix(prefix)).resolve()
            if file.is_relative_to(folder.resolve()) and file.is_file():
                media_type = MEDIA_TYPES.get(file.suffix, "application/octet-stream")
                return Answer(file.read_bytes(), media_type)
    return Answer.of_error(f"no {path}", HTTPStatus.NOT_FOUND)
