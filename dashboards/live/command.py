"""`lejepa dashboard`: a study's figures while it runs, in the browser."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

from dashboards.live.latest import studies
from dashboards.places import Place, Source
from lejepa_platform.errors import PlatformError, StudyError
from lejepa_platform.serving import require_free, serve
from lejepa_platform.storage import Storage
from lejepa_platform.tracking import masked

HOST = "127.0.0.1"
_OPTIONS = {
    "server.address": HOST,
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """Show a study while it runs, in the browser of this machine."""

    study: tyro.conf.Positional[str | None] = None
    """Name of the study to open with; the page has a picker of all."""
    source: Annotated[Source | None, tyro.conf.arg(name="from")] = None
    """Where to read trials; by default the ledger, or MLflow where a tracking URI is given."""
    storage: Storage = Path("studies")
    """Folder of all studies."""
    tracking_uri: str | None = None
    """MLflow tracking store."""
    port: int = 8501
    """Port on this machine; nobody else can reach it."""
    refresh: float = 15.0
    """Seconds between two readings."""

    @property
    def place(self) -> Place:
        """Where the studies are."""
        default: Source = "mlflow" if self.tracking_uri else "ledger"
        return Place(self.source or default, self.storage, self.tracking_uri)


def main(argv: Sequence[str] | None = None) -> int:
    """`lejepa dashboard [STUDY]`; ends the server when it ends.

    Returns:
        The exit code.

    Raises:
        LejepaError: An error that a person can act on.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = tyro.cli(Arguments, args=given, prog="lejepa dashboard")
    if find_spec("streamlit") is None:
        raise PlatformError("the Python package streamlit is not installed; pip install 'lejepa-sweeps[dashboard]'")
    if arguments.refresh < 1:
        raise PlatformError(f"--refresh {arguments.refresh:g} came, at least 1 second was wanted")
    _require_study(arguments)
    require_free(HOST, arguments.port)
    options = {**_OPTIONS, "server.port": str(arguments.port)}
    command = [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("app.py"))]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    print(f"dashboard: http://{HOST}:{arguments.port} in a few seconds; Ctrl-C ends it", flush=True)
    return serve([*command, "--", *given], {"DO_NOT_TRACK": "true"})


def _require_study(arguments: Arguments) -> None:
    known = studies(arguments.place)
    if not known:
        where = masked(arguments.tracking_uri) if arguments.tracking_uri else arguments.storage
        raise StudyError(f"{where} holds no study; run one, or name another --storage or --tracking-uri")
    if arguments.study is not None and arguments.study not in known:
        raise StudyError(f"no study {arguments.study!r}; there are: {' '.join(known[:20])}")
