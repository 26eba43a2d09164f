"""Servers and a browser for tests: real processes on free ports, ended by the test that started them."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from trackers import PYTHON_PATH, wait_for

MLFLOW = "import sys; from pathlib import Path; from lejepa_platform.tracking import ui;"
MLFLOW += "sys.exit(ui(Path(sys.argv[1]), int(sys.argv[2])))"
DASHBOARD = "import sys; from dashboards.live.command import main; sys.exit(main(sys.argv[1:]))"
_CHROMIUM = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
_CHROMIUM += " --disable-component-update --disable-sync --hide-scrollbars"


@contextmanager
def server(code: str, *arguments: str, health: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, once its health page answers; terminated at the end if it still runs."""
    with log.open("ab") as out:
        command = [sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(command, env={**os.environ, **PYTHON_PATH}, stdout=out, stderr=out)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(health, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for(answers, 120)
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def browser(*, dark: bool = False) -> Iterator[tuple[Page, list[str]]]:
    """An empty page of Debian's chromium, and what its console says that is an error."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_CHROMIUM.split())
        scheme = "dark" if dark else "light"
        page = chromium.new_page(viewport={"width": 1280, "height": 1600}, color_scheme=scheme)
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page, errors
        chromium.close()
