"""A command that serves a page, in a process of its own, and a headless browser that looks at it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--use-gl=angle", "--enable-unsafe-swiftshader")
"""3-D without a GPU."""
START_S = 120


@contextmanager
def served(log: Path, *arguments: str) -> Iterator[str]:
    """The address that the command says; it is ended by Ctrl-C afterwards."""
    with log.open("w") as output:
        command = [sys.executable, "-m", "selfpose6d", *arguments]
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_DFL
            ),  # tests may run where it is ignored
        )
        try:
            yield _address(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            finally:
                process.kill()


def _address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if found := re.search(r"open (http://\S+) in a browser", log.read_text()):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"no page was served:\n{log.read_text()}")


@contextmanager
def open_page(url: str) -> Iterator:
    """A page of a headless Chromium; skips where there is none. Fails when a script of it does.

    The policy of the page, which keeps scripts out that are not its own, is off: names must do no harm without it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="skipped: playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"skipped: no browser ({CHROMIUM} does not exist)")
    errors: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=True)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(url)
            yield page
        finally:
            browser.close()
    assert errors == []
