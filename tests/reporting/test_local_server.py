"""Pages on loopback: what they serve, and what other pages cannot make them do."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from selfpose6d.errors import DataError, UsageError
from selfpose6d.reporting.local_server import TOKEN_HEADER, Answer, LocalServer, Site, announce


def fail(_):
    raise DataError("x.png: missing file. Restore it.")


@pytest.fixture
def changes() -> list[dict]:
    """What was changed."""
    return []


@pytest.fixture
def server(tmp_path, changes) -> Iterator[LocalServer]:
    (tmp_path / "files" / "sub").mkdir(parents=True)
    (tmp_path / "files" / "sub" / "a.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    site = Site(
        pages={"/": Answer(b"token={{token}}", "text/html; charset=utf-8")},
        reads={"/api/echo": lambda query: Answer.of_json(dict(query)), "/api/fail": fail},
        changes={"/api/change": lambda request: changes.append(dict(request)) or {"done": True}},
        folders={"/files/": tmp_path / "files"},
    )
    server = LocalServer(site, "127.0.0.1", 18080)
    yield server
    server.stop()


def ask(server: LocalServer, method: str, path: str, body: str | None = None, **headers: str):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def test_pages_have_the_token_and_a_policy(server):
    status, body, headers = ask(server, "GET", "/")
    assert (status, body) == (200, f"token={server.token}")
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_queries_are_answered_and_errors_are_one_line(server):
    status, body, _ = ask(server, "GET", "/api/echo?a=1&b=x%20y")
    assert (status, json.loads(body)) == (200, {"a": "1", "b": "x y"})
    status, body, _ = ask(server, "GET", "/api/fail")
    assert (status, json.loads(body)) == (400, {"error": "x.png: missing file. Restore it."})
    assert ask(server, "GET", "/none")[0] == 404


def test_changes_need_the_pages_token_and_origin(server, changes):
    own = f"http://127.0.0.1:{server.port}"
    token = {TOKEN_HEADER: server.token}
    refused = [
        {},
        {TOKEN_HEADER: "wrong"},
        {**token, "Origin": "http://evil.example"},
        {**token, "Origin": f"http://127.0.0.1:{server.port + 1}"},
        {**token, "Origin": "null"},
        {**token, "Host": f"evil.example:{server.port}"},
    ]
    for headers in refused:
        assert ask(server, "POST", "/api/change", "{}", **headers)[0] == 403
    assert changes == []
    assert ask(server, "POST", "/api/change", '{"a": 1}', **token, Origin=own)[0] == 200
    assert ask(server, "POST", "/api/change", '{"a": 2}', **token)[0] == 200
    assert changes == [{"a": 1}, {"a": 2}]


def test_foreign_names_of_this_machine_are_refused(server):
    status, body, _ = ask(server, "GET", "/", Host="evil.example")
    assert status == 403
    assert server.token not in body
    assert ask(server, "GET", "/", Host=f"localhost:{server.port}")[0] == 200


def test_requests_of_another_form_are_refused(server, changes):
    token = {TOKEN_HEADER: server.token}
    status, body, _ = ask(server, "POST", "/api/change", "[1]", **token)
    assert (status, json.loads(body)["error"]) == (400, "expected a JSON object.")
    assert ask(server, "POST", "/api/change", "x" * 70_000, **token)[0] == 400
    assert ask(server, "POST", "/api/other", "{}", **token)[0] == 404
    assert changes == []


@pytest.mark.parametrize(
    "path", ["/files/../secret.txt", "/files/sub/../../secret.txt", "/files//etc/passwd"]
)
def test_only_files_of_the_folder_are_served(server, path, tmp_path):
    assert ask(server, "GET", "/files/sub/a.js")[:2] == (200, "1")
    status, body, _ = ask(server, "GET", path)
    assert status == 404
    assert "secret" not in body.replace(path, "")


def test_a_taken_port_gives_the_next_one(server):
    other = LocalServer(Site({}), "127.0.0.1", server.port)
    assert other.port == server.port + 1
    other.stop()


def test_ports_and_hosts_that_are_none(tmp_path: Path):
    with pytest.raises(UsageError, match="--port must be between 0 and 65535, got 70000"):
        LocalServer(Site({}), "127.0.0.1", 70000)
    with pytest.raises(UsageError, match=r"cannot listen at 192\.0\.2\.1"):
        LocalServer(Site({}), "192.0.2.1", 18090)


def test_an_open_host_is_said_and_takes_its_own_names_only(capsys):
    server = LocalServer(Site({"/": Answer(b"x")}), "0.0.0.0", 18095)
    try:
        announce(server, 18096)
        told = capsys.readouterr()
        assert told.out.startswith(f"open http://127.0.0.1:{server.port}/")
        assert "warning: --host 0.0.0.0: whoever reaches ports" in told.err
        named = [ask(server, "GET", "/", Host=name)[0] for name in ("10.1.2.3", socket.gethostname())]
        assert named == [200, 200]
        assert ask(server, "GET", "/", Host="evil.example")[0] == 403
    finally:
        server.stop()


def test_loopback_is_said_too(server, capsys):
    announce(server, 5)
    told = capsys.readouterr()
    assert f"forward ports {server.port} and 5" in told.out
    assert told.err == ""
